"""Marks a template's syntax so that rendering it tells which place each piece of text came from.

Every output gets filters around it that hand site and value to whoever listens (tracing.py) and return the value as it
is. Follows names through loops, `set`, `with` and macros back to the variables that they come from, as far as one
template shows it: what is printed by an included one is named there as it is written there.

What no mark can stand around (`{% call %}`, `{% filter %}`) is captured by a `set` and printed by a marked output. What
is made and not put out on the spot (a `set`, an import) is made between a mark that opens and one that drops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import TypeAlias

from jinja2 import nodes

from agentcache.prompt.provenance import Site

OPEN, CLOSE, TEXT, DROP = "<open>", "<close>", "<text>", "<drop>"
"""Names of the filters; no template can be written with them."""

ARGUMENT = "()"
"""Among a site's variables: whatever the macro around it was called with."""

_Names: TypeAlias = tuple[str, ...]
_MOST_NAMES = 8
_NO_VALUES = frozenset({"self", "super", "caller", "range", "dict", "namespace"})
_ARGUMENTS = frozenset({"varargs", "kwargs"})


@dataclass(slots=True)
class Sites:
    """The places of all templates that were marked, by number, and which of them are in the body of a macro."""

    places: list[Site] = field(default_factory=list)
    in_macro: set[int] = field(default_factory=set)

    def add(self, site: Site, *, in_macro: bool) -> int:
        """Take a place in and return its number."""
        self.places.append(site)
        if in_macro:
            self.in_macro.add(len(self.places) - 1)
        return len(self.places) - 1


def mark(tree: nodes.Template, template: str, sites: Sites) -> nodes.Template:
    """Return the tree with marks on all outputs; `template` is what messages call it. The tree itself is changed."""
    walk = _Walk(template, sites)
    tree.body = walk.statements(tree.body)
    return tree


def only_text(tree: nodes.Template, template: str) -> list[tuple[Site, str]] | None:
    """Return the pieces of a template that is nothing but text and so comes out as it stands; `None` for another."""
    parts = [part for node in tree.body if isinstance(node, nodes.Output) for part in node.nodes]
    texts = [part for part in parts if isinstance(part, nodes.TemplateData)]
    if len(texts) < len(parts) or not all(isinstance(node, nodes.Output) for node in tree.body):
        return None
    return [(Site(template=template, line=part.lineno), part.data) for part in texts]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What stands around a statement."""

    names: dict[str, _Names | None]
    """Where local names come from; `None` for what is called and not printed, a macro or an imported template."""
    under: _Names = ()
    in_macro: bool = False

    def inner(self, names: Mapping[str, _Names | None] | None = None, under: Iterable[str] = ()) -> _Around:
        return _Around(
            names={**self.names, **(names or {})},
            under=_unique([*self.under, *under]),
            in_macro=self.in_macro,
        )


class _Walk:
    """One pass over one template."""

    # As in `template_uses`: no weak reference by which a Python would keep it for ever.
    __slots__ = ("_captured", "_sites", "_template")

    def __init__(self, template: str, sites: Sites) -> None:
        self._template = template
        self._sites = sites
        self._captured = 0

    def statements(self, body: Sequence[nodes.Node], around: _Around | None = None) -> list[nodes.Node]:
        around = around or _Around(names={})
        return [marked for node in body for marked in self._marked(node, around)]

    @singledispatchmethod
    def _marked(self, node: nodes.Node, around: _Around) -> list[nodes.Node]:
        """Return what stands in place of a statement; where it has a body, with that marked."""
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = self.statements(body, around.inner())  # type: ignore[attr-defined]  # it has one
        return [node]

    @_marked.register
    def _output(self, node: nodes.Output, around: _Around) -> list[nodes.Node]:
        node.nodes = [self._part(part, around) for part in node.nodes]
        return [node]

    def _part(self, part: nodes.Expr, around: _Around) -> nodes.Expr:
        if isinstance(part, nodes.TemplateData):
            site = Site(template=self._template, line=part.lineno, under=around.under)
            return _filter(TEXT, part, self._number(site, around))
        return self._closing(part, self._printing([part], part.lineno, around), around)

    def _closing(self, value: nodes.Expr, site: Site, around: _Around) -> nodes.Expr:
        return _filter(CLOSE, _filter(OPEN, nodes.Const(None)), value, self._number(site, around))

    def _number(self, site: Site, around: _Around) -> nodes.Const:
        return nodes.Const(self._sites.add(site, in_macro=around.in_macro))

    def _printing(self, shown: Iterable[nodes.Node], line: int, around: _Around) -> Site:
        prints = _unique(name for node in shown for name in _shown(node, around.names))
        variables = _from(prints, around.names)
        return Site(
            template=self._template, line=line, prints=prints or ("…",), variables=variables, under=around.under
        )

    @_marked.register(nodes.CallBlock)
    @_marked.register(nodes.FilterBlock)
    def _captured_block(self, node: nodes.CallBlock | nodes.FilterBlock, around: _Around) -> list[nodes.Node]:
        inside = around
        shown: list[nodes.Node] = [node.call] if isinstance(node, nodes.CallBlock) else list(node.body)
        site = self._printing(shown, node.lineno, around)
        if isinstance(node, nodes.CallBlock):
            arguments: dict[str, _Names | None] = {argument.name: (ARGUMENT,) for argument in node.args}
            inside = _Around(names={**around.names, **arguments}, under=around.under, in_macro=True)
        node.body = self.statements(node.body, inside.inner())
        self._captured += 1
        name = f"_captured_{self._captured}"
        capture = nodes.AssignBlock(nodes.Name(name, "store"), None, [node])
        close = _filter(CLOSE, nodes.Const(None), nodes.Name(name, "load"), self._number(site, around))
        return _placed([_statement(OPEN), capture, nodes.Output([close])], node.lineno)

    @_marked.register
    def _assign(self, node: nodes.Assign, around: _Around) -> list[nodes.Node]:
        comes_from = _from(_shown(node.node, around.names), around.names)
        for target in _targets(node.target):
            # An attribute of a namespace is one of several: what the others come from stays.
            before = (around.names.get(target.name) or ()) if isinstance(target, nodes.NSRef) else ()
            around.names[target.name] = _unique([*before, *comes_from])
        if node.node.find(nodes.Call) is None:
            return [node]
        return _placed([_statement(OPEN), node, _statement(DROP)], node.lineno)

    @_marked.register
    def _assign_block(self, node: nodes.AssignBlock, around: _Around) -> list[nodes.Node]:
        shown = _unique(name for part in node.body for name in _shown(part, around.names))
        for target in _targets(node.target):
            around.names[target.name] = _from(shown, around.names)
        return _placed([_statement(OPEN), node, _statement(DROP)], node.lineno)

    @_marked.register(nodes.Import)
    @_marked.register(nodes.FromImport)
    def _import(self, node: nodes.Import | nodes.FromImport, around: _Around) -> list[nodes.Node]:
        if isinstance(node, nodes.Import):
            around.names[node.target] = None
        else:
            around.names.update({name if isinstance(name, str) else name[1]: None for name in node.names})
        return _placed([_statement(OPEN), node, _statement(DROP)], node.lineno)

    @_marked.register
    def _for(self, node: nodes.For, around: _Around) -> list[nodes.Node]:
        over = _from(_shown(node.iter, around.names), around.names)
        inside = around.inner({"loop": over, **{target.name: over for target in _targets(node.target)}}, over)
        if node.test is not None:
            inside = inside.inner(under=_from(_shown(node.test, inside.names), inside.names))
        node.body = self.statements(node.body, inside)
        node.else_ = self.statements(node.else_, around.inner(under=over))
        return [node]

    @_marked.register
    def _if(self, node: nodes.If, around: _Around) -> list[nodes.Node]:
        branches = [node, *node.elif_]
        tests = [_from(_shown(branch.test, around.names), around.names) for branch in branches]
        under = _unique(name for test in tests for name in test)
        inner = [around.inner(under=under) for _ in range(len(branches) + 1)]
        for branch, inside in zip(branches, inner, strict=False):
            branch.body = self.statements(branch.body, inside)
        node.else_ = self.statements(node.else_, inner[-1])
        for name in {name for inside in inner for name in inside.names}:
            # What a branch sets comes from there, or from what it was before.
            origins = [inside.names[name] for inside in inner if name in inside.names]
            called = any(origin is None for origin in origins)
            around.names[name] = None if called else _unique(each for origin in origins for each in origin or ())
        return [node]

    @_marked.register
    def _with(self, node: nodes.With, around: _Around) -> list[nodes.Node]:
        inside = around.inner()
        for target, value in zip(node.targets, node.values, strict=True):
            if isinstance(target, nodes.Name):
                inside.names[target.name] = _from(_shown(value, around.names), around.names)
        node.body = self.statements(node.body, inside)
        return [node]

    @_marked.register
    def _macro(self, node: nodes.Macro, around: _Around) -> list[nodes.Node]:
        around.names[node.name] = None
        arguments: dict[str, _Names | None] = {argument.name: (ARGUMENT,) for argument in node.args}
        inside = _Around(names={**around.names, **arguments}, in_macro=True)
        node.body = self.statements(node.body, inside)
        return [node]


def _targets(node: nodes.Node) -> list[nodes.Name | nodes.NSRef]:
    """Return the names that an assignment or a loop sets."""
    if isinstance(node, nodes.Name | nodes.NSRef):
        return [node]
    return [name for each in node.iter_child_nodes() for name in _targets(each)]


def _shown(node: nodes.Node, local: Mapping[str, _Names | None]) -> list[str]:
    """Return the names that are read in an expression or statement, with their attributes as they are written."""
    written = _path(node)
    if written is not None:
        name = written.split(".", 1)[0]
        called = name in local and local[name] is None
        return [] if called or (name in _NO_VALUES and name not in local) else [written]
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        inside: list[nodes.Node] = [node.node.node, *node.iter_child_nodes(exclude=("node",))]
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        # What a call of a name prints, it prints for its arguments; `loop(...)` goes on with the loop's own.
        inside = list(node.iter_child_nodes(exclude=("node",)))
    else:
        inside = list(node.iter_child_nodes())
    return [name for each in inside for name in _shown(each, local)]


def _path(node: nodes.Node) -> str | None:
    """Return a name with its attributes (`order.items[0]` is `order.items.0`); `None` for anything else."""
    if isinstance(node, nodes.Name):
        return node.name if node.ctx == "load" else None
    if isinstance(node, nodes.Getattr):
        above = _path(node.node)
        return None if above is None else f"{above}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        above = _path(node.node)
        return None if above is None else f"{above}.{node.arg.value}"
    return None


def _from(shown: Iterable[str], local: Mapping[str, _Names | None]) -> _Names:
    """Return the variables that names come from."""
    found: list[str] = []
    for written in shown:
        name = written.split(".", 1)[0]
        if name in _ARGUMENTS and name not in local:
            found.append(ARGUMENT)
        else:
            found.extend(local[name] or () if name in local else (name,))
    return _unique(found)


def _unique(names: Iterable[str]) -> _Names:
    return tuple(dict.fromkeys(names))[:_MOST_NAMES]


def _filter(name: str, value: nodes.Expr, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)


def _statement(name: str) -> nodes.Node:
    return nodes.ExprStmt(_filter(name, nodes.Const(None)))


def _placed(made: Sequence[nodes.Node], line: int) -> list[nodes.Node]:
    """Return nodes that were made here, with the line of what they stand for."""
    for node in made:
        node.set_lineno(line)
    return list(made)
