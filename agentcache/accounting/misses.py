"""Why a call read less than it could have, and what that cost: from the rows of the ledger alone.

What a call could have read is the deepest prefix of its prompt that an earlier call of the same model had cached, or,
where the prompt changed in a place that is declared to stay, what the call before had cached. Where that exceeds what
the server says it read, the rest was lost, and the digests and times of the rows tell the cause as far as they go.

An entry's length is exact where it ends a call's cached part, or was read; else it is the plan's estimate, and losses
within the estimate's error are not told. A prompt that only grows, and another conversation of the same agent, are no
misses. A row without runs of its prompt (of an older version) explains nothing and is explained by nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from agentcache.accounting.layers import LIFETIME_S, ends_of
from agentcache.accounting.losses import lost_usd
from agentcache.accounting.usage import SIDE_KINDS, CallKind, CallRecord, Usage
from agentcache.prompt.model_facts import Ttl, facts_for
from agentcache.prompt.sections import Stability
from agentcache.prompt.spans import HISTORY, SETTINGS, TOOLS, TURN, Span, short_digest

_Line: TypeAlias = tuple[str | None, str, str]

_ESTIMATE_ERROR = Decimal("0.05")
"""Share of an estimated length within which a difference to the bill tells nothing."""
_ESTIMATE_ERROR_TOKENS = 256
"""The same in tokens, for short prefixes: what the API renders around tools is billed and stands in no run of ours."""

_SHARED_LAYERS = frozenset({TOOLS, SETTINGS, Stability.STATIC.value, Stability.SEMI_STATIC.value})
"""Layers that another conversation of the same agent should have in common with the last one."""


class Cause(StrEnum):
    """Why a call read less than it could have."""

    EXPIRED = "expired"
    """More time had passed since the entry's last use than it lives."""
    CONCURRENT = "concurrent_write"
    """The call that wrote the entry had not begun to answer; until then nobody can read it (spec section 4)."""
    MOVED = "moved"
    """The prompt is another from `where` on."""
    NEVER_WRITTEN = "never_written"
    """The call before sent the same beginning and cached nothing."""
    BELOW_MINIMUM = "below_minimum"
    """As before, because the beginning is shorter than the model caches."""
    UNEXPLAINED = "unexplained"
    """By all that the ledger knows the entry lived: evicted early, out of the look-back's reach, or another account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """What one call lost. Tokens are billed ones."""

    call: CallRecord
    earlier: CallRecord
    """The call that had cached, or could have cached, what was not read."""
    cause: Cause
    available_tokens: int
    """How much of the prompt could have been read."""
    lost_tokens: int
    """`available_tokens` less what was read; zero below the minimum, where nobody could have."""
    lost_usd: Decimal | None
    """What the lost tokens cost, less what reading them would have; `None` when the price is not known."""
    span: Span
    """The first run that was not read: its place, section and layer. With `moved` it is the one that changed."""
    gap_s: float
    """From the last use of the entry to this call."""
    ttl_s: float | None = None
    """How long the entry lives after each use; `None` where there was none."""

    @property
    def read_tokens(self) -> int:
        """What was read."""
        return 0 if self.call.usage is None else self.call.usage.cache_read_tokens


def misses(calls: Iterable[CallRecord]) -> tuple[Miss, ...]:
    """Return what calls lost, oldest first, one miss a call at most. `calls` come in any order."""
    memories: dict[str, _Memory] = defaultdict(_Memory)
    found: list[Miss] = []
    for call in sorted(calls, key=lambda call: (call.sent_at, call.turn, call.call_id)):
        if call.usage is None or not call.usage.input_tokens or not call.prompt_spans or call.kind in SIDE_KINDS:
            continue
        prompt = _Prompt(call, call.prompt_spans, call.usage)
        memory = memories[call.model]
        miss = memory.miss_of(prompt)
        if miss is not None:
            found.append(miss)
        memory.note(prompt)
    return tuple(found)


@dataclass(slots=True)
class _Entry:
    """One prefix in the cache, as far as the ledger tells."""

    writer: CallRecord
    used_at: float
    ttl_s: float
    readable_at: float
    tokens: int | None
    """How long it is, exactly; `None` when only the plan's estimate is known."""

    def lives(self, at: float) -> bool:
        return at < self.used_at + self.ttl_s

    def readable(self, at: float) -> bool:
        return self.readable_at < at


@dataclass(slots=True)
class _Prompt:
    """A call whose usage and runs are known."""

    call: CallRecord
    spans: tuple[Span, ...]
    usage: Usage

    @property
    def cached(self) -> int:
        return self.usage.cache_read_tokens + self.usage.cache_write_tokens

    def ends(self) -> tuple[int, ...]:
        return ends_of(self.spans, self.usage.input_tokens)

    def kept(self) -> list[tuple[str, float]]:
        """Return digest and lifetime of the breakpoints that were sent, shortest prefix first."""
        points = self.call.plan.get("kept")
        told = [point for point in points if isinstance(point, dict)] if isinstance(points, list) else []
        return [(short_digest(str(point.get("digest"))), LIFETIME_S[_ttl(point.get("ttl"))]) for point in told]


def _ttl(told: object) -> Ttl:
    return "1h" if told == "1h" else "5m"


@dataclass(slots=True)
class _Memory:
    """What calls of one model left behind."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    lasts: dict[_Line, _Prompt] = field(default_factory=dict)
    """The last call of each conversation (or run), and of each agent."""

    def miss_of(self, prompt: _Prompt) -> Miss | None:
        """Return what the call lost, by the first of the causes that applies."""
        if prompt.call.kind not in (CallKind.MESSAGE, CallKind.SUMMARY):
            return None
        return self._entry_missed(prompt) or self._moved(prompt) or self._never_cached(prompt)

    def note(self, prompt: _Prompt) -> None:
        """Remember what the call read, wrote and sent."""
        call, at = prompt.call, prompt.call.sent_at
        read_to = self._read_to(prompt)
        for place, span in enumerate(prompt.spans[: read_to + 1]):
            entry = self.entries.get(span.digest)
            if entry is not None and entry.lives(at):
                entry.used_at = at
                entry.tokens = prompt.usage.cache_read_tokens if place == read_to else entry.tokens
        if prompt.cached:
            self._write(prompt)
        if call.kind is CallKind.MESSAGE:
            self.lasts[_line(call)] = self.lasts[_agent_line(call)] = prompt

    def _write(self, prompt: _Prompt) -> None:
        call, kept = prompt.call, prompt.kept()
        answered_at = call.first_token_at if call.first_token_at is not None else call.ended_at
        for number, (digest, ttl_s) in enumerate(kept, start=1):
            entry = self.entries.get(digest)
            if entry is not None and entry.lives(call.sent_at) and entry.readable(call.sent_at):
                continue
            self.entries[digest] = _Entry(
                writer=call,
                used_at=call.sent_at,
                ttl_s=ttl_s,
                readable_at=float("inf") if answered_at is None else answered_at,
                tokens=prompt.cached if number == len(kept) else None,
            )

    def _read_to(self, prompt: _Prompt) -> int:
        """Return the last run that was read: the one that ends nearest to what was billed; -1 when none was."""
        read = prompt.usage.cache_read_tokens
        if not read:
            return -1
        ends = self._lengths(prompt)
        return min(range(len(ends)), key=lambda place: abs(ends[place] - read))

    def _lengths(self, prompt: _Prompt) -> list[int]:
        """Return where each run ends, exactly where an entry tells."""
        known = [self.entries.get(span.digest) for span in prompt.spans]
        told = zip(known, prompt.ends(), strict=True)
        return [end if entry is None or entry.tokens is None else entry.tokens for entry, end in told]

    def _entry_missed(self, prompt: _Prompt) -> Miss | None:
        """Return the loss of the deepest entry that the prompt contains."""
        places = [place for place, span in enumerate(prompt.spans) if span.digest in self.entries]
        read_to = self._read_to(prompt)
        if not places or places[-1] <= read_to:
            return None
        entry, at = self.entries[prompt.spans[places[-1]].digest], prompt.call.sent_at
        available = self._lengths(prompt)[places[-1]]
        if entry.tokens is None and _within_error(available, prompt.usage.cache_read_tokens):
            return None
        cause = _lost_by(entry, at)
        return _miss(prompt, entry.writer, cause, available, read_to + 1, gap_s=at - entry.used_at, ttl_s=entry.ttl_s)

    def _moved(self, prompt: _Prompt) -> Miss | None:
        """Return the loss of what the call before had cached and this one's prompt no longer contains."""
        same_line = self.lasts.get(_line(prompt.call))
        before = same_line or self.lasts.get(_agent_line(prompt.call))
        place = None if before is None else _parting(prompt, before, whole=same_line is not None)
        if before is None or place is None or not before.kept():
            return None
        digest, at = before.kept()[-1][0], prompt.call.sent_at
        entry = self.entries.get(digest)
        if entry is None or not entry.lives(at) or not entry.readable(at):
            return None  # it would have been lost all the same
        reusable = before.cached if same_line is not None else min(before.cached, _shared_tokens(before))
        available = min(reusable, prompt.usage.input_tokens)
        if _within_error(available, prompt.usage.cache_read_tokens):
            return None
        return _miss(prompt, before.call, Cause.MOVED, available, place, gap_s=at - entry.used_at, ttl_s=entry.ttl_s)

    def _never_cached(self, prompt: _Prompt) -> Miss | None:
        """Return the loss of a beginning that the call before had sent, too, without caching anything."""
        before = self.lasts.get(_line(prompt.call)) or self.lasts.get(_agent_line(prompt.call))
        if before is None or before.cached or prompt.usage.cache_read_tokens:
            return None
        shared = _shared_runs(prompt, before)
        available = prompt.ends()[shared - 1] if shared else 0
        if not available:
            return None
        short = available < facts_for(prompt.call.model).minimum_prefix_tokens
        cause = Cause.BELOW_MINIMUM if short else Cause.NEVER_WRITTEN
        return _miss(prompt, before.call, cause, available, 0, gap_s=prompt.call.sent_at - before.call.sent_at)


def _lost_by(entry: _Entry, at: float) -> Cause:
    if not entry.readable(at):
        return Cause.CONCURRENT
    return Cause.UNEXPLAINED if entry.lives(at) else Cause.EXPIRED


def _miss(
    prompt: _Prompt,
    earlier: CallRecord,
    cause: Cause,
    available: int,
    place: int,
    *,
    gap_s: float,
    ttl_s: float | None = None,
) -> Miss | None:
    available = min(available, prompt.usage.input_tokens)  # rows of a loop on the server add up several prompts
    lost = 0 if cause is Cause.BELOW_MINIMUM else available - prompt.usage.cache_read_tokens
    if lost <= 0 and cause is not Cause.BELOW_MINIMUM:
        return None
    return Miss(
        call=prompt.call,
        earlier=earlier,
        cause=cause,
        available_tokens=available,
        lost_tokens=lost,
        lost_usd=lost_usd(prompt.call, lost),
        span=_rendered(prompt.spans, place) if cause is not Cause.MOVED else prompt.spans[place],
        gap_s=gap_s,
        ttl_s=ttl_s,
    )


def _rendered(spans: Sequence[Span], place: int) -> Span:
    """Return the first run from `place` on that has tokens; the last one when none has."""
    return next((span for span in spans[place:] if span.tokens), spans[-1])


def _within_error(available: int, read: int) -> bool:
    return available - read <= max(_ESTIMATE_ERROR * available, Decimal(_ESTIMATE_ERROR_TOKENS))


def _shared_runs(prompt: _Prompt, before: _Prompt) -> int:
    """Return how many leading runs end a prefix of the earlier prompt, too."""
    known = {span.digest for span in before.spans}
    return max((place for place, span in enumerate(prompt.spans, start=1) if span.digest in known), default=0)


def _parting(prompt: _Prompt, before: _Prompt, *, whole: bool) -> int | None:
    """Return the run from which on a prompt is another than the one before, where it should not be.

    whole: both are of one conversation, so that it should only have grown; else they share what agents' calls do.
    """
    place = _shared_runs(prompt, before)
    layer = prompt.spans[place].layer if place < len(prompt.spans) else TURN
    if layer in _SHARED_LAYERS or (whole and layer == Stability.SESSION.value):
        return place
    if not whole or layer not in (HISTORY, TURN):
        return None
    return next((each for each in range(place, len(prompt.spans)) if prompt.spans[each].parted), None)


def _shared_tokens(prompt: _Prompt) -> int:
    """Return how long the beginning is that other conversations of the agent share, in billed tokens."""
    stable = [span.tokens > 0 and span.layer in _SHARED_LAYERS for span in prompt.spans]
    return max((end for end, holds in zip(prompt.ends(), stable, strict=True) if holds), default=0)


def _line(call: CallRecord) -> _Line:
    if call.conversation is not None:
        return (call.agent, "conversation", call.conversation)
    return (call.agent, "run", call.run_id)


def _agent_line(call: CallRecord) -> _Line:
    return (call.agent, "agent", "")
