"""Walks through the statements of a section in the order in which Jinja runs them, and notes what reaches the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import singledispatchmethod

from jinja2 import nodes

from agentcache.lint.flow.targets import Macro, Module, Scope
from agentcache.lint.flow.templates import MOST_NESTED, Templates
from agentcache.lint.tree_walk import all_below, children
from agentcache.lint.values import NONE, NOTHING, Value, joined


class Walk(Templates):
    """One pass over one section."""

    # --- Templates

    def run(self, body: Iterable[nodes.Node]) -> None:
        """Walk through statements."""
        for node in body:
            self.step()
            _rule_of(type(node))(self, node)

    @singledispatchmethod
    def _run(self, node: nodes.Node) -> None:
        self.run(child for child in children(node) if isinstance(child, nodes.Stmt))

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
        tests: list[nodes.Node] = []
        branches: list[Sequence[nodes.Node]] = []
        content = NONE
        for branch in (node, *node.elif_):
            test = self.truth(branch.test)
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
            )
            self._bind(node.target, part)
            test = NOTHING if node.test is None else self.of(node.test)
        walked = Value(
            data=iterated.data | iterated.order,
            decided=iterated.decided | (test.content - iterated.content - iterated.order),
        )
        head = node.iter if walked.data or node.test is None else node.test
        shown = self._shown(head, "loop") if walked.shown else None
        with (
            self.notes.region(walked, shown, explains=True),
            self._deciding(test.content),
            self._going_round(iterated.data),
        ):
            for _ in range(2 if self._carries(node) else 1):
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
            value = self.of(node.call)
        self._show(value, node.call)

    @_run.register
    def _block(self, node: nodes.Block) -> None:
        self._run_block(node)

    @_run.register
    def _include(self, node: nodes.Include) -> None:
        name = self._template_name(node.template)
        self._note_choice(name, node.template)
        included = self._named(name)
        if included is None or included.tree is None or self._nested >= MOST_NESTED:
            return
        shown = self._brought or self._shown(node.template, "include")
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

    # --- Scopes and what decides

    def _through_filter(self, node: nodes.Filter, value: Value) -> Value:
        if isinstance(node.node, nodes.Filter):
            value = self._through_filter(node.node, value)
        return self.filtered(node.name, value, self._arguments(node), node)

    def _carries(self, node: nodes.For) -> bool:
        """Say whether a round of the loop can leave something for the next one."""
        known = self._carrying.get(id(node))
        if known is None:
            known = self._carrying[id(node)] = any(True for _ in all_below(node, (nodes.NSRef, nodes.ExprStmt)))
        return known


_rule_of: Callable[[type], Callable[[Walk, nodes.Node], None]] = Walk.__dict__["_run"].dispatcher.dispatch
"""The same as calling the method, which would be wrapped anew each time."""
