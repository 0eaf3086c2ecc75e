"""What several agents have in common and still do not share, and why.

The API reads a cache entry only for a prefix that is equal from its first byte: tools, then what the API renders of a
declared output, then the system prompt. This module compares declarations; it knows nothing of calls. Agents of
different models share nothing and are never compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentcache.prompt.canonical import JsonObject, canonical_json, json_text
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.prompt.token_estimate import block_tokens, text_tokens
from agentcache.runtime.agent import Agent
from agentcache.runtime.output import OutputSpec

Cause: TypeAlias = Literal["tools", "output", "variables", "order"]
"""What parts two prompts in front of text that they have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unshared:
    """Tools and static sections that agents have in common and each of them writes for itself."""

    agents: tuple[str, ...]
    """Names; all later ones are compared with the first."""
    cause: Cause
    where: str
    """Where the prompts part: `tools[1]`, `output_config.format` or `system[0]`."""
    sections: tuple[str, ...]
    """Names, in the first agent, of the sections that are not shared."""
    lost_tokens: int
    """Estimated tokens that each further agent could have read and does not."""
    message: str

    def to_json(self) -> JsonObject:
        """Return the finding as plain values."""
        return {
            "agents": list(self.agents),
            "cause": self.cause,
            "where": self.where,
            "sections": list(self.sections),
            "lost_tokens": self.lost_tokens,
            "message": self.message,
        }


def unshared(agents: Sequence[Agent[object]]) -> list[Unshared]:
    """Return what agents of one model could share and do not, each agent beside the one it loses most with.

    Counts only what would reach the model's minimum. Raises what rendering the static layer raises.
    """
    heads = [_Head.of(agent) for agent in agents]
    found: dict[tuple[str, Cause, str, tuple[str, ...], int], list[str]] = {}
    partings: dict[tuple[str, Cause, str, tuple[str, ...], int], _Parting] = {}
    for place, head in enumerate(heads):
        pairs = [parting for other in heads[:place] if (parting := _parting(other, head)) is not None]
        if pairs:
            most = max(pairs, key=lambda parting: parting.lost_tokens)
            partings.setdefault(most.key, most)
            found.setdefault(most.key, [most.first.agent.name]).append(head.agent.name)
    return [_finding(partings[key], names) for key, names in found.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What an agent's every request begins with."""

    agent: Agent[object]
    tools: tuple[str, ...]
    tool_tokens: tuple[int, ...]
    output: str
    sections: tuple[RenderedSection, ...]

    @classmethod
    def of(cls, agent: Agent[object]) -> _Head:
        settings = agent.settings(OutputSpec.of(agent.output))
        definitions = [tool.definition() for tool in agent.tools]
        return cls(
            agent=agent,
            tools=tuple(map(json_text, definitions)),
            tool_tokens=tuple(block_tokens(definition, agent.facts) for definition in definitions),
            output=canonical_json(settings.output_format),
            sections=agent.renderer.render(Stability.STATIC, plain_variables(agent.variables)),
        )

    def tokens(self, tools: Sequence[str], sections: Sequence[RenderedSection]) -> int:
        """Return the tokens of those of its tools and of these sections, none if they are too few to be cached."""
        counted = sum(tokens for tool, tokens in zip(self.tools, self.tool_tokens, strict=True) if tool in tools)
        counted += sum(text_tokens(section.text, self.agent.facts) for section in sections)
        return counted if counted >= self.agent.facts.minimum_prefix_tokens else 0

    def template(self, name: str) -> str | None:
        return next((section.template for section in self.agent.prompt.sections if section.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parting:
    first: _Head
    second: _Head
    cause: Cause
    where: str
    detail: str
    lost: tuple[RenderedSection, ...]
    lost_tokens: int

    @property
    def key(self) -> tuple[str, Cause, str, tuple[str, ...], int]:
        names = tuple(section.name for section in self.lost)
        return self.first.agent.name, self.cause, self.where, names, self.lost_tokens


def _parting(first: _Head, second: _Head) -> _Parting | None:
    """Return where two agents part in front of something that they have in common, if it costs them anything."""
    if first.agent.facts.canonical != second.agent.facts.canonical:
        return None
    tools = _equal(first.tools, second.tools)
    same_tools = tools == len(first.tools) == len(second.tools)
    together = same_tools and first.output == second.output
    sections = _equal([one.text for one in first.sections], [one.text for one in second.sections]) if together else 0
    elsewhere = {section.text for section in second.sections[sections:]}
    lost = tuple(section for section in first.sections[sections:] if section.text in elsewhere)
    shared = first.sections[:sections]
    in_common = first.tokens([tool for tool in first.tools if tool in second.tools], (*shared, *lost))
    lost_tokens = in_common - first.tokens(first.tools[:tools], shared)
    if lost_tokens <= 0:
        return None
    if not same_tools:
        cause, where, detail = _tools_differ(first, second, tools)
    elif not together:
        cause, where, detail = (
            "output",
            "output_config.format",
            "their outputs differ, which stand before the system prompt",
        )
    else:
        cause, where, detail = _sections_differ(first, second, sections)
    return _Parting(
        first=first, second=second, cause=cause, where=where, detail=detail, lost=lost, lost_tokens=lost_tokens
    )


def _equal(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many leading items are equal."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _tools_differ(first: _Head, second: _Head, place: int) -> tuple[Cause, str, str]:
    alone = [
        f"{tool.name!r} of {head.agent.name}"
        for head, other in ((first, second), (second, first))
        for tool, text in zip(head.agent.tools, head.tools, strict=True)
        if text not in other.tools
    ]
    what = f"{', '.join(alone)} stands before all text" if alone else "their tools stand in another order"
    return "tools", f"tools[{place}]", f"their tools differ: {what}"


def _sections_differ(first: _Head, second: _Head, place: int) -> tuple[Cause, str, str]:
    one, other = first.sections[place], second.sections[place]
    where = f"system[{place}]"
    if first.template(one.name) == second.template(other.name):
        return "variables", where, f"section {one.name!r} in front of it is rendered with other variables"
    in_the_way = [
        f"{section.name!r} of {head.agent.name}"
        for head, section, against in ((first, one, second), (second, other, first))
        if section.text not in {known.text for known in against.sections}
    ]
    if not in_the_way:
        return "order", where, "their sections stand in another order"
    return "order", where, f"section {' and '.join(in_the_way)} stands in front of it"


_REMEDIES: dict[Cause, str] = {
    "tools": "give all of them the same tools, as those of a Team",
    "output": "give them one output, or put what they share into the tools",
    "variables": "move those variables behind it, into a section of the agent's own",
    "order": "put what they share first, as the sections of a Team",
}


def _finding(parting: _Parting, names: Sequence[str]) -> Unshared:
    lost = tuple(section.name for section in parting.lost)
    what = f"{'section' if len(lost) == 1 else 'sections'} {', '.join(lost)}" if lost else "tools"
    return Unshared(
        agents=tuple(names),
        cause=parting.cause,
        where=parting.where,
        sections=lost,
        lost_tokens=parting.lost_tokens,
        message=(
            f"{' and '.join(names)} have {what} in common but do not share the {parting.lost_tokens:,} tokens: "
            f"they part at {parting.where}, {parting.detail}; {_REMEDIES[parting.cause]}"
        ),
    )
