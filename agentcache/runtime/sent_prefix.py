"""What the last call of a conversation sent in front, and what of it the cache should still hold.

A value that outlives the process: it is stored with the conversation, so that the next call can repeat the prefix
byte for byte. Knows no request and no clock; times come in, in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.layout import Layout, Level
from agentcache.prompt.model_facts import TTL_SECONDS, Ttl
from agentcache.prompt.plans import Breakpoint
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import TAIL_PRIOR, Outlook

_MESSAGE_MARKS = 4
"""Marks behind the system prompt to remember; the deepest is the one that the next call reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMark:
    """A prefix that was written or read, and until when its entry lives."""

    block: int
    prefix_tokens: int
    digest: str
    ttl: Ttl
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPrefix:
    """What a conversation's next call must repeat to find its cache."""

    agent: str
    model: str
    """The model's canonical name."""
    system: tuple[RenderedSection, ...]
    """As it was sent, which is older than what was said in amendments since."""
    amended: Mapping[str, str] = field(default_factory=dict)
    """Texts that amendments brought, by section; an empty one took its section away."""
    session_digest: str
    """Identity of the session variables."""
    salts: Mapping[Level, str]
    marks: tuple[SentMark, ...] = ()
    outlook: Outlook = TAIL_PRIOR
    """When the next call was expected."""
    bound: bool = False
    """Whether any model of this conversation binds its thinking to the prompt before it."""

    @property
    def written(self) -> frozenset[str]:
        """Digests of the prefixes that were written or read, whether they still live or not."""
        return frozenset(mark.digest for mark in self.marks)

    def live_tokens(self, *, at_s: float, before_block: int | None = None) -> int:
        """Return how much of the prompt can be read at `at_s`, by marks on blocks before the given one."""
        return max(
            (
                mark.prefix_tokens
                for mark in self.marks
                if mark.until_s > at_s and (before_block is None or mark.block < before_block)
            ),
            default=0,
        )


def marks_after(
    marks: Sequence[SentMark], layout: Layout, kept: Iterable[Breakpoint], *, at_s: float
) -> tuple[SentMark, ...]:
    """Return what lives after a call at `at_s` with these breakpoints: a read renews all that lie on its way."""
    blocks = layout.blocks
    live = {
        mark.block: replace(mark, until_s=at_s + TTL_SECONDS[mark.ttl])
        for mark in marks
        if mark.until_s > at_s and mark.block < len(blocks) and blocks[mark.block].prefix_digest == mark.digest
    }
    for point in kept:
        if point.block not in live:
            live[point.block] = SentMark(
                block=point.block,
                prefix_tokens=point.prefix_tokens,
                digest=point.prefix_digest,
                ttl=point.ttl,
                until_s=at_s + TTL_SECONDS[point.ttl],
            )
    ordered = [live[block] for block in sorted(live)]
    head = [mark for mark in ordered if mark.block < layout.messages_start]
    return (*head, *ordered[len(head) :][-_MESSAGE_MARKS:])


def sent_to_json(sent: SentPrefix) -> JsonObject:
    """Return the prefix as it is stored."""
    plain: JsonObject = _stored().dump_python(sent, mode="json")
    return plain


def sent_from_json(value: JsonValue) -> SentPrefix | None:
    """Return what `sent_to_json` gave, or `None`: what another version stored costs one rewrite and nothing else."""
    try:
        return _stored().validate_python(value)
    except ValidationError:
        return None


@cache
def _stored() -> TypeAdapter[SentPrefix]:
    # Made on first use: it takes longer than all else in this module, and most programs store no conversation.
    return TypeAdapter(SentPrefix)
