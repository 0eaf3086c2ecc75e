"""Evaluates Jinja expressions, counting every one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from jinja2 import nodes

from agentcache.lint.sandbox.access import attribute, item, joined_with, next_of, sliced
from agentcache.lint.sandbox.checks import TESTS
from agentcache.lint.sandbox.filters import TEXT_FILTERS, Args, Kwargs
from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.operators import compared, concatenated, operated
from agentcache.lint.sandbox.scopes import Scope
from agentcache.lint.sandbox.sequences import CHOOSING_FILTERS, SEQUENCE_FILTERS, chosen, items_of
from agentcache.lint.sandbox.texts import text_of, truth
from agentcache.lint.sandbox.values import Cycler, Expected, Function, Joiner, Loop

FAILURES = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError)
"""What Python raises for values that an operation cannot take: the expression is then only expected."""

_FILTERS = TEXT_FILTERS | SEQUENCE_FILTERS
_OPERATORS: dict[type[nodes.Node], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
}

Unknown: TypeAlias = Callable[[str, Args], object]
"""Stands in for a function that is not there: its name and arguments -> what it gives."""


class Expressions:
    """Evaluates expressions of one render. unknown: stands in for functions and filters that nobody here knows."""

    def __init__(self, meter: Meter, unknown: Unknown) -> None:
        self.meter = meter
        self._unknown = unknown

    def value(self, node: nodes.Node, scope: Scope) -> object:
        """Return what an expression comes to."""
        self.meter.step()
        evaluate = _EVALUATORS.get(type(node))
        if evaluate is None:
            return Expected(type(node).__name__.lower())
        try:
            return evaluate(self, node, scope)
        except FAILURES:
            return Expected("unknown")

    def truth(self, node: nodes.Node, scope: Scope) -> bool:
        """Tell whether an expression counts as true."""
        return truth(self.value(node, scope))

    def text(self, node: nodes.Node, scope: Scope) -> str:
        """Return what printing an expression gives."""
        return text_of(self.value(node, scope), self.meter)

    def apply_filter(self, name: str, value: object, args: Args, kwargs: Kwargs) -> object:
        """Return a value filtered. Raises one of `FAILURES` where the filter cannot take it."""
        self.meter.step()
        if name in CHOOSING_FILTERS:
            return chosen(name, value, args, kwargs, self.meter, self.apply_filter, self.apply_test)
        known = _FILTERS.get(name)
        if known is None:
            return self._unknown(name, (value, *args))
        return known(value, args, kwargs, self.meter)

    def apply_test(self, name: str, value: object, args: Args, kwargs: Kwargs) -> object:
        """Tell whether a value passes a test; one that nobody here knows says yes of what is there."""
        self.meter.step()
        known = TESTS.get(name)
        if known is None:
            return truth(value)
        if not isinstance(value, Expected) or name in {"defined", "undefined"}:
            return known(value, args, self.meter)
        try:
            return known(value, args, self.meter)
        except FAILURES:
            return truth(value)

    def call(self, called: object, args: Args, kwargs: Kwargs) -> object:
        """Return what calling a value gives."""
        if isinstance(called, Function):
            return called.call(args, kwargs)
        if isinstance(called, Loop) and called.again is not None:
            return called.again(args, kwargs)
        if isinstance(called, Cycler):
            return next_of(called)
        if isinstance(called, Joiner):
            return joined_with(called)
        return self._unknown(text_of(called, self.meter), args)

    def arguments(
        self, node: nodes.Call | nodes.Filter | nodes.Test, scope: Scope
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Return the arguments of a call, `*` and `**` ones included."""
        args = [self.value(arg, scope) for arg in node.args or ()]
        kwargs: dict[str, object] = {str(pair.key): self.value(pair.value, scope) for pair in node.kwargs or ()}
        if node.dyn_args is not None:
            args += items_of(self.value(node.dyn_args, scope), self.meter)
        if node.dyn_kwargs is not None:
            more = self.value(node.dyn_kwargs, scope)
            self.meter.weigh(more)
            kwargs |= {str(key): one for key, one in more.items()} if isinstance(more, dict) else {}
        return tuple(args), kwargs


def _name(self: Expressions, node: nodes.Name, scope: Scope) -> object:
    return scope.look_up(node.name)


def _constant(self: Expressions, node: nodes.Const, scope: Scope) -> object:
    value: object = node.value
    self.meter.step(len(value) // 64 if isinstance(value, str) else 0)
    return value


def _data(self: Expressions, node: nodes.TemplateData, scope: Scope) -> object:
    self.meter.room(len(node.data))
    return node.data


def _tuple(self: Expressions, node: nodes.Tuple, scope: Scope) -> object:
    return tuple(self.value(one, scope) for one in node.items)


def _list(self: Expressions, node: nodes.List, scope: Scope) -> object:
    return [self.value(one, scope) for one in node.items]


def _dict(self: Expressions, node: nodes.Dict, scope: Scope) -> object:
    pairs: dict[object, object] = {}
    for pair in node.items:
        key = self.value(pair.key, scope)
        self.meter.weigh(key)
        pairs[text_of(key, self.meter) if isinstance(key, Expected) else key] = self.value(pair.value, scope)
    return pairs


def _conditional(self: Expressions, node: nodes.CondExpr, scope: Scope) -> object:
    if self.truth(node.test, scope):
        return self.value(node.expr1, scope)
    return Expected("", missing=True) if node.expr2 is None else self.value(node.expr2, scope)


def _binary(self: Expressions, node: nodes.BinExpr, scope: Scope) -> object:
    left, right = self.value(node.left, scope), self.value(node.right, scope)
    return operated(_OPERATORS[type(node)], left, right, self.meter)


def _and(self: Expressions, node: nodes.And, scope: Scope) -> object:
    left = self.value(node.left, scope)
    return self.value(node.right, scope) if truth(left) else left


def _or(self: Expressions, node: nodes.Or, scope: Scope) -> object:
    left = self.value(node.left, scope)
    return left if truth(left) else self.value(node.right, scope)


def _not(self: Expressions, node: nodes.Not, scope: Scope) -> object:
    return not self.truth(node.node, scope)


def _signed(self: Expressions, node: nodes.Neg | nodes.Pos, scope: Scope) -> object:
    value = self.value(node.node, scope)
    return operated("*", -1 if isinstance(node, nodes.Neg) else 1, value, self.meter)


def _concat(self: Expressions, node: nodes.Concat, scope: Scope) -> object:
    return concatenated([self.value(one, scope) for one in node.nodes], self.meter)


def _compare(self: Expressions, node: nodes.Compare, scope: Scope) -> object:
    left = self.value(node.expr, scope)
    for operand in node.ops:
        right = self.value(operand.expr, scope)
        if not compared(operand.op, left, right, self.meter):
            return False
        left = right
    return True


def _getattr(self: Expressions, node: nodes.Getattr, scope: Scope) -> object:
    return attribute(self.value(node.node, scope), node.attr, self.meter)


def _getitem(self: Expressions, node: nodes.Getitem, scope: Scope) -> object:
    value = self.value(node.node, scope)
    if isinstance(node.arg, nodes.Slice):
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        start, stop, step = (None if bound is None else self.value(bound, scope) for bound in bounds)
        return sliced(value, start, stop, step, self.meter)
    return item(value, self.value(node.arg, scope), self.meter)


def _filter(self: Expressions, node: nodes.Filter, scope: Scope) -> object:
    value = "" if node.node is None else self.value(node.node, scope)
    args, kwargs = self.arguments(node, scope)
    return self.apply_filter(node.name, value, args, kwargs)


def _test(self: Expressions, node: nodes.Test, scope: Scope) -> object:
    value = self.value(node.node, scope)
    args, kwargs = self.arguments(node, scope)
    return truth(self.apply_test(node.name, value, args, kwargs))


def _call(self: Expressions, node: nodes.Call, scope: Scope) -> object:
    called = self.value(node.node, scope)
    args, kwargs = self.arguments(node, scope)
    return self.call(called, args, kwargs)


def _namespace_part(self: Expressions, node: nodes.NSRef, scope: Scope) -> object:
    return attribute(scope.look_up(node.name), node.attr, self.meter)


def _tag(self: Expressions, node: nodes.ExtensionAttribute, scope: Scope) -> object:
    return Expected(node.name)


def _marked(self: Expressions, node: nodes.MarkSafe | nodes.MarkSafeIfAutoescape, scope: Scope) -> object:
    return self.value(node.expr, scope)


_Evaluator: TypeAlias = Callable[[Expressions, nodes.Node, Scope], object]


def _table() -> Mapping[type[nodes.Node], _Evaluator]:
    table: dict[type[nodes.Node], object] = {
        nodes.Name: _name,
        nodes.Const: _constant,
        nodes.TemplateData: _data,
        nodes.Tuple: _tuple,
        nodes.List: _list,
        nodes.Dict: _dict,
        nodes.CondExpr: _conditional,
        **dict.fromkeys(_OPERATORS, _binary),
        nodes.And: _and,
        nodes.Or: _or,
        nodes.Not: _not,
        nodes.Neg: _signed,
        nodes.Pos: _signed,
        nodes.Concat: _concat,
        nodes.Compare: _compare,
        nodes.Getattr: _getattr,
        nodes.Getitem: _getitem,
        nodes.Filter: _filter,
        nodes.Test: _test,
        nodes.Call: _call,
        nodes.NSRef: _namespace_part,
        nodes.ExtensionAttribute: _tag,
        nodes.MarkSafe: _marked,
        nodes.MarkSafeIfAutoescape: _marked,
    }
    return table  # type: ignore[return-value]  # each evaluator takes the kind of node that it stands beside


_EVALUATORS = _table()
