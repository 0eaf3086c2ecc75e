"""Walks through the statements of a section in the order in which Jinja runs them, and notes what reaches the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import TypeAlias

from jinja2 import nodes

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Place
from agentcache.lint.flow_expressions import Expressions
from agentcache.lint.flow_filters import Arguments
from agentcache.lint.flow_names import Names
from agentcache.lint.flow_noting import Note, Notes
from agentcache.lint.origins import Role
from agentcache.lint.syntax import ParsedTemplate
from agentcache.lint.values import NONE, NOTHING, Shown, Trace, Traces, Value, joined

Scope: TypeAlias = dict[str, Value]
MOST_STEPS = 60_000
_MOST_NESTED = 24


@dataclass(frozen=True, eq=False, slots=True)
class Macro:
    """A macro, or the body of a `{% call %}`, with the scopes that it sees."""

    node: nodes.Macro | nodes.CallBlock
    template: ParsedTemplate
    scopes: tuple[Scope, ...]
    brought: Shown | None


@dataclass(frozen=True, eq=False, slots=True)
class Namespace:
    """A `namespace()`: attributes that outlive loops."""

    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Module:
    """An imported template: what its top level defines."""

    names: Scope


@dataclass(frozen=True, eq=False, slots=True)
class BlockBody:
    """What a template puts into a block, and the bodies that it stands in place of."""

    node: nodes.Block
    template: ParsedTemplate
    brought: Shown | None
    above: BlockBody | None = None


class Walk(Expressions):
    """One pass over one section."""

    def __init__(self, sources: AgentSources, parsed: Mapping[str, ParsedTemplate], names: Names) -> None:
        super().__init__(names, sources.offered.filters, MOST_STEPS)
        self.notes = Notes()
        self._parsed = parsed
        self._scopes: list[Scope] = [{}]
        self._under: Traces = NONE
        self._brought: Shown | None = None
        self._nested = 0
        self._blocks: dict[str, BlockBody] = {}
        self._done: dict[tuple[object, ...], tuple[Value, tuple[Note, ...]]] = {}

    def walk(self, template: ParsedTemplate) -> None:
        """Walk through a section's template."""
        self._template = template
        if template.tree is not None:
            self._run_template(template.tree)

    # --- Expressions asks

    def local(self, name: str) -> Value | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def place(self, node: nodes.Node) -> Place:
        return self._template.text_map.place(self._template.file.path, node)

    def called_target(self, target: object, arguments: Arguments, node: nodes.Expr) -> Value | None:
        if isinstance(target, Macro):
            return self._called(target, arguments)
        if isinstance(target, BlockBody):
            return self._captured_block(target)
        return None

    def target_attribute(self, target: object, name: str) -> Value | None:
        if isinstance(target, Namespace):
            return target.values.get(name, NOTHING)
        if isinstance(target, Module):
            return target.names.get(name, NOTHING)
        if target is self:
            body = self._blocks.get(name)
            return NOTHING if body is None else Value(target=body)
        return None

    # --- Templates

    def _run_template(self, tree: nodes.Template) -> None:
        for block in tree.find_all(nodes.Block):
            self._register(block)
        extends = next(iter(tree.find_all(nodes.Extends)), None)
        if extends is None:
            self.run(tree.body)
            return
        before = [node for node in tree.body if not isinstance(node, nodes.Output | nodes.Block | nodes.Extends)]
        self._quietly(before)
        self._extend(extends, tree)

    def _register(self, block: nodes.Block) -> None:
        body = BlockBody(block, self._template, self._brought)
        child = self._blocks.get(block.name)
        if child is None:
            self._blocks[block.name] = body
            return
        chain = [child]
        while chain[-1].above is not None:
            chain.append(chain[-1].above)
        for link in reversed(chain):
            body = BlockBody(link.node, link.template, link.brought, body)
        self._blocks[block.name] = body

    def _extend(self, node: nodes.Extends, tree: nodes.Template) -> None:
        name = self.of(node.template)
        self._note_choice(name, node.template)
        parent = self._named(name)
        if parent is None or parent.tree is None or self._nested >= _MOST_NESTED:
            for block in tree.find_all(nodes.Block):
                self._run_block(block)
            return
        shown = Shown(self.place(node.template), self._words(node.template), "include")
        with self._inside(parent, self._brought or shown):
            self._run_template(parent.tree)

    def _named(self, name: Value) -> ParsedTemplate | None:
        candidates = name.example if isinstance(name.example, list) else [name.example]
        return next((self._parsed[text] for text in candidates if isinstance(text, str) and text in self._parsed), None)

    def _template_name(self, node: nodes.Expr) -> Value:
        if isinstance(node, nodes.List | nodes.Tuple):
            values = self.all_of(node.items)
            examples = [value.example for value in values]
            whole = joined([NOTHING, *values])
            return Value(data=whole.data, decided=whole.decided, example=examples)
        return self.of(node)

    @contextmanager
    def _inside(self, template: ParsedTemplate, brought: Shown | None) -> Iterator[None]:
        around = self._template, self._brought, self._nested
        self._template, self._brought, self._nested = template, brought, self._nested + 1
        try:
            yield
        finally:
            self._template, self._brought, self._nested = around

    # --- Statements

    def run(self, body: Iterable[nodes.Node]) -> None:
        """Walk through statements."""
        for node in body:
            self._run(node)

    def _quietly(self, body: Iterable[nodes.Node]) -> None:
        with self.notes.captured():
            self.run(body)

    @singledispatchmethod
    def _run(self, node: nodes.Node) -> None:
        self.run(child for child in node.iter_child_nodes() if isinstance(child, nodes.Stmt))

    @_run.register
    def _output(self, node: nodes.Output) -> None:
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                self.notes.text(part.data)
            else:
                self._show(self.of(part), part)

    @_run.register
    def _assign(self, node: nodes.Assign) -> None:
        self._bind(node.target, self.of(node.node))

    @_run.register
    def _assign_block(self, node: nodes.AssignBlock) -> None:
        with self._scope(), self.notes.captured() as captured:
            self.run(node.body)
        value = captured.value()
        if node.filter is not None:
            value = self._through_filter(node.filter, value)
        self._bind(node.target, value)

    @_run.register
    def _if(self, node: nodes.If) -> None:
        tests: list[nodes.Expr] = []
        branches: list[Sequence[nodes.Node]] = []
        content = NONE
        for branch in (node, *node.elif_):
            test = self.of(branch.test)
            if test.constant and not test.example:
                continue
            content |= test.content
            branches.append(branch.body)
            if test.content:
                tests.append(branch.test)
            if test.constant:
                break
        else:
            branches.append(node.else_)
        if not content:
            tests = [node.test]
        with (
            self._deciding(content),
            self.notes.region(Value(decided=content), self._shown(tests[0], "condition") if tests else None),
        ):
            self._run_branches(branches)

    def _run_branches(self, branches: Sequence[Sequence[nodes.Node]]) -> None:
        before = dict(self._scopes[-1])
        results: list[Scope] = []
        for body in branches:
            self._scopes[-1].clear()
            self._scopes[-1].update(before)
            self.run(body)
            results.append(dict(self._scopes[-1]))
        for name in {name for result in results for name in result}:
            values = [result[name] for result in results if name in result]
            same = all(value is values[0] for value in values) and len(values) == len(results)
            self._scopes[-1][name] = values[0] if same else joined(values).with_(decided=self._under)

    @_run.register
    def _for(self, node: nodes.For) -> None:
        iterated = self.of(node.iter)
        with self._scope():
            part = Value(
                data=iterated.data | iterated.order,
                decided=iterated.decided,
                opaque=iterated.opaque,
                root=_element_root(iterated),
            )
            self._bind(node.target, part)
            test = NOTHING if node.test is None else self.of(node.test)
        walked = Value(
            data=iterated.data | iterated.order,
            decided=iterated.decided | (test.content - iterated.content - iterated.order),
        )
        shown = self._shown(node.iter if walked.data or not test.content else node.test or node.iter, "loop")
        with self.notes.region(walked, shown, explains=True), self._deciding(test.content):
            for _ in range(2 if _carries(node) else 1):
                with self._scope():
                    self._bind(node.target, part)
                    self._scopes[-1]["loop"] = Value(data=iterated.data)
                    self.run(node.body)
            with self._scope():
                self.run(node.else_)

    @_run.register
    def _with(self, node: nodes.With) -> None:
        values = self.all_of(node.values)
        with self._scope():
            for target, value in zip(node.targets, values, strict=True):
                self._bind(target, value)
            self.run(node.body)

    @_run.register
    def _scoped(self, node: nodes.Scope) -> None:
        with self._scope():
            self.run(node.body)

    @_run.register
    def _filter_block(self, node: nodes.FilterBlock) -> None:
        added = self._through_filter(node.filter, NOTHING)
        if added.shown:
            self._show(added, node.filter)
        with self._scope():
            self.run(node.body)

    @_run.register
    def _do(self, node: nodes.ExprStmt) -> None:
        self._append(node.node)
        self.of(node.node)

    @_run.register
    def _macro(self, node: nodes.Macro) -> None:
        self._scopes[-1][node.name] = Value(target=Macro(node, self._template, tuple(self._scopes), self._brought))

    @_run.register
    def _call_block(self, node: nodes.CallBlock) -> None:
        caller = Macro(node, self._template, tuple(self._scopes), self._brought)
        with self._scope():
            self._scopes[-1]["caller"] = Value(target=caller)
            self._calling = caller
            value = self.of(node.call)
        self._show(value, node.call)

    @_run.register
    def _block(self, node: nodes.Block) -> None:
        self._run_block(node)

    def _run_block(self, node: nodes.Block) -> None:
        body = self._blocks.get(node.name)
        if body is None:
            self.run(node.body)
        elif self._nested < _MOST_NESTED:
            with self._inside(body.template, body.brought), self._scope():
                self._scopes[-1]["super"] = Value(target=body.above)
                self.run(body.node.body)

    def _captured_block(self, body: BlockBody) -> Value:
        if self._nested >= _MOST_NESTED:
            return NOTHING
        with self._inside(body.template, body.brought), self._scope(), self.notes.captured() as captured:
            self._scopes[-1]["super"] = Value(target=body.above)
            self.run(body.node.body)
        return captured.value(placed=True)

    @_run.register
    def _include(self, node: nodes.Include) -> None:
        name = self._template_name(node.template)
        self._note_choice(name, node.template)
        included = self._named(name)
        if included is None or included.tree is None or self._nested >= _MOST_NESTED:
            return
        shown = self._brought or Shown(self.place(node.template), self._words(node.template), "include")
        with self._inside(included, shown), self._scope(), self._own_blocks():
            self._run_template(included.tree)

    @_run.register
    def _import(self, node: nodes.Import) -> None:
        self._scopes[-1][node.target] = Value(target=Module(self._imported(node)))

    @_run.register
    def _from_import(self, node: nodes.FromImport) -> None:
        exports = self._imported(node)
        for name in node.names:
            theirs, ours = (name, name) if isinstance(name, str) else name
            self._scopes[-1][ours] = exports.get(theirs, NOTHING)

    def _imported(self, node: nodes.Import | nodes.FromImport) -> Scope:
        name = self._template_name(node.template)
        self._note_choice(name, node.template)
        imported = self._named(name)
        if imported is None or imported.tree is None or self._nested >= _MOST_NESTED:
            return {}
        shown = self._brought or Shown(self.place(node.template), self._words(node.template), "include")
        around = self._scopes if node.with_context else []
        outer, self._scopes = self._scopes, [*around, {}]
        with self._inside(imported, shown), self._own_blocks():
            self._quietly(imported.tree.body)
        exports, self._scopes = self._scopes[-1], outer
        return exports

    # --- Macros

    def _called(self, macro: Macro, arguments: Arguments) -> Value:
        if self._nested >= _MOST_NESTED:
            return NOTHING
        key = (
            macro,
            tuple(arguments.positional),
            tuple(sorted(arguments.named.items(), key=lambda item: item[0])),
            self._under,
        )
        caller = self.local("caller") if isinstance(macro.node, nodes.Macro) else None
        try:
            known = self._done.get(key) if caller is None else None
        except TypeError:  # an argument is a literal list or dictionary, which no table takes as its key
            return self._macro_result(macro, arguments, caller)
        if known is None:
            known = (self._macro_result(macro, arguments, caller), ())
            self._done[key] = known
        return known[0]

    def _macro_result(self, macro: Macro, arguments: Arguments, caller: Value | None) -> Value:
        given = frozenset().union(*(argument.shown for argument in arguments.all))
        outer, self._scopes = self._scopes, [*macro.scopes, {}]
        with self._inside(macro.template, macro.brought), self.notes.captured() as captured:
            self._bind_arguments(macro.node, arguments)
            if caller is not None:
                self._scopes[-1]["caller"] = caller
            self.run(macro.node.body)
        self._scopes = outer
        return captured.value(placed=True, given=given, brought=macro.brought)

    def _bind_arguments(self, node: nodes.Macro | nodes.CallBlock, arguments: Arguments) -> None:
        scope = self._scopes[-1]
        defaults = [None] * (len(node.args) - len(node.defaults)) + list(node.defaults)
        positional = iter(arguments.positional)
        for parameter, default in zip(node.args, defaults, strict=True):
            value = next(positional, None) or arguments.named.get(parameter.name)
            if value is None:
                value = NOTHING if default is None else self.of(default)
            scope[parameter.name] = value
        scope["varargs"] = joined([NOTHING, *positional])
        known = {parameter.name for parameter in node.args}
        scope["kwargs"] = joined([NOTHING, *(value for name, value in arguments.named.items() if name not in known)])

    # --- Scopes and what decides

    @contextmanager
    def _scope(self) -> Iterator[None]:
        self._scopes.append({})
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def _own_blocks(self) -> Iterator[None]:
        around, self._blocks = self._blocks, {}
        try:
            yield
        finally:
            self._blocks = around

    @contextmanager
    def _deciding(self, content: Traces) -> Iterator[None]:
        around, self._under = self._under, self._under | content
        try:
            yield
        finally:
            self._under = around

    def _bind(self, target: nodes.Node, value: Value) -> None:
        value = value.with_(decided=self._under)
        if isinstance(target, nodes.Name):
            self._scopes[-1][target.name] = value
        elif isinstance(target, nodes.NSRef):
            namespace = self.local(target.name)
            if namespace is not None and isinstance(namespace.target, Namespace):
                before = namespace.target.values.get(target.attr, NOTHING)
                changed = value if not self._under and not self.notes.in_loop else joined([before, value])
                namespace.target.values[target.attr] = changed
        elif isinstance(target, nodes.Tuple | nodes.List):
            for part in target.items:
                self._bind(part, value.plain())

    def _append(self, node: nodes.Expr) -> None:
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
            scope[name] = joined([scope[name], more]).with_(decided=self._under)

    def _through_filter(self, node: nodes.Filter, value: Value) -> Value:
        if isinstance(node.node, nodes.Filter):
            value = self._through_filter(node.node, value)
        return self.filtered(node.name, value, self._arguments(node), node)

    # --- Notes

    def _show(self, value: Value, node: nodes.Expr) -> None:
        self.notes.show(value, self._shown(node, "output"), self._brought)

    def _note_choice(self, name: Value, node: nodes.Expr) -> None:
        self.notes.show(name, self._shown(node, "include"), self._brought)

    def _shown(self, node: nodes.Expr, role: Role) -> Shown:
        return Shown(self.place(node), self._words(node), role)

    def _words(self, node: nodes.Expr) -> str:
        return self._template.text_map.words(node)


def _element_root(iterated: Value) -> None:
    return None


def _carries(node: nodes.For) -> bool:
    """Whether a round of the loop can leave something for the next one."""
    return any(True for _ in node.find_all((nodes.NSRef, nodes.ExprStmt)))
