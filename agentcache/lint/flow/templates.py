"""What one template brings in: includes, imports, the template that it extends, blocks and macros."""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import nodes

from agentcache.lint.flow.arguments import Arguments
from agentcache.lint.flow.scopes import Scoped
from agentcache.lint.flow.targets import BlockBody, Macro, Module, Namespace, Scope
from agentcache.lint.syntax import ParsedTemplate
from agentcache.lint.values import NOTHING, Value, joined

MOST_NESTED = 24
"""Templates and macros inside each other; Jinja itself gives up not much later."""


class Templates(Scoped):
    """A walk's way into other templates and into macros."""

    def _run_template(self, tree: nodes.Template) -> None:
        for block in self._template.blocks:
            self._register(block)
        extends = self._template.extends
        if extends is None:
            self.run(tree.body)
            return
        before = [node for node in tree.body if not isinstance(node, nodes.Output | nodes.Block | nodes.Extends)]
        self._quietly(before)
        self._extend(extends, tree)

    def _extend(self, node: nodes.Extends, tree: nodes.Template) -> None:
        name = self.of(node.template)
        self._note_choice(name, node.template)
        parent = self._named(name)
        if parent is None or parent.tree is None or self._nested >= MOST_NESTED:
            for block in self._template.blocks:
                self._run_block(block)
            return
        shown = self._shown(node.template, "include")
        with self._inside(parent, self._brought or shown):
            self._run_template(parent.tree)

    def _quietly(self, body: Iterable[nodes.Node]) -> None:
        with self.notes.captured():
            self.run(body)

    def walk(self, template: ParsedTemplate) -> None:
        """Walk through a section's template."""
        self._template = template
        if template.tree is not None:
            self._run_template(template.tree)

    def called_target(self, target: object, arguments: Arguments, node: nodes.Expr) -> Value | None:
        """Return what calling a macro, a caller or a block gives; `None` for any other target."""
        if isinstance(target, Macro):
            return self._called(target, arguments)
        if isinstance(target, BlockBody):
            return self._captured_block(target)
        return None

    def target_attribute(self, target: object, name: str) -> Value | None:
        """Return an attribute of a namespace, an imported template, or `self`; `None` for any other target."""
        if isinstance(target, Namespace):
            return target.values.get(name, NOTHING)
        if isinstance(target, Module):
            return target.names.get(name, NOTHING)
        if target is self:
            body = self._blocks.get(name)
            return NOTHING if body is None else Value(target=body)
        return None

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

    def _imported(self, node: nodes.Import | nodes.FromImport) -> Scope:
        name = self._template_name(node.template)
        self._note_choice(name, node.template)
        imported = self._named(name)
        if imported is None or imported.tree is None or self._nested >= MOST_NESTED:
            return {}
        shown = self._brought or self._shown(node.template, "include")
        around = self._scopes if node.with_context else []
        with self._among(around) as exports, self._inside(imported, shown), self._own_blocks():
            self._quietly(imported.tree.body)
        return exports

    def _called(self, macro: Macro, arguments: Arguments) -> Value:
        if self._nested >= MOST_NESTED:
            return NOTHING
        key = (macro, arguments.key, self._under)
        caller = self.local("caller") if isinstance(macro.node, nodes.Macro) else None
        try:
            known = self._done.get(key) if caller is None else None
        except TypeError:  # an argument is a literal list or dictionary, which no table takes as its key
            return self._macro_result(macro, arguments, caller)
        if known is None:
            known = self._done[key] = self._macro_result(macro, arguments, caller)
        return known

    def _macro_result(self, macro: Macro, arguments: Arguments, caller: Value | None) -> Value:
        given = frozenset().union(*(argument.shown for argument in arguments.all))
        with (
            self._among(macro.scopes) as scope,
            self._inside(macro.template, macro.brought),
            self.notes.captured() as captured,
        ):
            self._bind_arguments(macro.node, arguments)
            if caller is not None:
                scope["caller"] = caller
            self.run(macro.node.body)
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

    def _captured_block(self, body: BlockBody) -> Value:
        if self._nested >= MOST_NESTED:
            return NOTHING
        with self._inside(body.template, body.brought), self._scope(), self.notes.captured() as captured:
            self._scopes[-1]["super"] = Value(target=body.above)
            self.run(body.node.body)
        return captured.value(placed=True)

    def _run_block(self, node: nodes.Block) -> None:
        body = self._blocks.get(node.name)
        if body is None:
            self.run(node.body)
        elif self._nested < MOST_NESTED:
            with self._inside(body.template, body.brought), self._scope():
                self._scopes[-1]["super"] = Value(target=body.above)
                self.run(body.node.body)
