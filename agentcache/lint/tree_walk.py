"""Walks Jinja's syntax trees in the order of the text, several times faster than the walk that nodes bring along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from jinja2 import nodes

_Found = TypeVar("_Found", bound=nodes.Node)

_LEAVES = frozenset({nodes.Name, nodes.TemplateData, nodes.Const, nodes.NSRef})


def children(node: nodes.Node) -> list[nodes.Node]:
    """Return the nodes right below one, as `Node.iter_child_nodes` gives them."""
    found: list[nodes.Node] = []
    if node.__class__ in _LEAVES:
        return found
    for name in node.fields:
        item = getattr(node, name, None)
        if isinstance(item, list):
            found += [each for each in item if isinstance(each, nodes.Node)]
        elif isinstance(item, nodes.Node):
            found.append(item)
    return found


def all_below(node: nodes.Node, kind: type[_Found] | tuple[type[_Found], ...]) -> Iterator[_Found]:
    """Yield the nodes of a kind below one, as `Node.find_all` gives them; any depth is walked."""
    waiting = children(node)[::-1]
    while waiting:
        child = waiting.pop()
        if isinstance(child, kind):
            yield child
        if child.__class__ not in _LEAVES:
            waiting += children(child)[::-1]
