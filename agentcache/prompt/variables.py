"""Which layer may use which variable: checked on the templates' syntax, before anything is rendered.

A layer may use its own variables and those of more stable layers. Decides what a template uses (as Jinja scopes names,
through constant includes, imports and extends) and which layer a name belongs to. Knows no values and renders
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

from agentcache.errors import MissingVariable, TemplateError, VariableLayerError
from agentcache.prompt.rendering import parse, template_environment
from agentcache.prompt.sections import Prompt, Section, Stability

_Reference: TypeAlias = nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends

_PROVIDE = {
    Stability.STATIC: "pass `{}` in `variables`",
    Stability.SEMI_STATIC: "give `{}` in `semi_static`",
    Stability.SESSION: "pass `{}` in `session`",
    Stability.TURN: "pass `{}` in `turn`",
}


def check_variables(
    prompt: Prompt, *, static: Collection[str], semi_static: Collection[str] | None
) -> Mapping[Stability, frozenset[str]]:
    """Check every use of a variable and return, for each layer, the names that it must provide.

    static, semi_static: the names that the agent provides; `semi_static=None` means a callable, whose names are open
    until a snapshot is taken. Any other name belongs to the layer that declares it (`prompt.declared`), else to the
    most stable of the layers that use it and are open: semi_static under a callable, session, turn.

    A use that does without the variable (`x | default(...)`, or `x is defined` somewhere in the same template) does
    not make it required. Every macro of an imported template counts, called or not.

    Raises `VariableLayerError` for a variable of a less stable layer than the section that uses it, `MissingVariable`
    for one that nothing provides, and `TemplateError` for an included template that is not there or whose name is no
    constant; all name template, line and variable.
    """
    environment = template_environment(prompt.includes)
    scans = _Scans(environment, prompt.includes, sections={_file_name(section) for section in prompt.sections})
    sites = [
        _Site(layer=layer, section=section, use=use)
        for layer in Stability
        for section in prompt.layer(layer)
        for use in scans.of_section(section)
    ]
    owners = _Owners(prompt.declared, sites, static=static, semi_static=semi_static)
    needed: dict[Stability, set[str]] = {layer: set() for layer in Stability}
    for site in sites:
        owner = owners.check(site)
        if owner is not None and not site.use.optional:
            needed[owner].add(site.use.name)
    return {layer: frozenset(names) for layer, names in needed.items()}


def _file_name(section: Section) -> str:
    return section.label.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
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
class _Site:
    """A use and the section whose text it becomes part of."""

    layer: Stability
    section: Section
    use: _Use

    def layer_error(self, owner: Stability) -> VariableLayerError:
        """Return the error for a use of a variable that belongs to the less stable `owner`."""
        *others, last = [layer.value for layer in Stability if layer.rank <= self.layer.rank]
        allowed = f"{', '.join(others)} and {last}" if others else last
        return VariableLayerError(
            f"{self._where()} is a {owner} variable, and a {self.layer} section{self._including()} may use {allowed} "
            f"variables only; move the sentence to a {owner} section, or {_PROVIDE[self.layer].format(self.use.name)}",
            template=self.use.template,
            line=self.use.line,
        )

    def missing_error(self, owner: Stability | None) -> MissingVariable:
        """Return the error for a use of a variable that nothing provides, not even the `owner` that declares it."""
        if self.use.isolated:
            problem = f"does not reach a template that is imported without context{self._including()}"
            remedy = "hand it to the macro as an argument, or write `with context` behind the import"
        elif owner is not None:
            problem = f"is declared as a {owner} variable{self._including()}, but the agent does not provide it"
            remedy = _PROVIDE[owner].format(self.use.name)
        else:
            problem = f"is used in a {self.layer} section{self._including()}, and no layer provides it"
            remedy = f"{_PROVIDE[self.layer].format(self.use.name)}, or write `{self.use.name} | default(...)`"
        message = f"{self._where()} {problem}; {remedy}"
        return MissingVariable(message, template=self.use.template, line=self.use.line)

    def _where(self) -> str:
        return f"{self.use.template}, line {self.use.line}: `{self.use.name}`"

    def _including(self) -> str:
        return "" if self.use.template == self.section.label else f" ({self.section.label}, which includes this)"


class _Owners:
    """Which layer each name belongs to, and whether it really comes from there."""

    def __init__(
        self,
        declared: Mapping[Stability, frozenset[str]],
        sites: Iterable[_Site],
        *,
        static: Collection[str],
        semi_static: Collection[str] | None,
    ) -> None:
        self._declared = declared
        self._provided: dict[Stability, Collection[str]] = {Stability.STATIC: static}
        if semi_static is not None:
            self._provided[Stability.SEMI_STATIC] = semi_static
        self._users: dict[str, set[Stability]] = {}
        for site in sites:
            if not site.use.optional and not site.use.isolated:
                self._users.setdefault(site.use.name, set()).add(site.layer)

    def check(self, site: _Site) -> Stability | None:
        """Return the layer that provides the variable, `None` for an optional one that none does; else raise."""
        owner = None if site.use.isolated else self._owner(site.use.name)
        if owner is not None and owner.rank > site.layer.rank:
            raise site.layer_error(owner)
        if not site.use.optional and (owner is None or not self._comes_from(owner, site.use.name)):
            raise site.missing_error(owner)
        return owner

    def _owner(self, name: str) -> Stability | None:
        users = self._users.get(name, set())
        owners = [
            *(layer for layer, names in self._provided.items() if name in names),
            *(layer for layer in Stability if name in self._declared[layer]),
            *(layer for layer in Stability if layer in users and layer not in self._provided),
        ]
        return owners[0] if owners else None

    def _comes_from(self, layer: Stability, name: str) -> bool:
        return layer not in self._provided or name in self._provided[layer]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """What one template reads from outside, and what its top level defines for the template that it extends."""

    uses: tuple[_Use, ...] = ()
    exports: frozenset[str] = frozenset()


class _Scans:
    """Scans each template once, however many others include it."""

    def __init__(self, environment: Environment, includes: Mapping[str, str], *, sections: Collection[str]) -> None:
        self.environment = environment
        self._includes = includes
        self._sections = sections
        self._done: dict[str, _Scan] = {}

    def of_section(self, section: Section) -> tuple[_Use, ...]:
        """Return what a section and everything that it includes uses."""
        return _Walk(parse(self.environment, section.template, section.label), section.label, self).result().uses

    def of_include(self, name: str) -> _Scan:
        """Return the scan of an included template; an empty one while it is being scanned (a recursive include)."""
        if name not in self._done:
            self._done[name] = _Scan()
            self._done[name] = _Walk(parse(self.environment, self._includes[name], name), name, self).result()
        return self._done[name]

    def referred(self, node: _Reference, template: str) -> list[_Scan]:
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

    def __init__(self, tree: nodes.Template, label: str, scans: _Scans) -> None:
        self._tree = tree
        self._label = label
        self._scans = scans
        self._uses: list[tuple[int, _Use]] = []
        self._top: set[str] = {"self"}
        self._scopes: list[set[str]] = [set(scans.environment.globals), self._top]
        self._blocks: frozenset[str] = frozenset()
        self._guarded: set[str] = set()
        self._later: list[tuple[list[nodes.Node], list[set[str]], frozenset[str]]] = []
        """Bodies of macros and blocks with their scopes: they run when called, and see all that is defined by then."""

    def result(self) -> _Scan:
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
        return _Scan(uses=tuple(guarded), exports=exports)

    def _extended(self, uses: list[_Use], exports: frozenset[str], parent: _Scan) -> list[_Use]:
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
            use = _Use(name=name, template=self._label, line=line, optional=optional, blocks=self._blocks)
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
