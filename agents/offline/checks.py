"""What the review team's offline script can say about one file: the checks of a reviewer, gathered into hits.

This module decides which checks a file gets: Python is parsed, other languages are read line by line. It judges text
that it is given and knows no directory, no tool and no request. It finds less than a model and understands nothing;
every hit names a line that holds what it says.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from agents.offline import correctness, performance, rules, security, testing
from agents.offline.python_source import (
    FUNCTIONS,
    Found,
    FunctionNode,
    PythonSource,
    branches_of,
    counted,
    raises_of,
    read_python,
)
from agents.offline.rules import Role, Rule, Severity

CODE_SUFFIXES = frozenset({
    ".py", ".pyi", ".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".go", ".rs", ".java", ".kt", ".scala", ".c", ".h",
    ".cc", ".cpp", ".hpp", ".cs", ".rb", ".php", ".swift", ".sh", ".bash", ".zsh", ".ps1", ".pl", ".pm", ".t", ".lua",
    ".ex", ".exs", ".erl", ".hs", ".ml", ".clj", ".jl", ".r", ".dart", ".zig", ".sql", ".vue",
})  # fmt: skip

_LOWER: dict[Severity, Severity] = {"critical": "high", "high": "medium", "medium": "low", "low": "low"}
_CUT = re.compile(r"\[cut: \d+ more characters\]$", re.MULTILINE)
_TEST_NAME = re.compile(r"(^|[._-])(test|tests|spec)([._-]|$)|^conftest\.|Tests?\.\w+$")
_IN_SHIPPED_CODE_ONLY = frozenset({rules.ASSERT, rules.UNCHECKED_TYPE, rules.NO_ENCODING, rules.SHARED_DIRECTORY})

Check = Callable[[ast.AST, PythonSource], Iterator[Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One rule in one file: all its lines, the worst first, and what was counted at that one."""

    rule: Rule
    lines: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A function or class that others can use. `branches` and `raises` are counted in Python functions only."""

    name: str
    line: int
    branches: int = 0
    raises: int = 0

    @property
    def cases(self) -> int:
        """How much there is to exercise."""
        return self.branches + self.raises

    def sentence(self) -> str:
        """Return what was counted, in words."""
        return f"`{self.name}` has {counted(self.branches, 'branch', 'branches')} and {self.raises} `raise`"


def is_code(path: str) -> bool:
    """Whether `path` is named like source code in a language that people write programs in."""
    return PurePosixPath(path).suffix.lower() in CODE_SUFFIXES


def is_test(path: str) -> bool:
    """Whether `path` is named like a test or stands in a directory of tests."""
    parts = PurePosixPath(path).parts
    in_tests = any(part.lower() in {"t", "test", "tests", "spec", "__tests__"} for part in parts[:-1])
    return in_tests or bool(_TEST_NAME.search(parts[-1] if parts else ""))


def check_file(path: str, lines: Sequence[str], role: Role) -> list[Hit]:
    """Return what `role` would report about a file, one hit for each rule; `lines[0]` is line 1."""
    found: dict[Rule, dict[int, Found]] = {}
    for item in _all_found(path, lines, role):
        found.setdefault(item.rule, {}).setdefault(item.line, item)
    hits = []
    for rule, by_line in found.items():
        worst_first = sorted(by_line.values(), key=lambda item: (-item.weight, item.line))
        lines_of = tuple(item.line for item in worst_first)
        hits.append(Hit(rule=_placed(rule, path), lines=lines_of, note=worst_first[0].note))
    return hits


def definitions(path: str, lines: Sequence[str]) -> list[Definition]:
    """Return the functions and classes of a file that others can use, in the order of the file."""
    if not is_code(path):
        return []
    matches = ((number, _DEFINITION.match(line)) for number, line in enumerate(lines, start=1))
    by_line = {number: Definition(name=match[1], line=number) for number, match in matches if match}
    by_line.update((item.line, item) for item in _python_definitions(path, lines))
    return [by_line[line] for line in sorted(by_line)]


def _python_definitions(path: str, lines: Sequence[str]) -> Iterator[Definition]:
    """Yield the public functions of a module and the public methods of its public classes."""
    source = _parsed(path, lines)
    if not isinstance(source, PythonSource):
        return
    classes = [node for node in source.tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for node in (*source.tree.body, *(node for item in classes for node in item.body)):
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            yield _definition(node)


def _definition(node: FunctionNode) -> Definition:
    return Definition(name=node.name, line=node.lineno, branches=branches_of(node), raises=raises_of(node))


def _placed(rule: Rule, path: str) -> Rule:
    """Test code ranks one step lower, as the severity scale has it; the tests reviewer's own rules do not."""
    return rule if not is_test(path) or rule.role == "tests" else replace(rule, severity=_LOWER[rule.severity])


def _all_found(path: str, lines: Sequence[str], role: Role) -> Iterator[Found]:
    for pattern, applies, rule in _LINE_RULES:
        if rule.role == role and applies(path):
            for number, line in enumerate(lines, start=1):
                if pattern.search(line) and not _PLACEHOLDER.search(line):
                    yield Found(rule=rule, line=number)
    source = _parsed(path, lines)
    if isinstance(source, Found):
        yield from [source] if source.rule.role == role else []
    elif source is not None:
        yield from _python_found(source, role, in_test=is_test(path))


def _python_found(source: PythonSource, role: Role, *, in_test: bool) -> Iterator[Found]:
    check = testing.check_test if in_test and role == "tests" else _CHECKS[role]
    for node in source.nodes:
        for item in check(node, source):
            if not in_test or item.rule not in _IN_SHIPPED_CODE_ONLY:
                yield item


def _parsed(path: str, lines: Sequence[str]) -> PythonSource | Found | None:
    """Return a Python file parsed, the place where it cannot be, or `None` for another file or a shortened one."""
    if PurePosixPath(path).suffix.lower() not in {".py", ".pyi"}:
        return None
    text = "\n".join(lines) + "\n"
    try:
        return read_python(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if _CUT.search(text):  # a line that was shown in part may not parse
            return None
        line = min(max(getattr(error, "lineno", None) or 1, 1), max(len(lines), 1))
        return Found(rule=rules.UNPARSED, line=line)


_CHECKS: dict[Role, Check] = {
    "correctness": correctness.check,
    "security": security.check,
    "performance": performance.check,
    "tests": testing.check,
}
_DEFINITION = re.compile(
    r"(?:export\s+)?(?:default\s+)?(?:pub(?:\([\w:]+\))?\s+)?(?:async\s+)?(?:def|class|function|func|fn|sub)\s+"
    r"(?:\([^)]*\)\s*)?([A-Za-z]\w*)(?=\s*[(:{<\[]|\s+(?:extends|implements|where)\b)"
)
_PLACEHOLDER = re.compile(
    r"""["'](?:<[^"'>]*>|\{[^"']*\}|\$[^"']*|x{3,}|\*+|[^"']*(?:example|change.?me|dummy|placeholder|your[_-]|redacted)[^"']*)["']""",
    re.IGNORECASE,
)


def _anywhere(_path: str) -> bool:
    return True


def _in_scripts(path: str) -> bool:
    return PurePosixPath(path).suffix in {".js", ".jsx", ".ts", ".tsx", ".mjs", ".vue", ".html"}


_LINE_RULES: tuple[tuple[re.Pattern[str], Callable[[str], bool], Rule], ...] = (
    (re.compile(r"(?:#|//|/\*|--|<!--|^\s*\*)\s*(?:TODO|FIXME|XXX|HACK)\b"), is_code, rules.UNFINISHED),
    (re.compile(r"\bcatch\s*(?:\([^)]*\))?\s*\{\s*\}"), is_code, rules.EMPTY_CATCH),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b"),
        _anywhere,
        rules.PRIVATE_KEY,
    ),
    (
        re.compile(
            r"""(?:password|passwd|secret|api_?key|access_?key|auth_?token)["']?\s*[:=]\s*["'](?=[^"'\s]*\d)[^"'\s]{8,}["']""",
            re.IGNORECASE,
        ),
        _anywhere,
        rules.SECRET,
    ),
    (re.compile(r"\bchmod\b[^\n]*\b0?o?777\b"), _anywhere, rules.OPEN_MODE),
    (re.compile(r"\b(?:curl|wget)\b[^|#]*\|\s*(?:sudo\s+)?(?:ba|z)?sh\b"), _anywhere, rules.PIPED_SCRIPT),
    (re.compile(r"(?<![\w.])eval\s*\(\s*[^\s\"'`)]"), _in_scripts, rules.EVAL),
    (re.compile(r"\.innerHTML\s*=[^=]|dangerouslySetInnerHTML|document\.write\("), _in_scripts, rules.RAW_HTML),
    (re.compile(r"\bSELECT\s+\*\s+FROM\b", re.IGNORECASE), is_code, rules.SELECT_STAR),
    (re.compile(r"\b(?:time\.sleep|Thread\.sleep)\s*\("), is_test, rules.SLEEPING_TEST),
)
