"""Why calls of recorded sessions read less than the call that they carry on had left: from bills, times and marks.

For rows without runs of their prompt (`prompt_spans`), as imports make them: nothing is known of the text, so nothing
is compared. A call should read what the call before it in its conversation read and wrote. What is short of that is
*explained* where the record proves a cause, *narrowed* where it proves only where the prompt was another, and
*unexplained* otherwise. The proofs rest on what a read length says: an entry of that length was found and none of the
longer ones that this conversation had left, which each read renews; so the prompt parted from them between the two.

Growth is no shortfall, and neither is a rewind or a fork (`Observed.follows` names the call that it carries on), nor a
call that reads all that one before a detour had left. Calls of unrelated sessions tell one thing only: lengths that
several of them found are heads (tools and system), whatever order they come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from agentcache.accounting.losses import lost_usd
from agentcache.accounting.observed import Event
from agentcache.accounting.recorded_heads import NO_HEADS, heads_behind, heads_of
from agentcache.accounting.recorded_lines import Step, recorded_steps
from agentcache.accounting.usage import CallRecord

LOOKBACK_POSITIONS = 20
"""How far a breakpoint looks back for an entry (spec section 2.3)."""


class Certainty(StrEnum):
    """How much the record proves."""

    EXPLAINED = "explained"
    """The cause."""
    NARROWED = "narrowed"
    """Where the prompt was another, or that an entry was not found there; not why."""
    UNEXPLAINED = "unexplained"
    """How far it read."""


class ShortCause(StrEnum):
    """Why a call read less than the call before it had left."""

    MODEL_CHANGED = "model_changed"
    """Another model answered; caches are per model."""
    EXPIRED = "expired"
    """It was sent after the lifetime of what had been written, counted from the last use."""
    CONCURRENT = "concurrent"
    """It was sent before the call that wrote had begun to answer, and read all but that."""
    COMPACTED = "compacted"
    """The history was replaced by a summary."""
    THINKING_CHANGED = "thinking_changed"
    """Thinking was switched on or off, as its answers show or the heads that it and the call before begin with."""
    THINKING_STRIPPED = "thinking_stripped"
    """The API took earlier thinking out when the user spoke, as it does for older models."""
    HISTORY_SHORTENED = "history_shortened"
    """The prompt shrank although the conversation only grew: the client took something out of it."""
    LOOKBACK_EXCEEDED = "lookback_exceeded"
    """The prompt grew by more positions than a breakpoint looks back."""
    CHANGED_FOR_ONE_CALL = "changed_for_one_call"
    """The next call found the entries that this one did not: this request was another, for once."""
    HEAD_CHANGED = "head_changed"
    """It did not find the head that its conversation had found before."""
    MESSAGES_CHANGED = "messages_changed"
    """It found the head and nothing behind it."""
    HISTORY_CHANGED = "history_changed"
    """It found a part of the history."""
    UNEXPLAINED = "unexplained"
    """It read to a length that tells nothing."""


CERTAINTY: Mapping[ShortCause, Certainty] = {
    ShortCause.CHANGED_FOR_ONE_CALL: Certainty.NARROWED,
    ShortCause.HEAD_CHANGED: Certainty.NARROWED,
    ShortCause.MESSAGES_CHANGED: Certainty.NARROWED,
    ShortCause.HISTORY_CHANGED: Certainty.NARROWED,
    ShortCause.UNEXPLAINED: Certainty.UNEXPLAINED,
}
"""Of the causes that are not explained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What one call did not read of what the call before it had left. Tokens are billed ones."""

    call: CallRecord
    earlier: CallRecord
    """The call that it carries on."""
    cause: ShortCause
    left_tokens: int
    """How much the earlier call had left in the cache: read and written."""
    lost_tokens: int
    """What of that fits into this prompt and was not read."""
    lost_usd: Decimal | None
    """What the lost tokens cost, less what reading them would have; `None` when the price is not known."""
    upto_tokens: int | None
    """The shortest prefix left by earlier calls of the conversation that was not found; with what was read, it is
    between these two that the prompt was another. `None` where that is not what happened (`expired`, ...)."""
    found_messages: int | None
    """How many messages the earlier call had sent whose prompt was found last; `None` where not known."""
    gap_s: float
    """From sending the earlier call to sending this one."""
    ttl_s: float | None
    """How long what the earlier call left lives; `None` where no write of the conversation told."""
    events: tuple[Event, ...]
    """What the client did in between, as far as the record tells. It stands beside the cause and proves none."""

    @property
    def certainty(self) -> Certainty:
        """How much the record proves."""
        return CERTAINTY.get(self.cause, Certainty.EXPLAINED)

    @property
    def read_tokens(self) -> int:
        """What was read."""
        return 0 if self.call.usage is None else self.call.usage.cache_read_tokens


def shortfalls(calls: Iterable[CallRecord]) -> tuple[Shortfall, ...]:
    """Return what recorded calls lost, oldest first, one shortfall a call at most.

    calls: the ledger's, in any order, all sessions together. Left out are those without usage or conversation, and
    those whose prompt the runtime knows (`misses` has them).
    """
    steps = recorded_steps(calls)
    heads = heads_of(steps)
    behind = heads_behind(steps, heads)
    detours = {id(step.before) for step in steps if step.returned_to is not None}
    found = []
    for step in steps:
        of = heads.get(step.call.model, NO_HEADS)
        switched = step.before is not None and of.differ_in_thinking(behind[id(step)], behind[id(step.before)])
        found.append(_shortfall(step, of.lengths, is_switched=switched, is_detour=id(step) in detours))
    return tuple(each for each in found if each is not None)


def followed(calls: Iterable[CallRecord]) -> int:
    """Return how many recorded calls carry another one on: those that could have fallen short."""
    return sum(step.before is not None for step in recorded_steps(calls))


def _shortfall(step: Step, heads: frozenset[int], *, is_switched: bool, is_detour: bool) -> Shortfall | None:
    before = step.before
    if before is None or step.returned_to is not None:
        return None
    available = min(before.left, step.total)
    if available <= step.read:
        return None
    lengths = sorted(step.lengths_left())
    upto = next((length for length in lengths if length > step.read), before.left)
    place = _place(step, lengths, upto, heads)
    cause = _proved(step, before, place)
    if cause is None:
        detour = ShortCause.CHANGED_FOR_ONE_CALL if is_detour else place
        cause = ShortCause.THINKING_CHANGED if is_switched else _shortened(step, before, place) or detour
    if cause is ShortCause.COMPACTED and not before.lives(step.call.sent_at):
        return None  # nothing was left to lose
    found = step.ancestor_that_left(step.read)
    told = None if found is None or found.seen is None else found.seen.messages
    lost = available - step.read
    return Shortfall(
        call=step.call,
        earlier=before.call,
        cause=cause,
        left_tokens=before.left,
        lost_tokens=lost,
        lost_usd=lost_usd(step.call, lost),
        upto_tokens=upto if cause in CERTAINTY or cause is ShortCause.HISTORY_SHORTENED else None,
        found_messages=told if cause is ShortCause.HISTORY_CHANGED else None,
        gap_s=step.call.sent_at - before.call.sent_at,
        ttl_s=before.ttl_s,
        events=() if step.seen is None else step.seen.events,
    )


def _proved(step: Step, before: Step, place: ShortCause) -> ShortCause | None:
    """Return the first cause that bills, times and kinds of blocks prove."""
    at = step.call.sent_at
    if step.call.model != before.call.model:
        return ShortCause.MODEL_CHANGED
    if step.seen is not None and step.seen.compacted:
        return ShortCause.COMPACTED
    if before.readable_at is not None and at < before.readable_at and step.read >= before.read:
        return ShortCause.CONCURRENT
    if not before.lives(at):
        return ShortCause.EXPIRED
    if step.switches_thinking() and place is not ShortCause.HEAD_CHANGED:
        return ShortCause.THINKING_CHANGED
    if _is_stripped(step, before):
        return ShortCause.THINKING_STRIPPED
    if step.seen is not None and step.seen.positions > LOOKBACK_POSITIONS:
        return ShortCause.LOOKBACK_EXCEEDED
    return None


def _is_stripped(step: Step, before: Step) -> bool:
    """Tell whether the API took out the thinking of the turn that ended.

    The read goes back to where that turn began, or further where a breakpoint does not look back so far.
    """
    asked = before.asked_last
    if step.facts.keeps_all_thinking or not step.facts.known or step.seen is None or not step.seen.asked:
        return False
    if asked is None or not before.thought_since_asked:
        return False
    grown = step.positions_since(asked)
    return asked.left <= step.read or grown > LOOKBACK_POSITIONS


def _shortened(step: Step, before: Step, place: ShortCause) -> ShortCause | None:
    """Tell a prompt that is shorter than the one before although its conversation grew, and has the same head."""
    if step.seen is None or step.total >= before.total or place is ShortCause.HEAD_CHANGED:
        return None
    if not step.facts.keeps_all_thinking and step.seen.asked:
        return None  # the API may have taken thinking out
    return ShortCause.COMPACTED if Event.COMPACTED in step.seen.events else ShortCause.HISTORY_SHORTENED


def _place(step: Step, lengths: list[int], upto: int, heads: frozenset[int]) -> ShortCause:
    """Return where the prompt was another, by what was found and the shortest that was not."""
    opening = step.opening
    if step.read == 0 or upto in heads:
        return ShortCause.HEAD_CHANGED
    if step.read in heads or step.read == opening.read:
        return ShortCause.MESSAGES_CHANGED
    if step.read in lengths or step.read >= opening.left:
        return ShortCause.HISTORY_CHANGED
    return ShortCause.UNEXPLAINED
