"""What names mean in a Python file, as far as its text shows it: what is imported, and what is assigned once.

Runs no code. A name that is assigned twice, in a loop or in a branch, or that a function is given, means nothing here.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)


class Scope:
    """The names of a module or of one function in it; looked for when the first of them is asked for."""

    def __init__(self, node: ast.AST, *, outer: Scope | None = None) -> None:
        self._node = node
        self.outer = outer

    @cached_property
    def _found(self) -> _Bindings:
        return _bindings(self._node)

    @property
    def taken(self) -> Collection[str]:
        """Every name that means something here."""
        return self._found.counts.keys()

    @property
    def imports(self) -> Mapping[str, str]:
        """Name -> what it stands for (`agentcache.Agent`)."""
        return self._found.imports

    @cached_property
    def values(self) -> Mapping[str, ast.expr]:
        """Name -> the expression that it is assigned, once."""
        return {name: value for name, value in self._found.values.items() if self._found.counts[name] == 1}

    @cached_property
    def functions(self) -> Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]:
        """Name -> the one function of that name."""
        return {name: each for name, each in self._found.functions.items() if self._found.counts[name] == 1}

    def owner(self, name: str) -> Scope | None:
        """Return the nearest scope in which a name means something."""
        scope: Scope | None = self
        while scope is not None and name not in scope.taken:
            scope = scope.outer
        return scope

    def dotted(self, node: ast.expr) -> str | None:
        """Return the full name of what an expression names (`agentcache.Prompt.from_dir`); `None` if not imported."""
        if isinstance(node, ast.Attribute):
            above = self.dotted(node.value)
            return None if above is None else f"{above}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        owner = self.owner(node.id)
        return None if owner is None else owner.imports.get(node.id)


def expressions(tree: ast.Module) -> Iterator[tuple[ast.expr, Scope]]:
    """Yield every expression of a module with the scope that it stands in, in the order of the text."""
    yield from _expressions(tree.body, Scope(tree))


def _expressions(body: Iterable[ast.AST], scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
    for node in body:
        if isinstance(node, ast.expr):
            yield node, scope
        inner = Scope(node, outer=scope) if isinstance(node, _FUNCTIONS) else scope
        # The parts of an f-string that are no expression are no literals of their own.
        parts = (
            [each.value for each in node.values if isinstance(each, ast.FormattedValue)]
            if isinstance(node, ast.JoinedStr)
            else ast.iter_child_nodes(node)
        )
        yield from _expressions(parts, inner)


@dataclass(slots=True)
class _Bindings:
    counts: dict[str, int] = field(default_factory=dict)
    values: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)

    def bind(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def _bindings(node: ast.AST) -> _Bindings:
    found = _Bindings()
    if isinstance(node, _FUNCTIONS):
        given = node.args
        for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
            if each is not None:
                found.bind(each.arg)
    body = getattr(node, "body", None)
    _bind_all(body if isinstance(body, list) else [], found, certain=True)
    return found


def _bind_all(body: Iterable[ast.AST], found: _Bindings, *, certain: bool) -> None:
    """Note what statements assign. certain: they are performed once, neither in a branch nor in a loop."""
    for node in body:
        if isinstance(node, ast.Assign) and certain and len(node.targets) == 1:
            _bind_value(node.targets[0], node.value, found)
        elif isinstance(node, ast.AnnAssign) and certain and node.value is not None:
            _bind_value(node.target, node.value, found)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            _bind_imports(node, found)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.bind(node.name)
            if not isinstance(node, ast.ClassDef) and certain:
                found.functions[node.name] = node
        else:
            _bind_inside(node, found, certain=certain and isinstance(node, ast.With | ast.AsyncWith | ast.Expr))


def _bind_inside(node: ast.AST, found: _Bindings, *, certain: bool) -> None:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        found.bind(node.id)
    elif isinstance(node, ast.Global | ast.Nonlocal):
        for name in node.names:
            found.bind(name)
    elif not isinstance(node, _SCOPES):
        _bind_all(ast.iter_child_nodes(node), found, certain=certain)


def _bind_value(target: ast.expr, value: ast.expr, found: _Bindings) -> None:
    if isinstance(target, ast.Name):
        found.bind(target.id)
        found.values[target.id] = value
    else:
        _bind_inside(target, found, certain=False)


def _bind_imports(node: ast.Import | ast.ImportFrom, found: _Bindings) -> None:
    for each in node.names:
        if isinstance(node, ast.ImportFrom):
            name, meaning = each.asname or each.name, f"{'.' * node.level}{node.module or ''}.{each.name}"
        else:
            name = each.asname or each.name.partition(".")[0]
            meaning = each.name if each.asname else name
        found.counts.setdefault(name, 1)  # imported in a branch and in another one, it means the same
        found.imports[name] = meaning
