"""Works out what an expression of a template depends on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import singledispatchmethod

from jinja2 import nodes

from agentcache.lint.finding import Place
from agentcache.lint.flow.arguments import Arguments
from agentcache.lint.flow.calls import FIXED, method_called, source_called
from agentcache.lint.flow.filters import filtered, tested
from agentcache.lint.flow.formats import as_days, reformatted
from agentcache.lint.flow.names import Names
from agentcache.lint.meanings import source_meaning
from agentcache.lint.origins import OriginKind
from agentcache.lint.syntax import UNKNOWN_TAG
from agentcache.lint.tree_walk import children
from agentcache.lint.values import NONE, NOTHING, Value, joined

_ALWAYS_TRUE = frozenset({OriginKind.CLOCK, OriginKind.DATE, OriginKind.ID})

_CHARACTERS_A_STEP = 1000
"""A text put together costs a step for each of these: doubled again and again it would fill the memory."""
_MOST_BITS = 4096
"""Python writes no number as text that is much longer; templates can hold one in hexadecimal."""


class TooMuch(Exception):
    """A template makes more work than any prompt does."""


class Expressions(ABC):
    """Evaluates expressions; what needs scopes, macros and other templates is asked of the walk (walk.py)."""

    def __init__(self, names: Names, offered_filters: frozenset[str], most_steps: int) -> None:
        self.names = names
        self._offered_filters = offered_filters
        self._steps_left = most_steps

    @abstractmethod
    def local(self, name: str) -> Value | None:
        """Return the value of a name that a scope of the template defines."""

    @abstractmethod
    def place(self, node: nodes.Node) -> Place:
        """Return where an expression stands."""

    @abstractmethod
    def called_target(self, target: object, arguments: Arguments, node: nodes.Expr) -> Value | None:
        """Return what calling a macro, a caller, a block or a namespace gives; `None` for any other target."""

    @abstractmethod
    def namespace(self, arguments: Arguments) -> Value:
        """Return a new `namespace(...)`."""

    @abstractmethod
    def target_attribute(self, target: object, name: str) -> Value | None:
        """Return an attribute of a namespace, of an imported template, of `self`; `None` for any other target."""

    def all_of(self, expressions: Iterable[nodes.Expr]) -> list[Value]:
        """Return the values of several expressions."""
        return [self.of(expression) for expression in expressions]

    def of(self, node: nodes.Node) -> Value:
        """Return the value of an expression. Raises `TooMuch` when the template has used its steps up."""
        self.step()
        return _rule_of(type(node))(self, node)

    def step(self, count: int = 1) -> None:
        """Count pieces of work. Raises `TooMuch` when the template has used its steps up."""
        self._steps_left -= count
        if self._steps_left < 0:
            raise TooMuch

    def truth(self, node: nodes.Node) -> Value:
        """Return what the truth of an expression depends on: whether there is a clock is the same at any time."""
        if isinstance(node, nodes.Not):
            return self._negation_of(self.truth(node.node))
        value = self.of(node)
        if not isinstance(node, nodes.Call) or any(trace.origin.kind not in _ALWAYS_TRUE for trace in value.content):
            return value
        called = node.node.attr if isinstance(node.node, nodes.Getattr) else getattr(node.node, "name", "")
        return NOTHING if source_meaning((called,), called=True) else value

    @staticmethod
    def _negation_of(value: Value) -> Value:
        return Value(constant=True, example=not value.example) if value.constant else value.settled()

    @singledispatchmethod
    def _of(self, node: nodes.Node) -> Value:
        parts = self.all_of(child for child in children(node) if isinstance(child, nodes.Expr))
        return joined([NOTHING, *(part.plain() for part in parts)])

    @_of.register
    def _constant(self, node: nodes.Const) -> Value:
        if isinstance(node.value, int) and node.value.bit_length() > _MOST_BITS:
            return NOTHING
        return Value(constant=True, example=node.value)

    @_of.register
    def _data(self, node: nodes.TemplateData) -> Value:
        return Value(constant=True, example=node.data)

    @_of.register
    def _name(self, node: nodes.Name) -> Value:
        local = self.local(node.name)
        return self.names.read(node.name, self.place(node)) if local is None else local

    @_of.register
    def _namespace_attribute(self, node: nodes.NSRef) -> Value:
        target = self.local(node.name)
        return (target and self.target_attribute(target.target, node.attr)) or NOTHING

    @_of.register
    def _list(self, node: nodes.List) -> Value:
        return joined([NOTHING, *(part.plain() for part in self.all_of(node.items))])

    @_of.register
    def _dict(self, node: nodes.Dict) -> Value:
        return joined([NOTHING, *(self.of(part).plain() for pair in node.items for part in (pair.key, pair.value))])

    @_of.register
    def _attribute(self, node: nodes.Getattr) -> Value:
        return self._named_part(self.of(node.node), node.attr, node)

    @_of.register
    def _item(self, node: nodes.Getitem) -> Value:
        value = self.of(node.node)
        if isinstance(node.arg, nodes.Slice):
            return self._slice(value, node.arg)
        key = self.of(node.arg)
        if key.constant and isinstance(key.example, str):
            return self._named_part(value, key.example, node)
        if _is_day_of_a_stamp(node):
            value = replace(value, data=as_days(value.data))
        kinds = {trace.origin.kind for trace in value.order}
        by_key = value.root is not None and kinds == {OriginKind.DICT_ORDER}
        part = value.part() if by_key else value.picked()
        return part.with_(data=key.data | key.order, decided=key.decided)

    def _named_part(self, value: Value, name: str, node: nodes.Expr) -> Value:
        if value.target is not None:
            found = self.target_attribute(value.target, name)
            if found is not None:
                return found.with_(data=value.data, decided=value.decided)
        part = self.names.attribute(value, name, self.place(node))
        return reformatted(part, name.lower(), Arguments())

    def _slice(self, value: Value, cut: nodes.Slice) -> Value:
        bounds = self.all_of(bound for bound in (cut.start, cut.stop, cut.step) if bound is not None)
        content = joined([NOTHING, *bounds]).content
        stop = cut.stop.value if isinstance(cut.stop, nodes.Const) else None
        data = as_days(value.data) if isinstance(stop, int) and 0 < stop <= 10 and cut.start is None else value.data
        return Value(data=data | value.order | content, decided=value.decided, opaque=value.opaque)

    @_of.register
    def _choice(self, node: nodes.CondExpr) -> Value:
        test = self.truth(node.test)
        if test.constant:
            chosen = node.expr1 if test.example else node.expr2
            return NOTHING if chosen is None else self.of(chosen)
        options = [self.of(node.expr1), NOTHING if node.expr2 is None else self.of(node.expr2)]
        return joined(option.plain() for option in options).with_(decided=test.content)

    @_of.register(nodes.And)
    @_of.register(nodes.Or)
    def _either(self, node: nodes.And | nodes.Or) -> Value:
        left, right = self.of(node.left), self.of(node.right)
        if left.constant:
            return right if bool(left.example) is isinstance(node, nodes.And) else left
        if right.constant and isinstance(right.example, str) and isinstance(node, nodes.And):
            return Value(decided=left.content)
        return joined([left.plain(), right.plain()])

    @_of.register
    def _negation(self, node: nodes.Not) -> Value:
        return self._negation_of(self.of(node.node))

    @_of.register
    def _comparison(self, node: nodes.Compare) -> Value:
        values = [self.of(node.expr), *(self.of(operand.expr) for operand in node.ops)]
        return joined([NOTHING, *values]).settled()

    @_of.register
    def _concatenation(self, node: nodes.Concat) -> Value:
        values = self.all_of(node.nodes)
        if all(value.constant for value in values):
            texts = [str(value.example) for value in values]
            self.step(1 + sum(map(len, texts)) // _CHARACTERS_A_STEP)
            return Value(constant=True, example="".join(texts))
        return NOTHING.as_text(values)

    @_of.register
    def _format(self, node: nodes.Mod) -> Value:
        left, right = self.of(node.left), self.of(node.right)
        return left.as_text([right])

    @_of.register
    def _filter(self, node: nodes.Filter) -> Value:
        value = NOTHING if node.node is None else self.of(node.node)
        arguments = self._arguments(node)
        return self.filtered(node.name, value, arguments, node)

    def filtered(self, name: str, value: Value, arguments: Arguments, node: nodes.Expr) -> Value:
        """Return the value behind one filter; `map` puts the filter that it names on each part."""
        first = arguments.positional[0] if arguments.positional else None
        if name == "map" and first is not None and isinstance(first.example, str) and first.constant:
            rest = Arguments(positional=arguments.positional[1:], named=arguments.named)
            each = filtered(
                first.example,
                replace(value, order=NONE),
                rest,
                self.place(node),
                offered=first.example in self._offered_filters,
            )
            return replace(each.plain(), order=value.order)
        return filtered(name, value, arguments, self.place(node), offered=name in self._offered_filters)

    @_of.register
    def _test(self, node: nodes.Test) -> Value:
        return tested(node.name, self.of(node.node), self._arguments(node))

    @_of.register
    def _call(self, node: nodes.Call) -> Value:
        arguments = self._arguments(node)
        if isinstance(node.node, nodes.ExtensionAttribute):
            return self._tag(node.node, arguments, node)
        if isinstance(node.node, nodes.Getattr):
            return self._method(self.of(node.node.node), node.node.attr, arguments, node)
        function = self.of(node.node)
        if isinstance(node.node, nodes.Name) and node.node.name == "namespace" and function is NOTHING:
            return self.namespace(arguments)
        if function.target is not None:
            result = self.called_target(function.target, arguments, node)
            if result is not None:
                return result.with_(data=function.data, decided=function.decided)
        return self._function(function, arguments, node)

    def _tag(self, called: nodes.ExtensionAttribute, arguments: Arguments, node: nodes.Call) -> Value:
        if called.identifier != UNKNOWN_TAG:
            return NOTHING
        result = source_called((called.name,), arguments, self.place(node))
        if result is not None:
            return result
        told = joined([NOTHING, *arguments.all])
        return Value(data=frozenset(t for t in told.data if t.origin.kind is not OriginKind.UNDECLARED))

    def _method(self, owner: Value, name: str, arguments: Arguments, node: nodes.Call) -> Value:
        if owner.target is not None:
            function = self.target_attribute(owner.target, name)
            if function is not None and function.target is not None:
                result = self.called_target(function.target, arguments, node)
                return NOTHING if result is None else result
        known = any(trace.origin.kind is not OriginKind.UNDECLARED for trace in owner.data)
        if owner.root is None or not owner.root.source or known:
            return method_called(owner, name, arguments, self.place(node))
        return self._function(self.names.attribute(owner, name, self.place(node)), arguments, node)

    def _function(self, function: Value, arguments: Arguments, node: nodes.Call) -> Value:
        root = function.root
        if root is None or not root.source:
            return function.as_text(arguments.all)
        result = source_called(root.path, arguments, self.place(node))
        if result is not None:
            return result
        if not root.declared:
            return Value(data=self.names.undeclared(root, called=True))
        given = NOTHING.as_text(arguments.all)
        fixed = source_meaning(root.path, called=True) is not None  # a seed settles it, and what comes of it too
        return Value(
            data=given.data if fixed else given.data | function.data,
            decided=given.decided,
            root=None if fixed else root,
            target=FIXED if fixed else None,
        )

    @_of.register
    def _block_reference(self, node: nodes.MarkSafe) -> Value:
        return self.of(node.expr)

    def _arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> Arguments:
        positional = self.all_of(node.args)
        named = {
            str(keyword.key): self.of(keyword.value) for keyword in node.kwargs if isinstance(keyword, nodes.Keyword)
        }
        more = [self.of(part) for part in (node.dyn_args, node.dyn_kwargs) if part is not None]
        return Arguments(positional=[*positional, *more], named=named)


def _is_day_of_a_stamp(node: nodes.Getitem) -> bool:
    """Say whether this is `stamp.split('T')[0]`."""
    call, key = node.node, node.arg
    if not (isinstance(key, nodes.Const) and key.value == 0 and isinstance(call, nodes.Call)):
        return False
    separators = [part.value for part in call.args if isinstance(part, nodes.Const)]
    return isinstance(call.node, nodes.Getattr) and call.node.attr == "split" and separators in (["T"], [" "])


_rule_of: Callable[[type], Callable[[Expressions, nodes.Node], Value]] = Expressions.__dict__["_of"].dispatcher.dispatch
"""The same as calling the method, which would be wrapped anew each time."""
