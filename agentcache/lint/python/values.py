"""The value of an expression in a Python file, as far as its text tells it: texts, lists, paths, what is declared.

Runs no code. What is not known stays the expression that it is, so that the linter can see that `datetime.now()` is a
clock.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agentcache.lint.located_text import LocatedText
from agentcache.lint.python.expressions import as_template_expression
from agentcache.lint.python.literals import PythonText, Shown
from agentcache.lint.python.scopes import Scope

MOST_NESTED = 60
"""Deeper than any declaration; an expression that means itself ends here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What only running the code would tell."""

    node: ast.expr
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePath:
    """A path, with `/`; one that does not begin with it is relative to where the program runs."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileText:
    """The text of a file."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a call of ours makes. what: `Agent`, `Prompt`, `Prompt.from_dir`, `Section`, `Team`, `Team.agent`, a tool.

    open: it has arguments (`**options`) that only running the code would tell.
    """

    what: str
    node: ast.Call
    scope: Scope
    positional: Sequence[Value]
    named: Mapping[str, Value]
    team: Made | None = None
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFunction:
    """A function of the file."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    scope: Scope


Value: TypeAlias = (
    "Unknown | FilePath | FileText | Made | NamedFunction | LocatedText | Sequence[Value] | Mapping[str, Value]"
    " | bool | int | float | None"
)

_OURS = frozenset({"Agent", "Prompt", "Prompt.from_dir", "Section", "Team", "Stability"})


class Evaluation:
    """Evaluates the expressions of one file."""

    def __init__(self, source: PythonText) -> None:
        self.source = source
        self._known: dict[tuple[ast.expr, Scope], Value] = {}

    def value(self, node: ast.expr, scope: Scope, depth: int = 0) -> Value:
        """Return the value of an expression."""
        if depth > MOST_NESTED:
            return Unknown(node=node, scope=scope)
        if (node, scope) not in self._known:
            self._known[node, scope] = _Reader(self, scope, depth).value(node)
        return self._known[node, scope]

    def returned(self, function: NamedFunction) -> Value:
        """Return what a function returns that has one `return`, at its end; `None` where that is not so."""
        *_, last = function.node.body
        returns = [node for node in ast.walk(function.node) if isinstance(node, ast.Return)]
        if not isinstance(last, ast.Return) or last.value is None or len(returns) != 1:
            return None
        return self.value(last.value, Scope(function.node, outer=function.scope))

    def called(self, node: ast.Call, scope: Scope) -> Made | None:
        """Return what a call makes when it is a call of ours."""
        return _Reader(self, scope, 0).made(node)


class _Reader:
    """Reads expressions in one scope."""

    def __init__(self, evaluation: Evaluation, scope: Scope, depth: int) -> None:
        self._evaluation = evaluation
        self._source = evaluation.source
        self._scope = scope
        self._depth = depth

    def _at(self, node: ast.expr, scope: Scope | None = None) -> Value:
        return self._evaluation.value(node, scope or self._scope, self._depth + 1)

    def value(self, node: ast.expr) -> Value:
        unknown = Unknown(node=node, scope=self._scope)
        match node:
            case ast.Constant(value=str()) | ast.JoinedStr():
                return self._text(node)
            case ast.Constant(value=bool() | int() | float() | None as plain):
                return plain
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return self._items(items) if not _starred(items) else unknown
            case ast.Dict(keys=keys, values=values):
                return self._mapping(keys, values) or unknown
            case ast.Name():
                return self._named(node)
            case ast.BinOp():
                return self._combined(node)
            case ast.Attribute(attr="parent"):
                path = self._at(node.value)
                return FilePath(path=posixpath.dirname(path.path)) if isinstance(path, FilePath) else unknown
            case ast.Call():
                made = self.made(node)
                found = made if made is not None else self._called(node)
                return unknown if found is None else found
        return unknown

    def _items(self, items: Sequence[ast.expr]) -> list[Value]:
        return [self._at(item) for item in items]

    def _mapping(self, keys: Sequence[ast.expr | None], values: Sequence[ast.expr]) -> Mapping[str, Value] | None:
        names = [key.value if isinstance(key, ast.Constant) else None for key in keys]
        if not all(isinstance(name, str) for name in names):
            return None
        return {str(name): self._at(value) for name, value in zip(names, values, strict=True)}

    def _named(self, node: ast.Name) -> Value:
        if node.id == "__file__":
            return FilePath(path=self._source.path)
        owner = self._scope.owner(node.id)
        if owner is not None and node.id in owner.values:
            return self._at(owner.values[node.id], owner)
        if owner is not None and node.id in owner.functions:
            return NamedFunction(node=owner.functions[node.id], scope=owner)
        return Unknown(node=node, scope=self._scope)

    def _text(self, node: ast.Constant | ast.JoinedStr) -> LocatedText:
        """Return a literal's text; what stands in the braces of an f-string becomes a print of a template.

        Inside the braces Python 3.11 misplaces what it parses; such a literal is one text at one place.
        """
        shown = [each.value for each in getattr(node, "values", ()) if isinstance(each, ast.FormattedValue)]
        pieces = self._source.pieces(node)
        if sum(isinstance(piece, Shown) for piece in pieces) == len(shown):
            expressions = iter(shown)
            whole = self._source.made_at(node, "")
            for piece in pieces:
                whole += self._print(next(expressions), piece.expression) if isinstance(piece, Shown) else piece
            if not isinstance(node, ast.Constant) or whole.text == node.value:
                return whole
        if isinstance(node, ast.Constant):
            return self._source.made_at(node, str(node.value))
        return print_of(Unknown(node=node, scope=self._scope), self._source)

    def _print(self, shown: ast.expr, written: LocatedText) -> LocatedText:
        """Return a known text, or what prints an expression in a template, each character where it is written."""
        known = self._at(shown)
        if isinstance(known, LocatedText):
            return known
        followed = as_template_expression(shown, self._scope)
        kept = written.oneline() if followed == " ".join(written.text.split()) else written.filled(followed)
        before, behind = written.part(0, 0), written.part(len(written.text), len(written.text))
        return replace(before.filled("{{ ") + kept + behind.filled(" }}"), prints_python=True)

    def _combined(self, node: ast.BinOp) -> Value:
        left, right = self._at(node.left), self._at(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, LocatedText) != isinstance(right, LocatedText):
            left, right = self._as_text(left), self._as_text(right)
        match node.op, left, right:
            case ast.Add(), LocatedText(), LocatedText():
                return left + right
            case ast.Add(), list(), list():
                return [*left, *right]
            case ast.Mult(), LocatedText(), int():
                return left.repeated(right)
            case ast.Div(), FilePath(path=above), LocatedText(text=name):
                return FilePath(path=posixpath.join(above, name))
        return Unknown(node=node, scope=self._scope)

    def _as_text(self, value: Value) -> Value:
        """Return what is added to a text as the print of a template."""
        if not isinstance(value, Unknown):
            return value
        return print_of(value, self._source)

    def made(self, node: ast.Call) -> Made | None:
        """Return what a call of ours makes."""
        name = self._scope.dotted(node.func) or ""
        what = name.rpartition(".from_dir")[0].rpartition(".")[2] + ".from_dir" if name.endswith(".from_dir") else ""
        what = what or name.rpartition(".")[2]
        team = None
        if isinstance(node.func, ast.Attribute) and node.func.attr == "agent":
            owner = self._at(node.func.value)
            team = owner if isinstance(owner, Made) and owner.what == "Team" else None
            what = "Team.agent" if team else ""
        elif not name.startswith("agentcache.") or what not in _OURS:
            return None
        if not what:
            return None
        return Made(
            what=what,
            node=node,
            scope=self._scope,
            positional=self._items([each for each in node.args if not isinstance(each, ast.Starred)]),
            named={each.arg: self._at(each.value) for each in node.keywords if each.arg is not None},
            team=team,
            open=_starred(node.args) or any(each.arg is None for each in node.keywords),
        )

    def _called(self, node: ast.Call) -> Value:
        name = self._scope.dotted(node.func) or ""
        first = self._at(node.args[0]) if len(node.args) == 1 and not node.keywords else None
        match name, first:
            case ("textwrap.dedent", LocatedText()):
                return first.dedented()
            case ("inspect.cleandoc", LocatedText()):
                return first.cleaned()
            case ("pathlib.Path" | "pathlib.PurePath" | "os.fspath" | "os.path.abspath" | "os.path.realpath", _):
                return _path(first)
            case ("os.path.dirname", FilePath(path=path)):
                return FilePath(path=posixpath.dirname(path))
        if name == "os.path.join":
            return _joined(self._items(node.args))
        if isinstance(node.func, ast.Name) and node.func.id == "str" and isinstance(first, FilePath):
            return first
        return self._method(node) if isinstance(node.func, ast.Attribute) else None

    def _method(self, node: ast.Call) -> Value:
        if not isinstance(node.func, ast.Attribute):
            return None
        method, owner = node.func.attr, self._at(node.func.value)
        arguments = self._items(node.args)
        if isinstance(owner, LocatedText) and method in {"strip", "lstrip", "rstrip"}:
            characters = arguments[0] if arguments else None
            return owner.stripped(method, characters.text if isinstance(characters, LocatedText) else None)
        if isinstance(owner, LocatedText) and method == "join" and arguments and isinstance(arguments[0], list):
            return _join(owner, arguments[0])
        if isinstance(owner, FilePath):
            if method in {"resolve", "absolute"}:
                return owner
            if method == "joinpath":
                return _joined([owner, *arguments])
            if method == "read_text":
                return FileText(path=owner.path)
        return None


def print_of(value: Unknown, source: PythonText) -> LocatedText:
    """Return a template that prints what is not known without running it, all of it at the expression's place."""
    text = "{{ " + as_template_expression(value.node, value.scope) + " }}"
    return replace(source.made_at(value.node, text), prints_python=True)


def _starred(items: Sequence[ast.expr]) -> bool:
    return any(isinstance(item, ast.Starred) for item in items)


def _path(value: Value) -> FilePath | None:
    if isinstance(value, LocatedText):
        return FilePath(path=value.text)
    return value if isinstance(value, FilePath) else None


def _joined(parts: Sequence[Value]) -> FilePath | None:
    paths = [_path(part) for part in parts]
    if not paths or any(path is None for path in paths):
        return None
    return FilePath(path=posixpath.join(*(path.path for path in paths if path is not None)))


def _join(between: LocatedText, parts: Sequence[Value]) -> LocatedText | None:
    texts = [part for part in parts if isinstance(part, LocatedText)]
    if len(texts) < len(parts) or not texts:
        return None
    whole = texts[0]
    for text in texts[1:]:
        whole = whole + between + text
    return whole
