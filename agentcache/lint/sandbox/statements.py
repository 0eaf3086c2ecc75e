"""Runs the statements of templates; what they print comes with the line that printed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, TypeAlias

from jinja2 import nodes

from agentcache.lint.sandbox.expressions import FAILURES, Expressions
from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.scopes import Scope
from agentcache.lint.sandbox.sequences import items_of
from agentcache.lint.sandbox.texts import text_of
from agentcache.lint.sandbox.values import Call, Expected, Function, Loop, Module, Namespace


@dataclass(frozen=True, slots=True)
class Piece:
    """A text and where it was printed. literal: it stands in the template, so that its lines count on from `line`."""

    text: str
    path: str
    line: int
    literal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A parsed template, its path, and all of its blocks."""

    path: str
    template: nodes.Template
    blocks: tuple[nodes.Block, ...]


class _Signal(Enum):
    BREAK = auto()
    CONTINUE = auto()


@dataclass(slots=True, eq=False)
class _Frame:
    """One template while it runs. blocks: name -> its definitions, from the one that wins to those behind it."""

    path: str
    root: Scope
    blocks: dict[str, list[tuple[nodes.Block, str]]]
    parent: str | None = None
    running: set[str] = field(default_factory=set)


Output: TypeAlias = list[Piece]
_Statement: TypeAlias = Callable[["Interpreter", nodes.Node, Scope, Output, _Frame], "_Signal | None"]


class Interpreter:
    """Runs templates with one meter. outermost: the scope of globals, which templates without context see alone."""

    def __init__(self, trees: Mapping[str, Tree], expressions: Expressions, outermost: Scope) -> None:
        self.meter: Meter = expressions.meter
        self._trees = trees
        self._values = expressions
        self._outermost = outermost

    def render(self, name: str, variables: Scope, output: Output) -> None:
        """Add to `output` what a template prints. Raises `Exhausted` for one that does too much."""
        self._template(name, variables.inner(), output, {})

    def _template(
        self, name: str, root: Scope, output: Output, blocks: dict[str, list[tuple[nodes.Block, str]]]
    ) -> None:
        tree = self._trees.get(name)
        if tree is None:
            return
        self.meter.enter()
        frame = _Frame(path=tree.path, root=root, blocks=blocks)
        for block in tree.blocks:
            blocks.setdefault(block.name, []).append((block, tree.path))
        if blocks:
            functions = {block: Function(shown=block, call=self._block_call(frame, block)) for block in blocks}
            root.names["self"] = Module(name=name, names=functions, text=name)
        self._run(tree.template.body, root, output, frame)
        if frame.parent is not None:
            self._template(frame.parent, root, output, blocks)
        self.meter.leave()

    def _run(self, body: Sequence[nodes.Node], scope: Scope, output: Output, frame: _Frame) -> _Signal | None:
        for node in body:
            self.meter.step()
            if isinstance(node, nodes.Output):
                self._print(node, scope, output, frame)
                continue
            run = self._statement(type(node))
            signal = None if run is None else run(self, node, scope, output, frame)
            if signal is not None:
                return signal
        return None

    def _statement(self, kind: type[nodes.Node]) -> _Statement | None:
        return self._STATEMENTS.get(kind)  # type: ignore[return-value]  # each runs the kind that it stands beside

    def _print(self, node: nodes.Output, scope: Scope, output: Output, frame: _Frame) -> None:
        if frame.parent is not None and scope is frame.root:
            return
        for part in node.nodes:
            literal = isinstance(part, nodes.TemplateData)
            text = self._values.text(part, scope)
            if text:
                self.meter.room(len(text))
                output.append(Piece(text, frame.path, int(part.lineno), literal))

    def _captured(self, body: Sequence[nodes.Node], scope: Scope, frame: _Frame) -> str:
        output: Output = []
        self._run(body, scope, output, _Frame(path=frame.path, root=frame.root, blocks=frame.blocks))
        self.meter.room(sum(len(piece.text) for piece in output))
        return "".join(piece.text for piece in output)

    def _assign(self, target: nodes.Node, value: object, scope: Scope) -> None:
        if isinstance(target, nodes.Name):
            scope.names[target.name] = value
        elif isinstance(target, nodes.NSRef):
            namespace = scope.look_up(target.name)
            if isinstance(namespace, Namespace):
                namespace.names[target.attr] = value
        elif isinstance(target, nodes.Tuple):
            try:
                parts = items_of(value, self.meter)
            except FAILURES:
                parts = []
            for at, one in enumerate(target.items):
                self._assign(one, parts[at] if at < len(parts) else Expected("unknown"), scope)

    def _for(self, node: nodes.For, scope: Scope, output: Output, frame: _Frame) -> _Signal | None:
        self._loop(node, self._values.value(node.iter, scope), scope, output, frame, depth=0)
        return None

    def _loop(
        self, node: nodes.For, iterated: object, scope: Scope, output: Output, frame: _Frame, *, depth: int
    ) -> None:
        try:
            items = items_of(iterated, self.meter)
        except FAILURES:
            items = []
        if node.test is not None:
            items = [one for one in items if self._passes(node, one, scope)]
        if not items:
            self._run(node.else_, scope.inner(), output, frame)
            return
        self.meter.enter()
        again = self._again(node, scope, frame, depth + 1) if node.recursive else None
        loop = Loop(items=items, depth0=depth, again=again)
        for position, one in enumerate(items):
            self.meter.step()
            inner = scope.inner()
            loop.position = position
            inner.names["loop"] = loop
            self._assign(node.target, one, inner)
            if self._run(node.body, inner, output, frame) is _Signal.BREAK:
                break
        self.meter.leave()

    def _passes(self, node: nodes.For, one: object, scope: Scope) -> bool:
        inner = scope.inner()
        self._assign(node.target, one, inner)
        return node.test is not None and self._values.truth(node.test, inner)

    def _again(self, node: nodes.For, scope: Scope, frame: _Frame, depth: int) -> Call:
        def call(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
            output: Output = []
            self._loop(node, args[0], scope, output, frame, depth=depth)
            self.meter.room(sum(len(piece.text) for piece in output))
            return "".join(piece.text for piece in output)

        return call

    def _if(self, node: nodes.If, scope: Scope, output: Output, frame: _Frame) -> _Signal | None:
        for branch in (node, *node.elif_):
            if self._values.truth(branch.test, scope):
                return self._run(branch.body, scope, output, frame)
        return self._run(node.else_, scope, output, frame)

    def _set(self, node: nodes.Assign, scope: Scope, output: Output, frame: _Frame) -> None:
        self._assign(node.target, self._values.value(node.node, scope), scope)

    def _set_block(self, node: nodes.AssignBlock, scope: Scope, output: Output, frame: _Frame) -> None:
        text: object = self._captured(node.body, scope.inner(), frame)
        if isinstance(node.filter, nodes.Filter):
            text = self._filtered(node.filter, text, scope)
        self._assign(node.target, text, scope)

    def _filtered(self, node: nodes.Filter, text: object, scope: Scope) -> object:
        chain = [node]
        while isinstance(chain[-1].node, nodes.Filter):
            chain.append(chain[-1].node)
        for one in reversed(chain):
            args, kwargs = self._values.arguments(one, scope)
            try:
                text = self._values.apply_filter(one.name, text, args, kwargs)
            except FAILURES:
                text = Expected(text_of(text, self.meter))
        return text

    def _filter_block(self, node: nodes.FilterBlock, scope: Scope, output: Output, frame: _Frame) -> None:
        inner = scope.inner()
        text = self._filtered(node.filter, self._captured(node.body, inner, frame), inner)
        self._write(text, node, output, frame)

    def _write(self, value: object, node: nodes.Node, output: Output, frame: _Frame) -> None:
        text = text_of(value, self.meter)
        if text:
            self.meter.room(len(text))
            output.append(Piece(text, frame.path, int(node.lineno)))

    def _with(self, node: nodes.With, scope: Scope, output: Output, frame: _Frame) -> _Signal | None:
        inner = scope.inner()
        for target, value in zip(node.targets, node.values, strict=False):
            self._assign(target, self._values.value(value, scope), inner)
        return self._run(node.body, inner, output, frame)

    def _inside(self, node: nodes.Scope, scope: Scope, output: Output, frame: _Frame) -> _Signal | None:
        return self._run(node.body, scope.inner(), output, frame)

    def _do(self, node: nodes.ExprStmt, scope: Scope, output: Output, frame: _Frame) -> None:
        self._values.value(node.node, scope)

    def _define(self, node: nodes.Macro, scope: Scope, output: Output, frame: _Frame) -> None:
        scope.names[node.name] = self._macro(node, node.name, scope, frame)

    def _macro(self, node: nodes.Macro | nodes.CallBlock, name: str | None, scope: Scope, frame: _Frame) -> Function:
        names = [argument.name for argument in node.args]

        def call(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
            self.meter.enter()
            inner = scope.inner()
            given = dict(kwargs)
            for at, argument in enumerate(names):
                default = at - len(names) + len(node.defaults)
                if at < len(args):
                    inner.names[argument] = args[at]
                elif argument in given:
                    inner.names[argument] = given.pop(argument)
                elif default >= 0:
                    inner.names[argument] = self._values.value(node.defaults[default], inner)
                else:
                    inner.names[argument] = Expected("", missing=True)
            inner.names["caller"] = given.pop("caller", Expected("", missing=True))
            inner.names |= {"varargs": args[len(names) :], "kwargs": given}
            text = self._captured(node.body, inner, frame)
            self.meter.leave()
            return text

        shown = f"<Macro {'anonymous' if name is None else repr(name)}>"
        return Function(shown=shown, name=name, call=call, arguments=tuple(names))

    def _call_block(self, node: nodes.CallBlock, scope: Scope, output: Output, frame: _Frame) -> None:
        caller = self._macro(node, None, scope, frame)
        called = self._values.value(node.call.node, scope)
        args, kwargs = self._values.arguments(node.call, scope)
        try:
            if isinstance(called, Function):
                self._write(called.call(args, {**kwargs, "caller": caller}), node, output, frame)
            else:
                self._write(caller.call((), {}), node, output, frame)
        except FAILURES:
            self._write(Expected("unknown"), node, output, frame)

    def _block(self, node: nodes.Block, scope: Scope, output: Output, frame: _Frame) -> None:
        if frame.parent is None or scope is not frame.root:
            self._run_block(frame, node.name, 0, scope if node.scoped else frame.root, output)

    def _run_block(self, frame: _Frame, name: str, at: int, scope: Scope, output: Output) -> None:
        definitions = frame.blocks.get(name, [])
        if at >= len(definitions):
            return
        self.meter.enter()
        block, path = definitions[at]
        inner = scope.inner()
        inner.names["super"] = Function(shown="super", call=self._block_call(frame, name, at + 1))
        self._run(block.body, inner, output, _Frame(path=path, root=frame.root, blocks=frame.blocks))
        self.meter.leave()

    def _block_call(self, frame: _Frame, name: str, at: int = 0) -> Call:
        def call(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
            output: Output = []
            self._run_block(frame, name, at, frame.root, output)
            self.meter.room(sum(len(piece.text) for piece in output))
            return "".join(piece.text for piece in output)

        return call

    def _extends(self, node: nodes.Extends, scope: Scope, output: Output, frame: _Frame) -> None:
        frame.parent = self._named(node.template, scope)

    def _named(self, node: nodes.Expr, scope: Scope) -> str | None:
        """Return the first template there is of those that an include or the like names."""
        value = self._values.value(node, scope)
        names = list(value) if isinstance(value, list | tuple) else [value]
        texts = [text_of(name, self.meter) for name in names]
        return next((text for text in texts if text in self._trees), None)

    def _include(self, node: nodes.Include, scope: Scope, output: Output, frame: _Frame) -> None:
        name = self._named(node.template, scope)
        if name is not None:
            self._template(name, (scope if node.with_context else self._outermost).inner(), output, {})

    def _module(self, node: nodes.Import | nodes.FromImport, scope: Scope) -> Module:
        name = self._named(node.template, scope)
        if name is None:
            return Module(name="unknown", names={}, text="")
        root = (scope if node.with_context else self._outermost).inner()
        output: Output = []
        self._template(name, root, output, {})
        public = {key: value for key, value in root.names.items() if not key.startswith("_") and key != "self"}
        return Module(name=name, names=public, text="".join(piece.text for piece in output))

    def _import(self, node: nodes.Import, scope: Scope, output: Output, frame: _Frame) -> None:
        scope.names[node.target] = self._module(node, scope)

    def _from_import(self, node: nodes.FromImport, scope: Scope, output: Output, frame: _Frame) -> None:
        module = self._module(node, scope)
        for one in node.names:
            name, alias = one if isinstance(one, tuple) else (one, one)
            scope.names[alias] = module.names.get(name, Expected("", missing=True))

    def _break(self, node: nodes.Break, scope: Scope, output: Output, frame: _Frame) -> _Signal:
        return _Signal.BREAK

    def _continue(self, node: nodes.Continue, scope: Scope, output: Output, frame: _Frame) -> _Signal:
        return _Signal.CONTINUE

    _STATEMENTS: ClassVar[Mapping[type[nodes.Node], object]] = {
        nodes.For: _for,
        nodes.If: _if,
        nodes.Assign: _set,
        nodes.AssignBlock: _set_block,
        nodes.FilterBlock: _filter_block,
        nodes.With: _with,
        nodes.Scope: _inside,
        nodes.ScopedEvalContextModifier: _inside,
        nodes.OverlayScope: _inside,
        nodes.ExprStmt: _do,
        nodes.Macro: _define,
        nodes.CallBlock: _call_block,
        nodes.Block: _block,
        nodes.Extends: _extends,
        nodes.Include: _include,
        nodes.Import: _import,
        nodes.FromImport: _from_import,
        nodes.Break: _break,
        nodes.Continue: _continue,
    }
