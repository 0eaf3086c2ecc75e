"""Simple static checks of one source file, for the review team's offline script.

This module decides what a script without a model can say about a file: Python is parsed, other languages are read
line by line. It judges text that it is given and knows no directory, no tool and no request. It finds less than a
model and understands nothing; every finding names a line that holds what it says.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from agents import review_rules as rules
from agents.review_rules import LONG_FUNCTION_LINES, Role, Rule, Severity

CODE_SUFFIXES = frozenset({
    ".py", ".pyi", ".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".go", ".rs", ".java", ".kt", ".scala", ".c", ".h",
    ".cc", ".cpp", ".hpp", ".cs", ".rb", ".php", ".swift", ".sh", ".bash", ".zsh", ".ps1", ".pl", ".pm", ".t", ".lua",
    ".ex", ".exs", ".erl", ".hs", ".ml", ".clj", ".jl", ".r", ".dart", ".zig", ".sql", ".vue",
})  # fmt: skip

_LOWER: dict[Severity, Severity] = {"critical": "high", "high": "medium", "medium": "low", "low": "low"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CUT = re.compile(r"\[cut: \d+ more characters\]$", re.MULTILINE)
_TEST_NAME = re.compile(r"(^|[._-])(test|tests|spec)([._-]|$)|^conftest\.|Tests?\.\w+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One rule at one place, `lines` being all places in the file, ascending."""

    rule: Rule
    lines: tuple[int, ...]


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
    found: dict[Rule, set[int]] = {}
    for rule, line in _all_hits(path, lines, role):
        found.setdefault(rule, set()).add(line)
    return [Hit(rule=_placed(rule, path), lines=tuple(sorted(at))) for rule, at in found.items()]


def functions_of(path: str, lines: Sequence[str]) -> list[tuple[str, int]]:
    """Return the names and lines of the functions and classes of a file that others can use."""
    if not is_code(path):
        return []
    found = ((_DEFINITION.match(line), number) for number, line in enumerate(lines, start=1))
    return [(match[1], number) for match, number in found if match]


def _placed(rule: Rule, path: str) -> Rule:
    """Test code ranks one step lower, as the severity scale has it; the tests reviewer's own rules do not."""
    if not is_test(path) or rule.role == "tests":
        return rule
    return Rule(
        role=rule.role,
        severity=_LOWER[rule.severity],
        title=rule.title,
        explanation=rule.explanation,
        suggestion=rule.suggestion,
    )


def _all_hits(path: str, lines: Sequence[str], role: Role) -> Iterator[tuple[Rule, int]]:
    for pattern, applies, rule in _LINE_RULES:
        if rule.role == role and applies(path):
            for number, line in enumerate(lines, start=1):
                if pattern.search(line) and not _PLACEHOLDER.search(line):
                    yield rule, number
    if PurePosixPath(path).suffix.lower() in {".py", ".pyi"}:
        hits = _python_hits("\n".join(lines), in_test=is_test(path))
        yield from ((rule, line) for rule, line in hits if rule.role == role)


@lru_cache(maxsize=256)  # four roles ask about the same files
def _python_hits(text: str, *, in_test: bool) -> tuple[tuple[Rule, int], ...]:
    return tuple(_parsed_hits(text, in_test=in_test))


def _parsed_hits(text: str, *, in_test: bool) -> Iterator[tuple[Rule, int]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the parser thinks of the file's escapes is not our reader's concern
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if not _CUT.search(text):  # a line that was shown in part may not parse
            yield rules.UNPARSED, min(max(getattr(error, "lineno", None) or 1, 1), text.count("\n") + 1)
        return
    for node in ast.walk(tree):
        for check in _PYTHON_CHECKS:
            yield from ((rule, line) for rule, line in check(node) if rule is not rules.ASSERT or not in_test)
        if in_test and isinstance(node, _FUNCTIONS) and node.name.startswith("test") and not _asserts(node):
            yield rules.EMPTY_TEST, node.lineno


def _except_hits(node: ast.AST) -> Iterator[tuple[Rule, int]]:
    if not isinstance(node, ast.ExceptHandler):
        return
    broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
    silent = all(isinstance(item, (ast.Pass, ast.Continue)) for item in node.body)
    if node.type is None and not any(isinstance(item, ast.Raise) for item in ast.walk(node)):
        yield rules.BARE_EXCEPT, node.lineno
    elif broad and silent:
        yield rules.SILENT_EXCEPT, node.lineno


def _function_hits(node: ast.AST) -> Iterator[tuple[Rule, int]]:
    if not isinstance(node, _FUNCTIONS):
        return
    for default in (*node.args.defaults, *node.args.kw_defaults):
        if isinstance(default, (ast.List, ast.Dict, ast.Set)):
            yield rules.MUTABLE_DEFAULT, default.lineno
    if (node.end_lineno or node.lineno) - node.lineno >= LONG_FUNCTION_LINES:
        yield rules.LONG_FUNCTION, node.lineno
    if isinstance(node, ast.AsyncFunctionDef):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and _called(inner) in {"time.sleep", "requests.get", "requests.post"}:
                yield rules.BLOCKING, inner.lineno


def _statement_hits(node: ast.AST) -> Iterator[tuple[Rule, int]]:
    if isinstance(node, ast.Assert):
        yield rules.ASSERT, node.lineno
    if isinstance(node, ast.Compare):
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, (ast.Eq, ast.NotEq)) and isinstance(right, ast.Constant) and right.value is None:
                yield rules.EQUALS_NONE, node.lineno
    if isinstance(node, ast.For) and isinstance(node.iter, ast.Name):
        yield from _loop_hits(node, node.iter.id)


def _loop_hits(loop: ast.For, walked: str) -> Iterator[tuple[Rule, int]]:
    for inner in (item for statement in loop.body for item in ast.walk(statement)):
        if isinstance(inner, ast.For) and isinstance(inner.iter, ast.Name) and inner.iter.id == walked:
            yield rules.NESTED_LOOP, inner.lineno
        if isinstance(inner, ast.Call) and _called(inner) in {f"{walked}.remove", f"{walked}.insert", f"{walked}.pop"}:
            yield rules.CHANGED_IN_LOOP, inner.lineno
        if isinstance(inner, ast.Call) and _called(inner) in {f"{walked}.index", f"{walked}.count"}:
            yield rules.SEARCHED_IN_LOOP, inner.lineno


def _call_hits(node: ast.AST) -> Iterator[tuple[Rule, int]]:
    if not isinstance(node, ast.Call):
        return
    name = _called(node)
    keywords = {item.arg: item.value for item in node.keywords if item.arg}
    if name in {"eval", "exec"} and node.args and not isinstance(node.args[0], ast.Constant):
        yield rules.EVAL, node.lineno
    if name in {"os.system", "os.popen"} and node.args and not isinstance(node.args[0], ast.Constant):
        yield rules.SHELL, node.lineno
    if name.startswith("subprocess.") and _is(keywords.get("shell"), True):
        yield rules.SHELL, node.lineno
    if name in {"pickle.load", "pickle.loads", "marshal.loads", "dill.loads"}:
        yield rules.PICKLE, node.lineno
    if name == "yaml.load" and "Loader" not in keywords and len(node.args) < 2:
        yield rules.PICKLE, node.lineno
    if _is(keywords.get("verify"), False):
        yield rules.UNVERIFIED, node.lineno
    if name == "tempfile.mktemp":
        yield rules.MKTEMP, node.lineno


_PYTHON_CHECKS: tuple[Callable[[ast.AST], Iterator[tuple[Rule, int]]], ...] = (
    _except_hits,
    _function_hits,
    _statement_hits,
    _call_hits,
)


def _called(call: ast.Call) -> str:
    """Return the dotted name of what is called, empty when it is no plain name."""
    parts: list[str] = []
    target: ast.expr = call.func
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    return ".".join(reversed([*parts, target.id])) if isinstance(target, ast.Name) else ""


def _is(value: ast.expr | None, constant: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is constant


def _asserts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a test can fail on purpose: an assertion, a `raises`, or a call that is named like a check."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Assert, ast.Raise)):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if re.match(r"_?(assert|raises|warns|fail|check|verify|expect|must|should)", name, re.IGNORECASE):
                return True
    return False


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
