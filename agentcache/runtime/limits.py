"""How much a run may use, and the meter that counts it.

A meter knows its parent, so that what an agent spends inside a workflow counts for both. It counts what calls under
way may still cost (`hold`) beside what was billed (`add`), and says whether one more call fits; who waits and who is
told no is decided in `budget.py`. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import ROUND_UP, Decimal
from typing import Literal, TypeAlias

from agentcache.accounting.usage import CallRecord, Usage
from agentcache.accounting.weighing import weighted_tokens_of
from agentcache.errors import LimitReached, SettingsError, Spent, WorstCase

_ZERO = Decimal(0)

BoundName: TypeAlias = Literal["turns", "tokens", "usd", "seconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds of one run, everything nested in it included; `None` is no bound.

    turns: model calls, warm-ups, summaries, fallbacks and calls that failed among them.
    tokens: of prompts and answers, by their price: a token of the prompt that was read from or written to the cache
        counts for its price over that of uncached input of its model (read 0.1 or less, written 1.25 for five minutes
        and 2 for an hour), an uncached one and one of the answer for 1. A bound on plain tokens would stop the run
        that reads a warm prefix ten times rather than the one that pays once for ten times less.
    usd: dollars at list price, exact; needs priced models.
    seconds: wall time.

    Before a call its worst case must fit what is left of tokens and dollars here and in every run above, with what
    calls under way may still cost taken off; so calls that run at once cannot overshoot together. The worst case has
    nothing of the prompt found in the cache, a quarter more prompt than estimated, and `max_tokens` of answer: an agent
    with a small budget declares a small `max_tokens`.
    """

    turns: int | None = None
    tokens: int | None = None
    usd: Decimal | int | str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None:
                continue
            number = Decimal(str(value)) if isinstance(value, (int, float, Decimal)) else _dollars(value)
            if number < 0:
                raise SettingsError(
                    f"limit {item.name!r} is {value}, but a limit is zero or more; leave it out for none"
                )
        if isinstance(self.usd, (int, str)):
            object.__setattr__(self, "usd", _dollars(self.usd))

    def replaced_by(self, other: Limits | None) -> Limits:
        """Return these limits with every bound that `other` sets in place of ours."""
        if other is None:
            return self
        merged = {item.name: getattr(other, item.name) for item in fields(self)}
        return Limits(**{name: getattr(self, name) if value is None else value for name, value in merged.items()})

    def share(self, part: float) -> Limits:
        """Return `part` (0 to 1) of every bound, for a run that may use so much of what is left (`run.left`).

        Raises `SettingsError` for a part outside 0 to 1.
        """
        if not 0 <= part <= 1:
            raise SettingsError(f"a share is a number from 0 to 1, not {part}")
        factor = Decimal(str(part))
        return Limits(
            turns=None if self.turns is None else int(self.turns * factor),
            tokens=None if self.tokens is None else int(self.tokens * factor),
            usd=None if self.usd is None else Decimal(self.usd) * factor,
            seconds=None if self.seconds is None else self.seconds * part,
        )


NO_LIMITS = Limits()
"""Bounds nothing."""


def _dollars(value: int | str) -> Decimal:
    try:
        return Decimal(value)
    except ArithmeticError:
        raise SettingsError(f"limit 'usd' is {value!r}, but dollars are a number such as '0.50'") from None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run, or one agent of it, has used; `cost_usd` turns `None` with the first unpriced call."""

    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = _ZERO
    weighted_tokens: Decimal = _ZERO
    calls_s: float = 0.0
    unknown_calls: int = 0

    def add(self, record: CallRecord, weighted_tokens: Decimal) -> None:
        """Count one row of the ledger. One whose usage nobody knows adds nothing to the sums."""
        if record.usage is None:
            self.unknown_calls += 1
            return
        self.usage += record.usage
        self.weighted_tokens += weighted_tokens
        unpriced = record.cost_usd is None or self.cost_usd is None
        self.cost_usd = None if unpriced else (self.cost_usd or _ZERO) + (record.cost_usd or _ZERO)
        self.calls_s += max(0.0, (record.ended_at or record.sent_at) - record.sent_at)

    def spent(self, seconds: float) -> Spent:
        """Return the tally as errors and runs show it."""
        return Spent(
            turns=self.turns,
            tokens=self.usage.total_tokens,
            cost_usd=self.cost_usd,
            seconds=seconds,
            weighted_tokens=self.weighted_tokens,
            unknown_calls=self.unknown_calls,
        )


NO_CALL = WorstCase(tokens=_ZERO, usd=_ZERO)
"""Needs nothing; stands for the worst case of a call where neither tokens nor dollars are bounded."""


@dataclass(slots=True, kw_only=True, eq=False)
class Meter:
    """What a run and everything below it has used so far, and what calls under way may still cost.

    name: the run's, for messages. own_turns: model calls that this run itself began, those nested in it left out.
    held: the worst cases of calls under way. unknown: the worst cases of calls whose bill nobody knows; both count
    against the bounds, neither is in `total`.
    """

    limits: Limits
    started_at: float
    name: str = "run"
    parent: Meter | None = None
    own_turns: int = 0
    total: Tally = field(default_factory=Tally)
    by_agent: dict[str, Tally] = field(default_factory=dict)
    held: WorstCase = NO_CALL
    unknown: WorstCase = NO_CALL

    @property
    def turns(self) -> int:
        """Model calls begun, in this run and in those nested in it."""
        return self.total.turns

    @property
    def usage(self) -> Usage:
        """Tokens billed."""
        return self.total.usage

    @property
    def cost_usd(self) -> Decimal | None:
        """Dollars billed; `None` with the first unpriced call."""
        return self.total.cost_usd

    @property
    def bounds_spending(self) -> bool:
        """Whether tokens or dollars are bounded, here or in a run above."""
        return any(meter.limits.tokens is not None or meter.limits.usd is not None for meter in self.lineage())

    def lineage(self) -> list[Meter]:
        """Return this meter and those of all runs above it, innermost first."""
        meters, meter = [], self
        while True:
            meters.append(meter)
            if meter.parent is None:
                return meters
            meter = meter.parent

    def add(self, record: CallRecord, *, worst: WorstCase = NO_CALL) -> None:
        """Count one row, here and in every run above; `worst` is what it counts for when nobody knows its usage."""
        weighted = weighted_tokens_of(record)
        for meter in self.lineage():
            meter.total.add(record, weighted)
            meter.of(record.agent).add(record, weighted)
            if record.usage is None:
                meter.unknown = _plus(meter.unknown, worst)

    def hold(self, need: WorstCase) -> None:
        """Set the worst case of a call aside, here and in every run above."""
        for meter in self.lineage():
            meter.held = _plus(meter.held, need)

    def release(self, need: WorstCase) -> None:
        """Give back what `hold` set aside."""
        for meter in self.lineage():
            meter.held = _plus(meter.held, need, -1)

    def begin_turn(self, agent: str) -> None:
        """Count one more model call that this run begins as `agent`, here and in every run above."""
        self.own_turns += 1
        for meter in self.lineage():
            meter.total.turns += 1
            meter.of(agent).turns += 1

    def refusal(self, need: WorstCase, *, at: float, by: str) -> LimitReached | None:
        """Return why a call of the run `by` never fits, whatever calls under way turn out to cost; else `None`.

        Raises `SettingsError` where dollars are bounded and nobody knows what the call or one before it costs.
        """
        for meter in self.lineage():
            bound = meter.used_up(at=at) or meter.short_of(need, NO_CALL, by=by)
            if bound is not None:
                return meter.reached(bound, need, NO_CALL, at=at, by=by)
        return None

    def crowded(self, need: WorstCase, *, by: str) -> Meter | None:
        """Return the nearest meter in which calls under way hold the room that a call needs; `None`: it fits now."""
        return next((meter for meter in self.lineage() if meter.short_of(need, meter.held, by=by)), None)

    def crowded_out(self, need: WorstCase, *, at: float, by: str) -> LimitReached | None:
        """Return why a call has no room now, for one that cannot wait; `None`: it fits."""
        meter = self.crowded(need, by=by)
        bound = meter and meter.short_of(need, meter.held, by=by)
        return meter.reached(bound, need, meter.held, at=at, by=by) if meter and bound else None

    def left(self, *, at: float) -> Limits:
        """Return what is left of the nearest bounds, of this run or one above: at least 0, `None` where unbounded.

        What calls under way may still cost is taken off.
        """
        rooms = [meter.room(at=at) for meter in self.lineage()]
        tokens = min((room.tokens for room in rooms if room.tokens is not None), default=None)
        dollars = [Decimal(room.usd) for room in rooms if room.usd is not None]
        return Limits(
            turns=min((room.turns for room in rooms if room.turns is not None), default=None),
            tokens=tokens,
            usd=min(dollars, default=None),
            seconds=min((room.seconds for room in rooms if room.seconds is not None), default=None),
        )

    def seconds_left(self, *, at: float) -> float | None:
        """Return the seconds left before the nearest time bound of this run or one above; `None`: no bound."""
        nearest = self.nearest_in_time(at=at)
        return None if nearest is None else _seconds_left(nearest, at)

    def nearest_in_time(self, *, at: float) -> Meter | None:
        """Return the meter, this one or one above, whose time is up first; `None`: no bound."""
        bounded = [meter for meter in self.lineage() if meter.limits.seconds is not None]
        return min(bounded, key=lambda meter: _seconds_left(meter, at), default=None)

    def spent(self, *, at: float) -> Spent:
        """Return what was used so far; `at` is Unix seconds."""
        return self.total.spent(at - self.started_at)

    def spent_by_agent(self) -> Mapping[str, Spent]:
        """Return what was used by the agent's name."""
        return {name: tally.spent(tally.calls_s) for name, tally in self.by_agent.items()}

    def of(self, agent: str | None) -> Tally:
        """Return the tally of one agent; rows of none (`None`) stand under the empty name."""
        return self.by_agent.setdefault(agent or "", Tally())

    def _used_tokens(self) -> Decimal:
        return self.total.weighted_tokens + self.unknown.tokens

    def _used_usd(self) -> Decimal:
        if self.total.cost_usd is None:
            raise SettingsError(
                f"{self.name}: a dollar limit needs priced models, and a call of this run has no known price"
            )
        return self.total.cost_usd + (self.unknown.usd or _ZERO)

    def used_up(self, *, at: float) -> BoundName | None:
        """Return which bound of this meter leaves room for no call at all, turns or seconds; else `None`."""
        if self.limits.turns is not None and self.turns >= self.limits.turns:
            return "turns"
        return "seconds" if self.limits.seconds is not None and _seconds_left(self, at) <= 0 else None

    def short_of(self, need: WorstCase, held: WorstCase, *, by: str) -> BoundName | None:
        """Return which bound of this meter is short for a call beside those that hold `held`; else `None`."""
        limits = self.limits
        if limits.tokens is not None and self._used_tokens() + held.tokens + need.tokens > limits.tokens:
            return "tokens"
        if limits.usd is None:
            return None
        if need.usd is None:
            raise SettingsError(f"{by}: a dollar limit needs priced models, and the model of this call has no price")
        return "usd" if self._used_usd() + (held.usd or _ZERO) + need.usd > Decimal(limits.usd) else None

    def room(self, *, at: float) -> Limits:
        """Return what is left of this meter's own bounds."""
        limits = self.limits
        tokens = None if limits.tokens is None else limits.tokens - self._used_tokens() - self.held.tokens
        usd = None if limits.usd is None else Decimal(limits.usd) - self._used_usd() - (self.held.usd or _ZERO)
        return Limits(
            turns=None if limits.turns is None else max(0, limits.turns - self.turns),
            tokens=None if tokens is None else max(0, int(tokens)),
            usd=None if usd is None else max(_ZERO, usd),
            seconds=None if limits.seconds is None else max(0.0, _seconds_left(self, at)),
        )

    def reached(
        self, bound: BoundName, need: WorstCase | None, held: WorstCase = NO_CALL, *, at: float, by: str
    ) -> LimitReached:
        """Return the error of the run `by`, which a bound of this meter stops."""
        return LimitReached(
            f"{by}: {self._words(bound, need or NO_CALL, held, at=at, by=by)}",
            limit=bound,
            spent=self.spent(at=at),
            run=self.name,
            by_agent=self.spent_by_agent(),
            needed=None if need is NO_CALL else need,
        )

    def _words(self, bound: BoundName, need: WorstCase, held: WorstCase, *, at: float, by: str) -> str:
        limits, whose = self.limits, "" if self.name == by else f" of {self.name}"
        remedy = f"raise Limits({bound}=…)"
        if bound == "turns":
            return f"the limit of {limits.turns} turns{whose} is reached; {remedy} to go on"
        if bound == "seconds":
            used_s = at - self.started_at
            return f"the time limit of {limits.seconds:g} s{whose} is reached after {used_s:.1f} s; {remedy} to go on"
        if bound == "tokens":
            bounded = f"{limits.tokens:,} weighted tokens"
            left = Decimal(limits.tokens or 0) - self._used_tokens() - held.tokens
            room, needed, missing = map(_count, (left, need.tokens, need.tokens - left))
        else:
            bounded = f"${limits.usd}"
            left = Decimal(limits.usd or 0) - self._used_usd() - (held.usd or _ZERO)
            room, needed, missing = map(_dollars_of, (left, need.usd or _ZERO, (need.usd or _ZERO) - left))
        told = f"the limit of {bounded}{whose} leaves {room} and the next call may use {needed}"
        return f"{told}; {remedy} by {missing}, or lower max_tokens"


def _count(tokens: Decimal) -> str:
    return f"{max(tokens, _ZERO).to_integral_value(ROUND_UP):,}"


def _dollars_of(amount: Decimal) -> str:
    return f"${max(amount, _ZERO).quantize(Decimal('0.000001'), ROUND_UP)}"


def _plus(one: WorstCase, other: WorstCase, sign: int = 1) -> WorstCase:
    """Return the sum. What has no price adds nothing: where dollars are bounded, such a call is never admitted."""
    return WorstCase(tokens=one.tokens + sign * other.tokens, usd=(one.usd or _ZERO) + sign * (other.usd or _ZERO))


def _seconds_left(meter: Meter, at: float) -> float:
    return (meter.limits.seconds or 0.0) - (at - meter.started_at)
