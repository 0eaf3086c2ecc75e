"""What a template reads from outside itself, seen on its syntax.

Follows Jinja's own scopes (loops, macros, blocks, `set`) and constant includes, imports and extends. Decides which
names a template uses, at which line, and whether it does without them. Knows no values and no layers, and renders
nothing; what it cannot see (a name that is set in one branch only, a wrong attribute) fails when it is rendered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import singledispatchmethod
from typing import TypeAlias

from jinja2 import Environment, nodes

from agentcache.errors import TemplateError
from agentcache.prompt.sandbox import parse
from agentcache.prompt.sections import Section

_Reference: TypeAlias = nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One place where a template reads a variable from outside itself."""

    name: str
    template: str
    line: int
    optional: bool = False
    """The template does without it."""
    isolated: bool = False
    """In a template that was brought in without context: no variable reaches it."""
    blocks: frozenset[str] = frozenset()
    """The blocks around it, which a child template may replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one template reads from outside, and what its top level defines for the template that it extends."""

    uses: tuple[Use, ...] = ()
    exports: frozenset[str] = frozenset()


class Scans:
    """Scans each template once, however many others include it."""

    def __init__(self, environment: Environment, includes: Mapping[str, str], *, sections: Collection[str]) -> None:
        self.environment = environment
        self._includes = includes
        self._sections = sections
        self._done: dict[str, Scan] = {}

    def of_section(self, section: Section) -> tuple[Use, ...]:
        """Return what a section and everything that it includes uses."""
        return _Walk(parse(self.environment, section.template, section.label), section.label, self).result().uses

    def of_include(self, name: str) -> Scan:
        """Return the scan of an included template; an empty one while it is being scanned (a recursive include)."""
        if name not in self._done:
            self._done[name] = Scan()
            self._done[name] = _Walk(parse(self.environment, self._includes[name], name), name, self).result()
        return self._done[name]

    def referred(self, node: _Reference, template: str) -> list[Scan]:
        """Return the scan of the template that `node` brings in; none where a missing one may be ignored.

        Raises `TemplateError` when the name is not constant or no template has it.
        """
        try:
            constant = node.template.as_const(nodes.EvalContext(self.environment, template))
        except nodes.Impossible:
            problem = (
                "the name of this template is no constant, so what it uses cannot be checked; "
                "write constant names, one `{% include %}` in each branch of an `{% if %}`"
            )
            raise TemplateError(
                f"{template}, line {node.lineno}: {problem}", template=template, line=node.lineno
            ) from None
        wanted = list(constant) if isinstance(constant, list | tuple) else [constant]
        found = next((name for name in wanted if name in self._includes), None)
        if found is None and not (isinstance(node, nodes.Include) and node.ignore_missing):
            problem = self._no_template(wanted)
            raise TemplateError(f"{template}, line {node.lineno}: {problem}", template=template, line=node.lineno)
        return [] if found is None else [self.of_include(found)]

    def _no_template(self, wanted: list[object]) -> str:
        problem = f"there is no template {' or '.join(map(repr, wanted))} to include"
        if any(name in self._sections for name in wanted):
            return f"{problem}, since a file of that name is a section itself; rename it"
        close = get_close_matches(str(wanted[0]), self._includes, n=1) if wanted else []
        return f"{problem}; did you mean {close[0]!r}?" if close else problem


class _Walk:
    """One pass over one template, in the order in which Jinja evaluates it."""

    # Without a weak reference to itself, by which `singledispatchmethod` of Python 3.13.0 to 3.13.2 keeps what it is
    # called on for ever (https://github.com/python/cpython/issues/127750).
    __slots__ = ("_blocks", "_guarded", "_label", "_later", "_scans", "_scopes", "_top", "_tree", "_uses")

    def __init__(self, tree: nodes.Template, label: str, scans: Scans) -> None:
        self._tree = tree
        self._label = label
        self._scans = scans
        self._uses: list[tuple[int, Use]] = []
        self._top: set[str] = {"self"}
        self._scopes: list[set[str]] = [set(scans.environment.globals), self._top]
        self._blocks: frozenset[str] = frozenset()
        self._guarded: set[str] = set()
        self._later: list[tuple[list[nodes.Node], list[set[str]], frozenset[str]]] = []
        """Bodies of macros and blocks with their scopes: they run when called, and see all that is defined by then."""

    def result(self) -> Scan:
        """Walk, and return what the template and all that it includes uses, in order of lines."""
        self._visit_all(self._tree.body)
        while self._later:
            body, self._scopes, self._blocks = self._later.pop(0)
            self._visit_all(body)
        uses = [use for _, use in sorted(self._uses, key=lambda found: found[0])]
        exports = frozenset(self._top)
        for extends in self._tree.find_all(nodes.Extends):
            for parent in self._scans.referred(extends, self._label):
                uses = self._extended(uses, exports, parent)
                exports |= parent.exports
        guarded = [replace(use, optional=True) if use.name in self._guarded else use for use in uses]
        return Scan(uses=tuple(guarded), exports=exports)

    def _extended(self, uses: list[Use], exports: frozenset[str], parent: Scan) -> list[Use]:
        replaced = {block.name for block in self._tree.find_all(nodes.Block) if not _calls_super(block)}
        own = [use for use in uses if not use.blocks or use.isolated or use.name not in parent.exports]
        inherited = [
            use for use in parent.uses if not use.blocks & replaced and (use.isolated or use.name not in exports)
        ]
        return own + inherited

    def _is_defined(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def _use(self, name: str, line: int, *, optional: bool = False) -> None:
        if not self._is_defined(name):
            use = Use(name=name, template=self._label, line=line, optional=optional, blocks=self._blocks)
            self._uses.append((line, use))

    def _define(self, *names: str) -> None:
        self._scopes[-1].update(names)

    @contextmanager
    def _scope(self, *names: str) -> Iterator[None]:
        self._scopes.append(set(names))
        yield
        self._scopes.pop()

    def _bring_in(self, node: nodes.Include | nodes.Import | nodes.FromImport) -> None:
        for scan in self._scans.referred(node, self._label):
            for use in scan.uses:
                isolated = use.isolated or not node.with_context
                if isolated or not self._is_defined(use.name):
                    self._uses.append((node.lineno, replace(use, isolated=isolated, blocks=self._blocks)))

    def _visit_all(self, tree: Iterable[nodes.Node]) -> None:
        for node in tree:
            self._visit(node)

    @singledispatchmethod
    def _visit(self, node: nodes.Node) -> None:
        self._visit_all(node.iter_child_nodes())

    @_visit.register
    def _name(self, node: nodes.Name) -> None:
        if node.ctx == "load":
            self._use(node.name, node.lineno)
        else:
            self._define(node.name)

    @_visit.register
    def _namespace(self, node: nodes.NSRef) -> None:
        self._use(node.name, node.lineno)

    @_visit.register
    def _filter(self, node: nodes.Filter) -> None:
        if node.name in {"default", "d"} and isinstance(node.node, nodes.Name):
            self._use(node.node.name, node.lineno, optional=True)
            self._visit_all(node.iter_child_nodes(exclude=("node",)))
        else:
            self._visit_all(node.iter_child_nodes())

    @_visit.register
    def _test(self, node: nodes.Test) -> None:
        if node.name in {"defined", "undefined"} and isinstance(node.node, nodes.Name):
            self._guarded.add(node.node.name)
        self._visit_all(node.iter_child_nodes())

    @_visit.register
    def _assign(self, node: nodes.Assign) -> None:
        self._visit(node.node)
        self._visit(node.target)

    @_visit.register
    def _assign_block(self, node: nodes.AssignBlock) -> None:
        with self._scope():
            self._visit_all(node.iter_child_nodes(exclude=("target",)))
        self._visit(node.target)

    @_visit.register
    def _if(self, node: nodes.If) -> None:
        self._visit(node.test)
        scope, defined = self._scopes[-1], set(self._scopes[-1])
        after = set(defined)
        for branch in (node.body, node.elif_, node.else_):
            self._visit_all(branch)
            after |= scope
            scope &= defined
        scope |= after

    @_visit.register
    def _for(self, node: nodes.For) -> None:
        self._visit(node.iter)
        with self._scope("loop"):
            self._visit_all(node.iter_child_nodes(exclude=("iter", "else_")))
        with self._scope():
            self._visit_all(node.else_)

    @_visit.register
    def _with(self, node: nodes.With) -> None:
        self._visit_all(node.values)
        with self._scope():
            self._visit_all([*node.targets, *node.body])

    @_visit.register(nodes.FilterBlock)
    @_visit.register(nodes.Scope)
    def _scoped(self, node: nodes.Node) -> None:
        with self._scope():
            self._visit_all(node.iter_child_nodes())

    @_visit.register
    def _macro(self, node: nodes.Macro) -> None:
        self._define(node.name)
        inside = {"caller", "varargs", "kwargs", *(argument.name for argument in node.args)}
        self._later.append(([*node.defaults, *node.body], [*self._scopes, inside], self._blocks))

    @_visit.register
    def _call_block(self, node: nodes.CallBlock) -> None:
        self._visit(node.call)
        with self._scope(*(argument.name for argument in node.args)):
            self._visit_all([*node.defaults, *node.body])

    @_visit.register
    def _block(self, node: nodes.Block) -> None:
        around = self._scopes if node.scoped else self._scopes[:2]
        self._later.append((node.body, [*around, {"super"}], self._blocks | {node.name}))

    @_visit.register
    def _include(self, node: nodes.Include) -> None:
        self._bring_in(node)

    @_visit.register
    def _import(self, node: nodes.Import) -> None:
        self._bring_in(node)
        self._define(node.target)

    @_visit.register
    def _from_import(self, node: nodes.FromImport) -> None:
        self._bring_in(node)
        self._define(*(name if isinstance(name, str) else name[1] for name in node.names))


def _calls_super(block: nodes.Block) -> bool:
    return any(name.name == "super" for name in block.find_all(nodes.Name))
