"""Which lines of a prompt come out otherwise when one variable has another value.

What no rule about names or types foresees shows here, since the text itself is compared. Only variables that a
section reads are varied.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from jinja2 import nodes

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Place
from agentcache.lint.meanings import variable_meaning
from agentcache.lint.origins import Origin, OriginKind, Print
from agentcache.lint.renders import RenderedLayer, render_section
from agentcache.lint.syntax import ParsedTemplate
from agentcache.prompt.sections import Stability

_MOST_LINES = 300
"""Changed stretches longer than this are told by their first line: aligning them would take long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A line that another value of one variable changes.

    cause: the layer of the variable. variable: its name. place: the line's place in a template.
    before, after: the line in both renders, `None` where there is none.
    """

    layer: Stability
    section: str
    cause: Stability
    variable: str
    place: Place
    before: str | None
    after: str | None


def differing_places(
    sources: AgentSources,
    parsed: Mapping[str, ParsedTemplate],
    layers: Sequence[RenderedLayer],
    known: Container[tuple[str, str]] = (),
) -> tuple[Difference, ...]:
    """Return the lines of the prefix that vary within the life of their layer, by section and variable.

    layers: the plain renders (`renders.render_layers`). A render that ended early is compared as far as both go.
    known: pairs of section and variable that need no look.
    """
    return tuple(
        difference
        for plain in layers
        if plain.layer is not Stability.TURN
        for cause, variable in _noticed(plain, sources)
        if (plain.section, variable) not in known
        for difference in _compared(plain, cause, variable, sources, parsed)
    )


def overlooked(
    sources: AgentSources,
    parsed: Mapping[str, ParsedTemplate],
    layers: Sequence[RenderedLayer],
    prints: Iterable[Print],
) -> tuple[Print, ...]:
    """Return a print for each variable that changes a section's text though no print says so, at its first line.

    A line that a print is about is told of once, whatever else is in it, and a loop or a condition that one is about
    with all that is in it. Orders and locales are left to the flow: a filter that settles them cannot be run here when
    it is the author's own.
    """
    prints = tuple(prints)
    known = {(found.section, root_of(origin.name)) for found in prints for origin in found.origins}
    told = {(place.path, place.line) for found in prints for place in (found.place, *found.through)}
    told |= {line for template in parsed.values() for line in _within_told(template, told)}
    first: dict[tuple[str, str], Difference] = {}
    for difference in differing_places(sources, parsed, layers, known):
        first.setdefault((difference.section, difference.variable), difference)
    return tuple(
        _print(difference)
        for difference in first.values()
        if (difference.place.path, difference.place.line) not in told
    )


def _within_told(template: ParsedTemplate, told: Container[tuple[str, int | None]]) -> Iterator[tuple[str, int]]:
    """Yield the lines of loops and conditions whose first line is told of already."""
    if template.tree is None:
        return
    path = template.file.path
    for block in _statements(template.tree):
        if isinstance(block, nodes.For | nodes.If):
            head: int | None = (block.iter if isinstance(block, nodes.For) else block.test).lineno
            if head is not None and (path, head) in told:
                for line in range(head, max(map(_last_line, _statements(block))) + 1):
                    yield path, line


def _statements(root: nodes.Node) -> Iterator[nodes.Node]:
    """Yield a node, and the statements and texts in it; expressions may be nested too deep for a recursion."""
    left = [root]
    while left:
        node = left.pop()
        yield node
        left += [child for child in node.iter_child_nodes() if isinstance(child, nodes.Stmt | nodes.TemplateData)]


def _last_line(node: nodes.Node) -> int:
    line: int | None = node.lineno
    return (line or 0) + (node.data.count("\n") if isinstance(node, nodes.TemplateData) else 0)


def root_of(name: str) -> str:
    """Return the variable that an origin's name begins with: `user` of `user.email`."""
    return re.split(r"[.(\[| ]", name, maxsplit=1)[0]


def _print(difference: Difference) -> Print:
    meaning = variable_meaning((difference.variable,))
    layer = difference.cause
    kind = OriginKind.SEMI_STATIC if layer is Stability.SEMI_STATIC else meaning or OriginKind(layer)
    origin = Origin(kind=kind, name=difference.variable, place=difference.place, stability=layer)
    return Print(
        place=difference.place,
        layer=difference.layer,
        section=difference.section,
        origins=frozenset({origin}),
        role="output",
        expression="",
    )


def _noticed(plain: RenderedLayer, sources: AgentSources) -> Iterator[tuple[Stability, str]]:
    """Yield the variables that a section reads and that vary more often than it may, each with its layer."""
    for layer in (Stability.SEMI_STATIC, Stability.SESSION, Stability.TURN):
        if layer.rank > plain.layer.rank:
            for name in sources.variables.get(layer, {}):
                if name in plain.read:
                    yield layer, name


def _compared(
    plain: RenderedLayer,
    cause: Stability,
    variable: str,
    sources: AgentSources,
    parsed: Mapping[str, ParsedTemplate],
) -> Iterator[Difference]:
    other = render_section(plain.layer, plain.section, sources, parsed, other=variable)
    if other.text == plain.text:
        return
    for before, after in _changed(plain.text.split("\n"), other.text.split("\n")):
        yield Difference(
            layer=plain.layer,
            section=plain.section,
            cause=cause,
            variable=variable,
            place=plain.lines[before] if before is not None else other.lines[after or 0],
            before=None if before is None else plain.text.split("\n")[before],
            after=None if after is None else other.text.split("\n")[after],
        )


def _changed(before: list[str], after: list[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the pairs of line numbers that differ, one of them `None` for a line that only one text has."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    one, two = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(one), len(two)) > _MOST_LINES:
        yield (start if one else None), (start if two else None)
        return
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if kind != "equal":
            for at in range(max(i2 - i1, j2 - j1)):
                yield (start + i1 + at if i1 + at < i2 else None), (start + j1 + at if j1 + at < j2 else None)
