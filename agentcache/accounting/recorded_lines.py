"""Recorded calls, linked into the lines in which conversations grew, with what each left in the cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from agentcache.accounting.layers import LIFETIME_S
from agentcache.accounting.observed import Observed, observed_in
from agentcache.accounting.usage import CallKind, CallRecord, Usage
from agentcache.prompt.model_facts import ModelFacts, facts_for

LIFETIME_UNKNOWN_S = LIFETIME_S["1h"]
"""What a prefix is taken to live whose writing nobody recorded: the longest, so that expiry is never called early."""

_Line: TypeAlias = tuple[str | None, str]


@dataclass(slots=True)
class Step:
    """A recorded call in its line. Tokens are billed ones, times Unix seconds."""

    call: CallRecord
    usage: Usage
    seen: Observed | None
    before: Step | None
    """The call that it carries on; its prompt begins with that one's, unless a summary replaced it."""
    facts: ModelFacts = field(init=False)
    opening: Step = field(init=False)
    """The first call of the line, or the first behind a summary."""
    family: str = field(init=False)
    """Id of the first call of all that this one comes from."""
    ttl_s: float | None = field(init=False)
    """How long what this call leaves lives after each use; `None` where no write of the line told."""
    mode: bool | None = field(init=False)
    """Whether thinking is on, for models whose answers to a user then always think; `None` where not known."""
    asked_last: Step | None = field(init=False)
    """The last call of the line, this one included, that brought text of the user's."""
    thought_since_asked: bool = field(init=False)
    """Whether an answer since then has thinking."""
    returned_to: Step | None = field(init=False)
    """The call before a detour whose prompt this one carries on: it read all that call had left, and the one before
    this had not. `None` for a call that carries on the one before."""

    def __post_init__(self) -> None:
        before, seen = self.before, self.seen
        self.facts = facts_for(self.call.model)
        begins = before is None or (seen is not None and seen.compacted)
        self.opening = self if begins or before is None else before.opening
        self.family = self.call.call_id if before is None else before.family
        self.ttl_s = self._ttl_s()
        self.mode = self._mode()
        asked = seen is not None and seen.asked
        self.asked_last = self if asked else None if before is None else before.asked_last
        thinks = seen is not None and seen.thinks
        self.thought_since_asked = thinks or (not asked and before is not None and before.thought_since_asked)
        self.returned_to = self._returned_to()

    @property
    def read(self) -> int:
        """What was read."""
        return self.usage.cache_read_tokens

    @property
    def left(self) -> int:
        """What it left in the cache: read and written."""
        return self.usage.cache_read_tokens + self.usage.cache_write_tokens

    @property
    def total(self) -> int:
        """The whole prompt."""
        return self.usage.input_tokens

    @property
    def readable_at(self) -> float | None:
        """When what it wrote could be read: with its first token or, where that is not known, with its end."""
        return self.call.ended_at if self.call.first_token_at is None else self.call.first_token_at

    def lives(self, at: float) -> bool:
        """Tell whether what it left lives at a time, unless somebody has used it since."""
        return at - self.call.sent_at <= (LIFETIME_UNKNOWN_S if self.ttl_s is None else self.ttl_s)

    def ancestors(self) -> Iterator[Step]:
        """Yield the calls of the same prompt before this one, nearest first."""
        step = self
        while step is not step.opening and step.before is not None:
            step = step.before
            yield step

    def lengths_left(self) -> set[int]:
        """Return the lengths of prefixes that those of the same model had found or left."""
        same = [step for step in self.ancestors() if step.call.model == self.call.model]
        return {length for step in same for length in (step.read, step.left)} - {0}

    def ancestor_that_left(self, length: int) -> Step | None:
        """Return the nearest of them that left exactly so much, `None` when none did."""
        return next((step for step in self.ancestors() if step.left == length), None)

    def positions_since(self, earlier: Step) -> int:
        """Return how many positions the prompt grew by since an earlier call of the line."""
        grown, step = 0, self
        while step is not earlier and step.before is not None:
            grown += 0 if step.seen is None else step.seen.positions
            step = step.before
        return grown

    def switches_thinking(self) -> bool:
        """Tell whether thinking is on here and was off before, or the other way round, as the answers prove.

        Only for models that are told a budget and do not choose themselves: with it on, each answer to a user thinks.
        """
        before = self.before
        if before is None or before.mode is None or self.mode is None or self.seen is None:
            return False
        return self.seen.asked and self.mode != before.mode and self.call.model == before.call.model

    def _ttl_s(self) -> float | None:
        if self.usage.cache_write_5m_tokens:
            return LIFETIME_S["5m"]  # behind what lives an hour (spec section 5)
        if self.usage.cache_write_1h_tokens:
            return LIFETIME_S["1h"]
        return None if self.before is None else self.before.ttl_s

    def _mode(self) -> bool | None:
        if self.seen is None or not self.facts.budget_thinking or self.facts.adaptive_thinking:
            return None
        if self.seen.asked or self.seen.thinks:
            return self.seen.thinks
        return None if self.before is None or self.before.call.model != self.call.model else self.before.mode

    def _returned_to(self) -> Step | None:
        before = self.before
        if before is None or before.left <= self.read or self.read == 0:
            return None
        if before.before is None or before.read >= before.before.left:
            return None  # the call before was no detour
        found = self.ancestor_that_left(self.read)
        return found if found is not None and found is not before and found.left > before.read else None


def recorded_steps(calls: Iterable[CallRecord]) -> list[Step]:
    """Return recorded calls as steps, in the order of time; what a call follows is linked, in whatever order they come.

    Without a record of what it follows, a call follows the one before it of the same agent and conversation.
    """
    told = list(calls)
    rows = sorted(filter(_is_recorded, told), key=lambda call: (call.sent_at, call.turn, call.call_id))
    forerunners = _forerunners(rows, told)
    by_id = {call.call_id: call for call in rows}
    steps: dict[str, Step] = {}
    for call in rows:
        for each in reversed(_unlinked(call.call_id, forerunners, steps)):
            row, before = by_id[each], forerunners[each]
            steps[each] = Step(row, _usage(row), observed_in(row.plan), steps.get(before) if before else None)
    return [steps[call.call_id] for call in rows]


def _unlinked(call_id: str, forerunners: dict[str, str | None], steps: dict[str, Step]) -> list[str]:
    """Return a call and those before it that are no steps yet, latest first; a circle is cut."""
    chain: dict[str, None] = {}
    each: str | None = call_id
    while each is not None and each not in steps and each not in chain:
        chain[each] = None
        each = forerunners[each]
    return list(chain)


def _forerunners(rows: Sequence[CallRecord], told: Iterable[CallRecord]) -> dict[str, str | None]:
    """Return which call each of `rows` carries on; calls whose usage nobody recorded are passed over."""
    follows = {call.call_id: seen.follows for call in told if (seen := observed_in(call.plan)) is not None}
    known = {call.call_id for call in rows}
    found: dict[str, str | None] = {}
    last: dict[_Line, str] = {}
    for call in rows:
        line = (call.agent, call.conversation or "")
        before = follows.get(call.call_id, last.get(line))
        passed: set[str] = set()
        while before is not None and before not in known and before not in passed:
            passed.add(before)
            before = follows.get(before)
        found[call.call_id] = before if before in known else None
        last[line] = call.call_id
    return found


def _is_recorded(call: CallRecord) -> bool:
    told = call.usage is not None and call.usage.input_tokens > 0
    return told and call.prompt_spans is None and call.conversation is not None and call.kind is CallKind.MESSAGE


def _usage(call: CallRecord) -> Usage:
    return call.usage or Usage()
