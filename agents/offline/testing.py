"""What the offline script's tests reviewer sees in Python: tests that cannot fail, and code that is hard to exercise.

Decides from the syntax of one file alone. Which code has tests at all is decided in `gaps.py`, from the project's
listing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from agents.offline import rules
from agents.offline.python_source import (
    Found,
    FunctionNode,
    PythonSource,
    branches_of,
    counted,
    keywords_of,
    length_of,
)

LONG_FUNCTION_LINES = 80
MANY_BRANCHES = 15

_CHECKS = re.compile(r"_?(?:assert|raises|warns|fail|check|verify|expect|must|should)", re.IGNORECASE)


def check(node: ast.AST, source: PythonSource) -> Iterator[Found]:
    """Yield what makes the function at `node` hard to exercise as a whole."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        lines, branches = length_of(node), branches_of(node)
        if lines > LONG_FUNCTION_LINES or branches > MANY_BRANCHES:
            note = f"`{node.name}` has {counted(lines, 'line')} and {counted(branches, 'branch', 'branches')}"
            yield Found(rule=rules.HEAVY_FUNCTION, line=node.lineno, note=note, weight=lines + branches)


def check_test(node: ast.AST, source: PythonSource) -> Iterator[Found]:
    """Yield what is wrong at `node` of a file of tests."""
    yield from check(node, source)
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name.startswith("test"):
            if not _can_fail(node):
                yield Found(rule=rules.EMPTY_TEST, line=node.lineno)
            for decorator in node.decorator_list:
                if _skips_without_reason(decorator, source):
                    yield Found(rule=rules.SKIPPED_TEST, line=decorator.lineno)
        case ast.Call(args=[ast.Name(id="Exception" | "BaseException")]) if source.called(node) == "pytest.raises":
            if "match" not in keywords_of(node):
                yield Found(rule=rules.ANY_ERROR_PASSES, line=node.lineno)


def _can_fail(function: FunctionNode) -> bool:
    """Whether a test can fail on purpose: an assertion, a `raises`, or a call that is named like a check."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Assert, ast.Raise)):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if _CHECKS.match(name):
                return True
    return False


def _skips_without_reason(decorator: ast.expr, source: PythonSource) -> bool:
    called = decorator if isinstance(decorator, ast.Call) else None
    name = source.full_name(called.func if called else decorator)
    given = called is not None and (called.args or called.keywords)
    return name in {"pytest.mark.skip", "unittest.skip"} and not given and not source.has_reason(decorator)
