"""Several agents linted together: text that they have in common and that the cache cannot share between them.

A prefix is shared by whoever sends the same bytes to the same model: tools first, then text. Two agents with the same
static text and other tools share nothing, and so do two whose texts part early and then go on alike.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding, Place
from agentcache.lint.losses import in_words, rewritten
from agentcache.lint.prompt_tokens import PromptTokens
from agentcache.lint.renders import RenderedLayer
from agentcache.lint.rules.found import found
from agentcache.lint.tools_json import ToolsText
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability
from agentcache.prompt.token_estimate import text_tokens


@dataclass(frozen=True, slots=True)
class _Member:
    """An agent of a team, and what of it could be shared."""

    examination: Examination
    tokens: PromptTokens
    sections: tuple[RenderedLayer, ...]
    text: str
    tools: tuple[JsonValue, ...]
    tool_bytes: str

    @property
    def name(self) -> str:
        return self.examination.sources.agent


def team_findings(examinations: Sequence[Examination]) -> Iterator[Finding]:
    """Yield where agents could share a prefix and do not: one finding for each agent that parts from an earlier one."""
    members = [member for examination in examinations if (member := _member(examination)) is not None]
    told: set[str] = set()
    for first, second in _pairs(members):
        if first.tokens.facts.canonical != second.tokens.facts.canonical or second.name in told:
            continue
        finding = _parting(first, second)
        if finding is not None:
            told.add(second.name)
            yield finding


def _pairs(members: Sequence[_Member]) -> Iterator[tuple[_Member, _Member]]:
    """Yield each two, in their order, whose texts are about as long: no others can be nearly the same."""
    by_length = sorted((len(member.text), index) for index, member in enumerate(members))
    for index, first in enumerate(members):
        length = len(first.text)
        low = bisect_left(by_length, (length - _FEW_CHARACTERS, 0))
        high = bisect_left(by_length, (length + _FEW_CHARACTERS + 1, 0))
        for other in sorted(other for _, other in by_length[low:high] if other > index):
            yield first, members[other]


def _member(examination: Examination) -> _Member | None:
    tokens, tools = examination.tokens, examination.tools
    if tokens is None or not tokens.complete:
        return None
    sections = tuple(section for section in examination.layers if section.layer is Stability.STATIC)
    listed = tools.tools if isinstance(tools, ToolsText) else ()
    text = "\n\n".join(section.text for section in sections)
    sent = tuple(tool.node.plain for tool in listed if not tool.deferred)
    return _Member(examination, tokens, sections, text, sent, _bytes(sent))


def _parting(first: _Member, second: _Member) -> Finding | None:
    if first.text == second.text:
        return None if first.tool_bytes == second.tool_bytes else _other_tools(first, second)
    if first.tool_bytes == second.tool_bytes:
        return _other_start(first, second)
    return None


def _other_tools(first: _Member, second: _Member) -> Finding | None:
    """Find the same static text behind tools of another order, spelling or set."""
    text = text_tokens(second.text, second.tokens.facts)
    one, two = _by_name(first.tools), _by_name(second.tools)
    both = len(one) == len(first.tools) and len(two) == len(second.tools)
    if both and one == two:
        tokens = text + second.tokens.tools
        same_order = list(one) == list(two)
        code, what = (
            ("PC021", "the same tools with their keys in another order")
            if same_order
            else ("PC019", "the same tools in another order")
        )
    else:
        code, what, tokens = "PC020", _difference(one, two), text
    if tokens < second.tokens.facts.minimum_prefix_tokens:
        return None  # what could be shared is too short to be cached
    return _found(code, first, second, _tools_place(second), _tools_place(first), what, tokens)


def _other_start(first: _Member, second: _Member) -> Finding | None:
    """Find static texts that differ in a few characters near their start and are the same behind them."""
    facts = second.tokens.facts
    one, two = first.text, second.text
    if abs(len(one) - len(two)) > _FEW_CHARACTERS:
        return None
    same = _common_length(one, two)
    rest = _common_length(one[same:][::-1], two[same:][::-1])
    parts = one[same : len(one) - rest], two[same : len(two) - rest]
    if max(map(len, parts)) > _FEW_CHARACTERS or "\n" in "".join(parts):
        return None
    lost = text_tokens(two[same:], facts)
    in_front = second.tokens.tools + text_tokens(two[:same], facts)
    if lost < facts.minimum_prefix_tokens or lost <= in_front:
        return None  # most is shared as it is, if a breakpoint stands where the texts part
    here, there = _place(second, same), _place(first, same)
    what = f'static text that parts at "{_around(two, same)}" (there: "{_around(one, same)}") and then goes on alike'
    return _found("PC053", first, second, here, there, what, lost)


def _found(code: str, first: _Member, second: _Member, place: Place, other: Place, what: str, tokens: int) -> Finding:
    loss = rewritten(tokens, second.tokens.facts)
    return found(
        code,
        second.examination,
        place,
        f"agents {first.name} and {second.name} have {what}: they share no prefix, and {second.name} writes about "
        f"{tokens:,} tokens of its own that it could read{in_words(loss, of='first calls')}",
        layer=Stability.STATIC if code == "PC053" else None,
        confidence=Confidence.LIKELY,
        fix=_FIXES[code],
        also=(other,),
        loss=loss,
    )


def _difference(one: dict[str, JsonValue], two: dict[str, JsonValue]) -> str:
    only_first, only_second = sorted(one.keys() - two.keys()), sorted(two.keys() - one.keys())
    other = sorted(name for name in one.keys() & two.keys() if one[name] != two[name])
    parts = [
        f"{text} {', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''}"
        for text, names in (
            ("without", only_first),
            ("with", only_second),
            ("with another definition of", other),
        )
        if names
    ]
    return f"the same static text behind other tools (the second {' and '.join(parts) or 'has another list'})"


def _by_name(tools: Sequence[JsonValue]) -> dict[str, JsonValue]:
    return {str(tool.get("name")): tool for tool in tools if isinstance(tool, dict)}


def _bytes(tools: Sequence[JsonValue]) -> str:
    """Return the tools as they are sent, markers aside: those are no part of what is cached."""
    plain = [
        {key: value for key, value in tool.items() if key != "cache_control"} if isinstance(tool, dict) else tool
        for tool in tools
    ]
    return json.dumps(plain, ensure_ascii=False)


def _tools_place(member: _Member) -> Place:
    sources = member.examination.sources
    if sources.tools is not None:
        return Place(path=sources.tools.path)
    return Place(path=sources.layers[0].path)


def _place(member: _Member, at: int) -> Place:
    """Return the template line that printed character `at` of the static text."""
    start = 0
    for section in member.sections:
        end = start + len(section.text)
        if at <= end:
            return section.lines[min(section.text.count("\n", 0, at - start), len(section.lines) - 1)]
        start = end + 2
    return Place(path=member.sections[-1].lines[-1].path)


def _around(text: str, at: int) -> str:
    return " ".join(text[max(at - 12, 0) : at + 18].split())


def _common_length(one: str, two: str) -> int:
    """Return how many characters two texts begin with alike, by halving: comparing slices is quick."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == two[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


_FEW_CHARACTERS = 24
"""A name or a word; texts that differ in a line say different things."""
_NAMED = 4
_FIXES = {
    "PC019": "give both the same list of tools in the same order: sort them by name",
    "PC020": "give both the same leading tools, and defer those that only one needs, or refuse them in the handler",
    "PC021": "serialise the tools once and send both agents the same bytes",
    "PC053": "put what differs behind the common text, into a section of its own at the end of the static layer",
}
