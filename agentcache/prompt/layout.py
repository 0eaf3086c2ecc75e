"""Blocks of one request in wire order: tools, system, messages; each with its prefix, tokens and look-back position.

Decides identity and order, nothing about breakpoints. What the API leaves out of the rendered prompt (deferred tools
until they are found, turn-scoped system messages, thinking that an older model strips) has no part in any prefix.
Knows no model but through its facts, and trusts that a message that was laid out once is never changed afterwards:
that is what makes the next turn cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import eq, is_
from types import MappingProxyType
from typing import TypeVar

from agentcache.errors import BreakpointError, SettingsError
from agentcache.prompt.blocks import (
    COLLAPSED_KINDS,
    UNMARKABLE_KINDS,
    Block,
    Level,
    block_digest,
    is_markable,
    without_mark,
)
from agentcache.prompt.canonical import DIGEST_SCHEME, JsonObject, JsonValue, chain
from agentcache.prompt.model_facts import ModelFacts, Ttl
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.prompt.token_estimate import (
    TokenCounter,
    TokenEstimator,
    closing_tokens,
    message_tokens,
    tool_prompt_tokens,
)
from agentcache.prompt.tool_kinds import found_names, is_deferred, same_deferred, stands_with_system, without_deferral

__all__ = ["Block", "Layout", "Level", "lay_out"]

_SourceT = TypeVar("_SourceT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Where the chain of blocks stood behind one tool, section or message."""

    blocks_end: int
    run: str
    """Kind of the collapsed run that the piece ends in; empty when it ends in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a later layout needs to take over the pieces that did not change."""

    identity: str
    """Model, tokenizer and platform behaviour; pieces of another identity are of no use."""
    values: Mapping[Level, tuple[object, ...]]
    """Tools, sections and messages as they came in."""
    pieces: Mapping[Level, tuple[_Piece, ...]]
    """One for each of them."""
    stripped: int
    """In front of which message thinking was stripped."""
    starts: Mapping[Level, tuple[str, int]]
    """For each level the prefix that it begins behind and the index of its first block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One request as blocks, and the wire values they stand for, without any `cache_control`."""

    model: str
    """The name that goes to the wire."""
    tools: tuple[JsonObject, ...]
    system: tuple[JsonObject, ...]
    messages: tuple[JsonObject, ...]
    blocks: tuple[Block, ...]
    messages_start: int
    """Index in `blocks` of the first block of `messages`."""
    author_marks: tuple[int, ...]
    """Indices in `blocks` of those that carry an author's explicit mark."""
    closing_tokens: int
    """Tokens behind the last block that ask for the answer; in no prefix."""
    sources: Sources = field(repr=False, compare=False)

    @property
    def prefix_tokens(self) -> int:
        """Estimated tokens of all blocks."""
        return self.blocks[-1].prefix_tokens if self.blocks else 0

    @property
    def total_tokens(self) -> int:
        """Estimated tokens of the whole prompt, as the API would count it."""
        return self.prefix_tokens + self.closing_tokens

    def wire(self, level: Level) -> tuple[JsonObject, ...]:
        """Return the wire values of one level."""
        if level == "tools":
            return self.tools
        return self.system if level == "system" else self.messages

    @property
    def provenance(self) -> dict[str, str]:
        """Digests of what sections are made of, by section name; without those that no template made."""
        sections = (item for item in self.sources.values["system"] if isinstance(item, RenderedSection))
        return {section.name: section.provenance for section in sections if section.provenance is not None}

    def section_tokens(self) -> dict[str, int]:
        """Return estimated tokens per section name; `tools` and `messages` count what belongs to no section."""
        counts: dict[str, int] = {}
        for block in self.blocks[: self.messages_start]:
            name = block.section or block.level
            counts[name] = counts.get(name, 0) + block.tokens
        if len(self.blocks) > self.messages_start:
            # No block of a message belongs to a section, so their sum needs no walk through a long conversation.
            ahead = self.blocks[self.messages_start - 1].prefix_tokens if self.messages_start else 0
            counts["messages"] = self.prefix_tokens - ahead
        return counts


NO_SALTS: Mapping[Level, str] = MappingProxyType({})
_ESTIMATOR = TokenEstimator()


def lay_out(
    *,
    facts: ModelFacts,
    tools: Sequence[JsonObject],
    system: Sequence[RenderedSection],
    messages: Sequence[JsonObject],
    previous: Layout | None = None,
    level_salts: Mapping[Level, str] = NO_SALTS,
    collapse_tool_runs: bool = True,
    shared_tools: int = 0,
    counter: TokenCounter = _ESTIMATOR,
) -> Layout:
    """Return the blocks of one request.

    tools: definitions, in the order in which they are sent. system: rendered sections, most stable first, one text
    block each. messages: API messages; a string content becomes one text block. An author's own `cache_control` on a
    tool or message block is taken off and becomes the block's `mark`.
    previous: an earlier layout of the same conversation by the same `counter`. A leading tool or message that is the
    same object, or a section that is equal, is not read again, so a turn costs what it adds.
    level_salts: what else the API renders at a level (thinking, effort, tool choice, output format), in any form that
    is equal when they are equal; prefixes under other salts are other prefixes.
    collapse_tool_runs: false for platforms that count every tool_use and tool_result as a position of its own.
    shared_tools: how many leading tools are a team's; where others follow, prompts part behind them.

    Raises `BreakpointError` for a mark that no request can carry, and `SettingsError` for a message that is none.
    """
    parting_tools = shared_tools if shared_tools < len(tools) else 0
    identity = f"{facts.canonical} {facts.tokenizer} {facts.keeps_all_thinking} {collapse_tool_runs} {parting_tools}"
    before = previous if previous is not None and previous.sources.identity == identity else None
    work = _Work(facts, counter, collapse_tool_runs, before)
    work.enter("tools", level_salts)
    for index, tool in work.unread(tools):
        work.add_tool(index, tool, parting=index + 1 == parting_tools)
    work.enter("system", level_salts)
    work.add_tools_with_system(tools)
    for index, section in work.unread(system):
        work.add_section(index, section)
    work.enter("messages", level_salts)
    stripped = 0 if facts.keeps_all_thinking else _last_question(messages)
    for index, message in work.unread(messages, stripped):
        work.add_message(index, message, thinking_stripped=index < stripped)
    return Layout(
        model=facts.model,
        tools=tuple(work.wire["tools"]),
        system=tuple(work.wire["system"]),
        messages=tuple(work.wire["messages"]),
        blocks=tuple(work.blocks),
        messages_start=work.starts["messages"][1],
        author_marks=tuple(work.author_marks),
        closing_tokens=closing_tokens(facts),
        sources=Sources(
            identity=identity,
            values={"tools": tuple(tools), "system": tuple(system), "messages": tuple(messages)},
            stripped=stripped,
            pieces={level: tuple(pieces) for level, pieces in work.pieces.items()},
            starts=work.starts,
        ),
    )


class _Work:
    """The blocks so far, and where the chain of prefixes stands."""

    def __init__(self, facts: ModelFacts, counter: TokenCounter, collapse: bool, before: Layout | None) -> None:
        self.blocks: list[Block] = []
        self.author_marks: list[int] = []
        self.wire: dict[Level, list[JsonObject]] = {"tools": [], "system": [], "messages": []}
        self.pieces: dict[Level, list[_Piece]] = {"tools": [], "system": [], "messages": []}
        self.starts: dict[Level, tuple[str, int]] = {}
        self._facts, self._counter, self._collapse, self._before = facts, counter, collapse, before
        self._level: Level = "tools"
        # The root names the model, so that no prefix of one model is taken for a prefix of another.
        self._digest, self._tokens, self._position, self._run = f"{DIGEST_SCHEME}:{facts.canonical}", 0, -1, ""
        self._deferred: dict[str, JsonObject] = {}

    def enter(self, level: Level, salts: Mapping[Level, str]) -> None:
        """Begin a level: its salt is part of every prefix from here on."""
        self._level = level
        self._digest = chain(self._digest, f"{level}\n{salts.get(level, '')}")
        self._run = ""
        if level == "messages":
            self._deferred = {str(tool.get("name")): tool for tool in self.wire["tools"] if is_deferred(tool)}
        self.starts[level] = (self._digest, len(self.blocks))

    def unread(self, sources: Sequence[_SourceT], stripped: int = 0) -> Iterator[tuple[int, _SourceT]]:
        """Take over the leading pieces that the earlier layout has already, and return the others to be read."""
        before = self._before
        in_step = before is not None and before.sources.starts[self._level] == self.starts[self._level]
        kept = self._take_over(before, sources, stripped) if before is not None and in_step else 0
        return enumerate(islice(sources, kept, None), start=kept)

    def add_tool(self, index: int, tool: JsonObject, *, parting: bool) -> None:
        """Append one tool definition; a deferred one has no place in the prompt, and some have theirs further on."""
        bare, mark = without_mark(tool, f"tools[{index}]")
        if is_deferred(bare):
            if mark is not None:
                raise BreakpointError(f"tools[{index}] is marked, but a tool with defer_loading takes no breakpoint")
        elif not stands_with_system(bare):
            self._append_tool(bare, mark, index=index, parting=parting)
        self._close(bare)

    def add_tools_with_system(self, tools: Sequence[JsonObject]) -> None:
        """Append the definitions that the API renders at the beginning of the system prompt."""
        for index, tool in enumerate(tools):
            if stands_with_system(tool) and not is_deferred(tool):
                self._append_tool(*without_mark(tool, f"tools[{index}]"), index=index)
        self.starts["system"] = (self._digest, len(self.blocks))

    def _append_tool(self, bare: JsonObject, mark: Ttl | None, *, index: int, parting: bool = False) -> None:
        extra = tool_prompt_tokens(self._facts) if self._tokens == 0 else 0
        where = f"tools[{index}]"
        self._append(bare, level="tools", index=index, where=where, mark=mark, extra_tokens=extra, parting=parting)

    def add_section(self, index: int, section: RenderedSection) -> None:
        """Append one section as a text block."""
        wire: JsonObject = {"type": "text", "text": section.text}
        where = f"system[{index}]"
        self._append(wire, index=index, where=where, mark=section.breakpoint, section=section, parting=section.parting)
        self._close(wire)

    def add_message(self, index: int, message: JsonObject, *, thinking_stripped: bool) -> None:
        """Append the blocks of one message."""
        role, content = _parts(message, index)
        turn_scoped = message.get("clear_at") == "next_user_message"
        opening = message_tokens(role, self._facts)
        wire: list[JsonValue] = []
        for place, block in enumerate(content):
            where = f"messages[{index}].content[{place}]"
            bare, mark = without_mark(block, where)
            wire.append(bare)
            rendered = not turn_scoped and not (thinking_stripped and bare.get("type") in UNMARKABLE_KINDS)
            self._append(
                bare,
                index=index,
                content_index=place,
                where=where,
                role=role,
                mark=mark,
                rendered=rendered,
                extra_tokens=opening,
                brings=[self._deferred[name] for name in found_names(bare) if name in self._deferred],
            )
            opening = 0 if rendered else opening
        unchanged = isinstance(message["content"], list) and all(map(is_, wire, content))
        self._close(message if unchanged else {**message, "content": wire})

    def _take_over(self, before: Layout, sources: Sequence[object], stripped: int) -> int:
        """Copy the leading pieces that `before` has too, and return how many they are."""
        earlier = before.sources.pieces[self._level]
        kept = _alike(before.sources.values[self._level], sources, same=eq if self._level == "system" else is_)
        if self._level == "messages" and before.sources.stripped != stripped:
            kept = min(kept, before.sources.stripped, stripped)
        if self._level == "messages" and not same_deferred(before.tools, self.wire["tools"]):
            kept = 0  # a message may bring another definition now
        if kept == 0:
            return 0
        last, start = earlier[kept - 1], len(self.blocks)
        self.author_marks.extend(mark for mark in before.author_marks if start <= mark < last.blocks_end)
        self.blocks.extend(before.blocks[start : last.blocks_end])
        self.pieces[self._level].extend(earlier[:kept])
        self.wire[self._level].extend(before.wire(self._level)[:kept])
        if self.blocks:
            end = self.blocks[-1]
            self._digest, self._tokens = end.prefix_digest, end.prefix_tokens
            # Without tokens nothing was rendered yet, and the first position is still to come.
            self._position = end.position if end.prefix_tokens else -1
        self._run = last.run
        return kept

    def _append(
        self,
        wire: JsonObject,
        *,
        index: int,
        where: str,
        mark: Ttl | None,
        level: Level | None = None,
        content_index: int | None = None,
        role: str | None = None,
        section: RenderedSection | None = None,
        rendered: bool = True,
        extra_tokens: int = 0,
        parting: bool = False,
        brings: Sequence[JsonObject] = (),
    ) -> None:
        """Append one block. One that is not rendered moves neither the chain nor the position and counts nothing."""
        kind = wire.get("type")
        kind = kind if isinstance(kind, str) else "tool"
        own = block_digest(wire, role)
        tokens = self._counter.block_tokens(wire, self._facts) + extra_tokens if rendered else 0
        if rendered:
            self._digest = chain(self._digest, own)
            for tool in brings:
                self._digest = chain(self._digest, block_digest(tool, None))
                tokens += self._counter.block_tokens(without_deferral(tool), self._facts)
            self._tokens += tokens
            run = kind if self._collapse and kind in COLLAPSED_KINDS else ""
            self._position += not (run and run == self._run)
            self._run = run
        if mark is not None:
            self.author_marks.append(len(self.blocks))
        self.blocks.append(
            Block(
                level=level or self._level,
                index=index,
                content_index=content_index,
                where=where,
                kind=kind,
                role=role,
                section=section.name if section else None,
                stability=section.stability if section else _STABILITY[level or self._level],
                digest=own,
                prefix_digest=self._digest,
                tokens=tokens,
                prefix_tokens=self._tokens,
                mark=mark,
                markable=rendered and is_markable(wire),
                position=max(0, self._position),
                parting=parting,
            )
        )

    def _close(self, wire: JsonObject) -> None:
        self.wire[self._level].append(wire)
        self.pieces[self._level].append(_Piece(blocks_end=len(self.blocks), run=self._run))


def _alike(first: Sequence[object], second: Sequence[object], *, same: Callable[[object, object], bool]) -> int:
    """Return how many leading values are the same; fast where all are."""
    if all(map(same, first, second)):
        return min(len(first), len(second))
    return next(place for place, pair in enumerate(zip(first, second, strict=False)) if not same(*pair))


_STABILITY: Mapping[Level, Stability] = {
    "tools": Stability.STATIC,
    "system": Stability.STATIC,
    "messages": Stability.TURN,
}


def _parts(message: JsonObject, index: int) -> tuple[str, list[JsonObject]]:
    """Return a message's role and its content as blocks."""
    role, content = message.get("role"), message.get("content")
    if isinstance(role, str) and isinstance(content, str):
        return role, [{"type": "text", "text": content}]
    if isinstance(role, str) and isinstance(content, list):
        blocks = [block for block in content if isinstance(block, dict)]
        if len(blocks) == len(content):
            return role, blocks
    raise SettingsError(
        f"messages[{index}] is no message: it needs a role and a content that is a text or a list of blocks"
    )


def _last_question(messages: Sequence[JsonObject]) -> int:
    """Return the index of the last user message that is more than tool results; thinking before it is stripped."""
    for index in range(len(messages) - 1, -1, -1):
        role, blocks = _parts(messages[index], index)
        if role == "user" and any(block.get("type") != "tool_result" for block in blocks):
            return index
    return 0
