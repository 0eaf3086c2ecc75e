"""What a section prints in its order: text that is always the same, and places where the text varies.

Read from the syntax tree, so that it holds for every value. Text in a branch or loop that hangs on a varying value is
not always there, and counts as part of that place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from jinja2 import nodes

from agentcache.lint.finding import Place
from agentcache.lint.syntax import ParsedTemplate
from agentcache.lint.tree_walk import all_below


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPiece:
    """A piece of a section. text: the template's own words, `None` where a varying value stands.

    place: of the text's first line that is not empty, or of the value.
    """

    text: str | None
    place: Place


def pieces(template: ParsedTemplate, parsed: Mapping[str, ParsedTemplate], constant: Set[str]) -> tuple[FlowPiece, ...]:
    """Return what a template prints. constant: the names whose values stay; every other one varies.

    What is included by a constant name is followed; what is imported or inherited is not.
    """
    return tuple(_Reader(parsed, constant).template(template, ()))


class _Reader:
    def __init__(self, parsed: Mapping[str, ParsedTemplate], constant: Set[str]) -> None:
        self._parsed = parsed
        self._constant = set(constant)

    def template(self, template: ParsedTemplate, through: tuple[str, ...]) -> Iterator[FlowPiece]:
        """Yield what a template prints; through: the templates that include it."""
        if template.tree is not None and template.file.name not in through:
            for node in template.tree.body:
                yield from self._node(node, template, (*through, template.file.name))

    def _node(self, node: nodes.Node, template: ParsedTemplate, through: tuple[str, ...]) -> Iterator[FlowPiece]:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                if isinstance(part, nodes.TemplateData):
                    yield FlowPiece(text=part.data, place=_first_text(part, template))
                elif self._varies(part):
                    yield FlowPiece(text=None, place=template.text_map.place(template.file.path, part))
        elif isinstance(node, (nodes.Assign, nodes.AssignBlock, nodes.Macro)):
            self._defined(node)
        elif isinstance(node, (nodes.If, nodes.For)):
            yield from self._branch(node, template, through)
        elif isinstance(node, nodes.Include):
            yield from self._included(node, template, through)
        elif not isinstance(node, (nodes.Import, nodes.FromImport, nodes.Extends, nodes.Expr)):
            yield from self._scoped(node, template, through)

    def _defined(self, node: nodes.Assign | nodes.AssignBlock | nodes.Macro) -> None:
        if isinstance(node, nodes.Macro):
            # Text stands where the macro is called; the call varies if what it is given or reads does.
            self._assign(nodes.Name(node.name, "store"), constant=not self._macro_varies(node))
        elif isinstance(node, nodes.Assign):
            self._assign(node.target, constant=not self._varies(node.node))
        else:
            self._assign(node.target, constant=not any(map(self._varies, node.body)))

    def _branch(
        self, node: nodes.If | nodes.For, template: ParsedTemplate, through: tuple[str, ...]
    ) -> Iterator[FlowPiece]:
        decides = node.test if isinstance(node, nodes.If) else node.iter
        if self._varies(decides):
            yield FlowPiece(text=None, place=template.text_map.place(template.file.path, decides))
            last = _last_value(node, template)
            if last is not None:
                yield FlowPiece(text=None, place=last)
            return
        if isinstance(node, nodes.For):
            self._assign(node.target, constant=True)
            self._constant.add("loop")
        for child in node.body:
            yield from self._node(child, template, through)

    def _included(self, node: nodes.Include, template: ParsedTemplate, through: tuple[str, ...]) -> Iterator[FlowPiece]:
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        place = template.text_map.place(template.file.path, node.template)
        included = self._parsed.get(name) if isinstance(name, str) else None
        if included is None:
            yield FlowPiece(text=None, place=place)
            return
        for piece in self.template(included, through):
            yield FlowPiece(text=piece.text, place=place)

    def _scoped(self, node: nodes.Node, template: ParsedTemplate, through: tuple[str, ...]) -> Iterator[FlowPiece]:
        if isinstance(node, nodes.With):
            for target, value in zip(node.targets, node.values, strict=False):
                self._assign(target, constant=not self._varies(value))
        if isinstance(node, (nodes.CallBlock, nodes.FilterBlock)) and self._varies(node):
            yield FlowPiece(text=None, place=Place(path=template.file.path, line=int(node.lineno)))
            return
        for child in getattr(node, "body", ()):
            yield from self._node(child, template, through)

    def _assign(self, target: nodes.Node, *, constant: bool) -> None:
        for name in (target, *all_below(target, nodes.Name)):
            if isinstance(name, nodes.Name):
                (self._constant.add if constant else self._constant.discard)(name.name)

    def _varies(self, node: nodes.Node) -> bool:
        names = [node] if isinstance(node, nodes.Name) else all_below(node, nodes.Name)
        return any(
            name.ctx == "load" and name.name not in self._constant and name.name not in _BUILTIN for name in names
        )

    def _macro_varies(self, node: nodes.Macro) -> bool:
        own = {argument.name for argument in node.args} | {"caller", "varargs", "kwargs"}
        bound = {name.name for name in all_below(node, nodes.Name) if name.ctx in {"store", "param"}}
        names = {name.name for part in node.body for name in all_below(part, nodes.Name) if name.ctx == "load"}
        return bool(names - own - bound - self._constant - _BUILTIN)


def _last_value(node: nodes.Node, template: ParsedTemplate) -> Place | None:
    """Return where the last value in a branch or loop is printed."""
    outputs = [
        part
        for output in all_below(node, nodes.Output)
        for part in output.nodes
        if not isinstance(part, nodes.TemplateData)
    ]
    return template.text_map.place(template.file.path, outputs[-1]) if outputs else None


def _first_text(node: nodes.TemplateData, template: ParsedTemplate) -> Place:
    blank = len(node.data) - len(node.data.lstrip())
    return Place(path=template.file.path, line=int(node.lineno) + node.data.count("\n", 0, blank))


_BUILTIN = frozenset(
    {"range", "dict", "namespace", "joiner", "cycler", "loop", "true", "false", "none", "self", "lipsum"}
)
