"""Scopes of a template, as Jinja has them, and what decides about the text at a place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from jinja2 import nodes

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Place
from agentcache.lint.flow.arguments import Arguments
from agentcache.lint.flow.expressions import Expressions
from agentcache.lint.flow.names import Names
from agentcache.lint.flow.noting import Notes
from agentcache.lint.flow.targets import BlockBody, Namespace, Scope
from agentcache.lint.origins import Role
from agentcache.lint.syntax import ParsedTemplate
from agentcache.lint.values import NONE, NOTHING, Shown, Traces, Value, joined

MOST_STEPS = 20_000
"""Expressions that are looked at in one section. The longest real prompts have some hundred."""


class Scoped(Expressions):
    """A walk's scopes and notes."""

    _template: ParsedTemplate

    def __init__(self, sources: AgentSources, parsed: Mapping[str, ParsedTemplate], names: Names) -> None:
        super().__init__(names, sources.offered.filters, MOST_STEPS)
        self.notes = Notes()
        self._parsed = parsed
        self._scopes: list[Scope] = [{}]
        self._under: Traces = NONE
        self._rounds: Traces = NONE
        """What decides how often the loops around go round."""
        self._brought: Shown | None = None
        self._nested = 0
        self._places: dict[tuple[int, Role], Shown] = {}
        self._carrying: dict[int, bool] = {}
        self._blocks: dict[str, BlockBody] = {}
        self._done: dict[tuple[object, ...], Value] = {}

    @abstractmethod
    def run(self, body: Iterable[nodes.Node]) -> None:
        """Walk through statements."""

    def local(self, name: str) -> Value | None:
        """Return the value of a name that a scope of the template defines."""
        if name == "self":
            return Value(target=self)
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def place(self, node: nodes.Node) -> Place:
        """Return where an expression stands."""
        return self._template.text_map.start(self._template.file.path, node)

    def namespace(self, arguments: Arguments) -> Value:
        """Return a new `namespace(...)`."""
        return Value(target=Namespace(dict(arguments.named)))

    @contextmanager
    def _scope(self) -> Iterator[None]:
        self._scopes.append({})
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def _among(self, scopes: Iterable[Scope]) -> Iterator[Scope]:
        """Walk with other scopes than those around, and a new one within them, which is given."""
        outer, self._scopes = self._scopes, [*scopes, {}]
        try:
            yield self._scopes[-1]
        finally:
            self._scopes = outer

    @contextmanager
    def _deciding(self, content: Traces) -> Iterator[None]:
        around, self._under = self._under, self._under | content
        try:
            yield
        finally:
            self._under = around

    @contextmanager
    def _going_round(self, content: Traces) -> Iterator[None]:
        around, self._rounds = self._rounds, self._rounds | content
        try:
            yield
        finally:
            self._rounds = around

    def _bind(self, target: nodes.Node, value: Value) -> None:
        value = value.with_(decided=self._under)
        if isinstance(target, nodes.Name):
            self._scopes[-1][target.name] = value
        elif isinstance(target, nodes.NSRef):
            namespace = self.local(target.name)
            if namespace is not None and isinstance(namespace.target, Namespace):
                before = namespace.target.values.get(target.attr, NOTHING)
                value = value.with_(data=self._rounds)
                changed = value if not self._under and not self.notes.in_loop else joined([before, value])
                namespace.target.values[target.attr] = changed
        elif isinstance(target, nodes.Tuple | nodes.List):
            for part in target.items:
                self._bind(part, value.plain())

    def _append(self, node: nodes.Node) -> None:
        """`{% do found.append(x) %}` puts x into `found`."""
        if not (
            isinstance(node, nodes.Call)
            and isinstance(node.node, nodes.Getattr)
            and isinstance(node.node.node, nodes.Name)
        ):
            return
        if node.node.attr not in {"append", "add", "update", "extend", "insert", "setdefault"}:
            return
        name, more = node.node.node.name, joined([NOTHING, *self.all_of(node.args)])
        scope = next((scope for scope in reversed(self._scopes) if name in scope), None)
        if scope is not None:
            scope[name] = joined([scope[name], more]).with_(data=self._rounds, decided=self._under)

    def _show(self, value: Value, node: nodes.Node) -> None:
        self.notes.passed(value)
        if value.shown:
            self.notes.show(value, self._shown(node, "output"), self._brought)

    def _note_choice(self, name: Value, node: nodes.Expr) -> None:
        if name.shown:
            self.notes.show(name, self._shown(node, "include"), self._brought)

    def _shown(self, node: nodes.Node, role: Role) -> Shown:
        known = self._places.get((id(node), role))
        if known is None:
            known = self._places[id(node), role] = Shown(
                self._template.text_map.place(self._template.file.path, node), self._words(node), role
            )
        return known

    def _words(self, node: nodes.Node) -> str:
        return self._template.text_map.words(node)

    @contextmanager
    def _inside(self, template: ParsedTemplate, brought: Shown | None) -> Iterator[None]:
        around = self._template, self._brought, self._nested
        self._template, self._brought, self._nested = template, brought, self._nested + 1
        try:
            yield
        finally:
            self._template, self._brought, self._nested = around

    @contextmanager
    def _own_blocks(self) -> Iterator[None]:
        around, self._blocks = self._blocks, {}
        try:
            yield
        finally:
            self._blocks = around
