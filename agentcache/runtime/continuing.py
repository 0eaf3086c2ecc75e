"""How a conversation goes on when a run begins: which system prompt it is sent, and what is said of changes.

The system prompt stays the one that the conversation began with. A semi-static section that reads differently by now
is told in an amendment behind the user's message, or brings a new system prompt; what else changed (static text,
session variables, tools, model, another agent) moves the prefix in any case, and then everything is sent as it is
now. Pure: the time comes in, and the transcript is read, not changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic

from agentcache.prompt.amendments import (
    UNCACHED,
    SectionChange,
    SemiStaticChoice,
    Side,
    amendment,
    amendment_tokens,
    changed_sections,
    cheaper_way,
    is_amendment,
)
from agentcache.prompt.blocks import UNMARKABLE_KINDS
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.layout import Layout
from agentcache.prompt.payoff import Rates
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.requests import lay_out_call
from agentcache.runtime.sent_prefix import SentPrefix


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingOn:
    """What a run of a conversation sends in front of and behind the user's message."""

    system: tuple[RenderedSection, ...]
    history: tuple[JsonObject, ...]
    amendment: JsonObject | None = None
    """Goes behind the user's message."""
    amended: Mapping[str, str]
    """Texts that amendments brought, this one included, by section."""
    choice: SemiStaticChoice | None = None
    """`None` when no semi-static text changed."""
    thinking_dropped: bool = False
    """Whether thinking was taken out of the history, since the API would refuse it behind another prompt."""

    @property
    def rewritten(self) -> frozenset[str]:
        """Names of the sections whose place in the prefix changes on purpose."""
        return frozenset(self.choice.sections) if self.choice and self.choice.way == "rewrite" else frozenset()


def go_on(
    agent: Agent[OutputT],
    *,
    sent: SentPrefix | None,
    layout: Layout | None,
    history: Sequence[JsonObject],
    rendered: Sequence[RenderedSection],
    session_digest: str,
    settings: CallSettings,
    at_s: float,
) -> GoingOn:
    """Return how to go on with a conversation whose last call sent `sent`, laid out as `layout`.

    rendered: the system prompt as a new conversation would get it. `None` for both: there was no call.
    """
    fresh = tuple(rendered)
    if sent is None or layout is None:
        return GoingOn(system=fresh, history=tuple(history), amended={})
    same_session = sent.session_digest == session_digest
    held = _held(sent, fresh, same_session=same_session)
    told = {section.name: section.text for section in held if _follows(section, same_session=same_session)}
    told.update(sent.amended)
    now = {section.name: section.text for section in fresh if _follows(section, same_session=same_session)}
    changes = changed_sections(told, now)
    work = _Work(agent=agent, sent=sent, layout=layout, history=history, settings=settings, at_s=at_s)
    if work.moves(held) or (not same_session and _of_session([*sent.system, *fresh]) & sent.amended.keys()):
        return work.all_new(fresh, changes)
    if not changes:
        return GoingOn(system=held, history=tuple(history), amended=sent.amended)
    return work.chosen(held, fresh, changes)


def _held(sent: SentPrefix, fresh: Sequence[RenderedSection], *, same_session: bool) -> tuple[RenderedSection, ...]:
    """Return the system prompt that repeats what may be repeated; static text is always as it is now."""

    def of(sections: Sequence[RenderedSection], layer: Stability) -> list[RenderedSection]:
        return [section for section in sections if section.stability is layer]

    return (
        *of(fresh, Stability.STATIC),
        *of(sent.system, Stability.SEMI_STATIC),
        *of(sent.system if same_session else fresh, Stability.SESSION),
    )


def _follows(section: RenderedSection, *, same_session: bool) -> bool:
    """Tell whether a section's text changes with the snapshot: session text does so while its own variables stay."""
    return section.stability is Stability.SEMI_STATIC or (same_session and section.stability is Stability.SESSION)


def _of_session(sections: Sequence[RenderedSection]) -> set[str]:
    return {section.name for section in sections if section.stability is Stability.SESSION}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work(Generic[OutputT]):
    """The conversation at hand."""

    agent: Agent[OutputT]
    sent: SentPrefix
    layout: Layout
    history: Sequence[JsonObject]
    settings: CallSettings
    at_s: float

    def moves(self, held: Sequence[RenderedSection]) -> bool:
        """Tell whether the prefix moves even if every semi-static section stays."""
        if (self.sent.agent, self.sent.model) != (self.agent.name, self.agent.facts.canonical):
            return True
        return self._parts_at(self._head(held)) is not None

    def all_new(self, fresh: tuple[RenderedSection, ...], changes: Sequence[SectionChange]) -> GoingOn:
        """Send everything as it is now, the amendments' texts included: the messages are written anew in any case."""
        names = dict.fromkeys([*(change.name for change in changes), *self.sent.amended])
        choice = SemiStaticChoice(way="rewrite", sections=tuple(names), reason="the prefix moves in any case")
        return self._rewritten(fresh, choice if names and self.sent.agent == self.agent.name else None)

    def chosen(
        self, held: tuple[RenderedSection, ...], fresh: tuple[RenderedSection, ...], changes: Sequence[SectionChange]
    ) -> GoingOn:
        """Append the changes or rewrite, whichever costs less; or what the model leaves open."""
        names = tuple(change.name for change in changes)
        facts, message = self.agent.facts, amendment(changes)
        choice = self._sum(fresh, message, names)
        if facts.thinking_bound_to_prefix and any(map(_thinks, self.history)):
            reason = "the model refuses its own thinking behind another prompt"
            choice = replace(choice, way="append", reason=reason)
            if not facts.mid_conversation_system:
                choice = replace(choice, way="keep", reason=f"{reason}, and takes no system messages")
        elif not facts.mid_conversation_system:
            choice = replace(choice, way="rewrite", reason="the model takes no system messages")
        if choice.way == "keep":
            return GoingOn(system=held, history=tuple(self.history), amended=self.sent.amended, choice=choice)
        if choice.way == "rewrite":
            return self._rewritten(fresh, replace(choice, sections=(*dict.fromkeys([*names, *self.sent.amended]),)))
        amended = {**self.sent.amended, **{change.name: change.text for change in changes}}
        return GoingOn(system=held, history=tuple(self.history), amendment=message, amended=amended, choice=choice)

    def _sum(self, fresh: Sequence[RenderedSection], message: JsonObject, names: Sequence[str]) -> SemiStaticChoice:
        facts, sent, layout = self.agent.facts, self.sent, self.layout
        said = sum(amendment_tokens(old, facts) for old in self.history if is_amendment(old))
        head = self._head(fresh)
        start = layout.messages_start
        head_before = layout.blocks[start - 1].prefix_tokens if start else 0
        uncached = self.agent.cache == "off"
        return cheaper_way(
            append=Side(
                prefix_tokens=layout.prefix_tokens + amendment_tokens(message, facts),
                live_tokens=sent.live_tokens(at_s=self.at_s),
            ),
            rewrite=Side(
                prefix_tokens=layout.prefix_tokens - head_before - said + head.prefix_tokens,
                live_tokens=sent.live_tokens(at_s=self.at_s, before_block=self._lost_from(head)),
            ),
            outlook=sent.outlook,
            rates=UNCACHED if uncached else Rates.of(facts, prompt_tokens=layout.total_tokens),
            sections=names,
        )

    def _lost_from(self, head: Layout) -> int | None:
        """Return the first block that a rewrite changes: one of the head, or else the first amendment."""
        parts_at = self._parts_at(head)
        if parts_at is not None:
            return parts_at
        blocks = self.layout.blocks
        return next((at for at in range(head.messages_start, len(blocks)) if blocks[at].role == "system"), None)

    def _rewritten(self, fresh: tuple[RenderedSection, ...], choice: SemiStaticChoice | None) -> GoingOn:
        """Begin with the system prompt as it is now; it holds what amendments said, so they go."""
        history = [message for message in self.history if not is_amendment(message)]
        edited = len(history) < len(self.history) or self._parts_at(self._head(fresh)) is not None
        drops = edited and self.sent.bound and any(map(_thinks, history))
        return GoingOn(
            system=fresh,
            history=without_thinking(history) if drops else tuple(history),
            amended={},
            choice=choice,
            thinking_dropped=drops,
        )

    def _head(self, system: Sequence[RenderedSection]) -> Layout:
        return lay_out_call(self.agent, system=system, messages=(), settings=self.settings, previous=self.layout)

    def _parts_at(self, head: Layout) -> int | None:
        """Return the first block of tools and system that is not what was sent; `None` when all are."""
        old, new = self.layout.blocks[: self.layout.messages_start], head.blocks
        for index, (was, now) in enumerate(zip(old, new, strict=False)):
            if (was.level, was.digest) != (now.level, now.digest):
                return index
        return None if len(old) == len(new) else min(len(old), len(new))


def _blocks(message: JsonObject) -> list[JsonValue]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _is_thinking(block: JsonValue) -> bool:
    return isinstance(block, dict) and block.get("type") in UNMARKABLE_KINDS


def _thinks(message: JsonObject) -> bool:
    return any(map(_is_thinking, _blocks(message)))


def without_thinking(history: Sequence[JsonObject]) -> tuple[JsonObject, ...]:
    """Return the messages without thinking blocks; one that held nothing else goes, and its neighbours become one."""
    kept: list[JsonObject] = []
    for message in history:
        if not _thinks(message):
            kept.append(message)
            continue
        rest = [block for block in _blocks(message) if not _is_thinking(block)]
        if rest:
            kept.append({**message, "content": rest})
    return tuple(kept)
