"""Which names the lines of a template bind for what stands behind them, and which they need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import nodes

_GIVEN = frozenset({"loop", "caller", "varargs", "kwargs", "self", "super"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """binds: what later lines of the file see (`set`, `macro`, `import`). needs: what must be there already."""

    binds: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()


def names_between(tree: nodes.Template, first: int, last: int) -> Names:
    """Return the names of the statements and prints in lines `first` to `last`, which cut no block in two."""
    statements = list(_statements(tree, first, last))
    binds = frozenset(name for statement in statements for name in _bound(statement))
    local = {name for statement in statements for name in _local(statement)}
    used = {name for statement in statements for name in _used(statement)}
    changed = {name for statement in statements for name in _attributes_set(statement)}
    return Names(binds=binds, needs=frozenset((used - local - binds - _GIVEN) | changed))


def bound_in(tree: nodes.Template) -> frozenset[str]:
    """Return every name that a whole template binds at its top."""
    return frozenset(name for statement in tree.body for name in _bound(statement))


def in_blocks(tree: nodes.Template) -> bool:
    """Tell whether a template is part of an inheritance, where what stands outside blocks is not put out."""
    return next(tree.find_all((nodes.Extends, nodes.Block)), None) is not None


def _statements(tree: nodes.Template, first: int, last: int) -> Iterator[nodes.Node]:
    for statement in tree.body:
        parts: Sequence[nodes.Node] = statement.nodes if isinstance(statement, nodes.Output) else (statement,)
        for part in parts:
            line: int | None = part.lineno or statement.lineno
            if line is None:  # as of what an extension's tag makes: the first line in it counts
                line = next((node.lineno for node in part.find_all(nodes.Node) if node.lineno), first)
            if first <= line <= last and not isinstance(part, nodes.TemplateData):
                yield part


def _bound(statement: nodes.Node) -> Iterator[str]:
    if isinstance(statement, nodes.Assign | nodes.AssignBlock):
        yield from _names(statement.target)
    elif isinstance(statement, nodes.Macro):
        yield statement.name
    elif isinstance(statement, nodes.Import):
        yield statement.target
    elif isinstance(statement, nodes.FromImport):
        yield from (name if isinstance(name, str) else name[1] for name in statement.names)
    elif isinstance(statement, nodes.If):
        for child in (*statement.body, *statement.elif_, *statement.else_):
            yield from _bound(child)


def _local(statement: nodes.Node) -> Iterator[str]:
    """Yield the names that are bound inside a statement and nowhere else."""
    for node in (statement, *statement.find_all(nodes.Node)):
        if isinstance(node, nodes.For):
            yield from _names(node.target)
        elif isinstance(node, nodes.With):
            yield from (name for target in node.targets for name in _names(target))
        elif isinstance(node, nodes.Macro | nodes.CallBlock):
            yield from (argument.name for argument in node.args)
        else:
            yield from _bound(node)


def _used(statement: nodes.Node) -> Iterator[str]:
    own = [statement] if isinstance(statement, nodes.Name) else []
    yield from (name.name for name in (*own, *statement.find_all(nodes.Name)) if name.ctx == "load")


def _attributes_set(statement: nodes.Node) -> Iterator[str]:
    """Yield the names of namespaces that a statement changes and so needs, although it sets something of them."""
    yield from (reference.name for reference in statement.find_all(nodes.NSRef))


def _names(target: nodes.Node) -> Iterator[str]:
    if isinstance(target, nodes.Name | nodes.NSRef):
        yield target.name
    for kind in (nodes.Name, nodes.NSRef):
        yield from (found.name for found in target.find_all(kind) if isinstance(found, nodes.Name | nodes.NSRef))
