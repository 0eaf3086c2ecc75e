"""How much a run may use, and the meter that counts it.

A meter knows its parent, so that what an agent spends inside a workflow counts for both. Time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal

from agentcache.accounting.usage import CallRecord, Usage
from agentcache.errors import LimitReached, SettingsError, Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds of one run, everything nested in it included; `None` is no bound.

    `turns` counts model calls, `tokens` prompt and answer tokens, `usd` dollars at list price, `seconds` wall time.
    A bound is checked before each call, so that the last call may overshoot tokens and dollars by one call.
    A dollar bound needs a priced model.
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


NO_LIMITS = Limits()
"""Bounds nothing."""


def _dollars(value: int | str) -> Decimal:
    try:
        return Decimal(value)
    except ArithmeticError:
        raise SettingsError(f"limit 'usd' is {value!r}, but dollars are a number such as '0.50'") from None


def _sum(first: Decimal | None, second: Decimal | None) -> Decimal:
    return (first or Decimal(0)) + (second or Decimal(0))


@dataclass(slots=True, kw_only=True)
class Meter:
    """What a run and everything below it has used so far; `cost_usd` turns `None` with the first unpriced call."""

    limits: Limits
    started_at: float
    parent: Meter | None = None
    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = Decimal(0)

    def add(self, record: CallRecord) -> None:
        """Count one call, here and in every run above. A call whose usage nobody knows adds nothing to the sums."""
        if record.usage is not None:
            self.usage += record.usage
            unpriced = record.cost_usd is None or self.cost_usd is None
            self.cost_usd = None if unpriced else _sum(self.cost_usd, record.cost_usd)
        if self.parent is not None:
            self.parent.add(record)

    def begin_turn(self, *, at: float, run: str) -> None:
        """Count one more model call, or raise `LimitReached` for the first bound that leaves no room for it."""
        for meter in self.lineage():
            meter.check(at=at, run=run)
        self.repeat_turn()

    def repeat_turn(self) -> None:
        """Count one more model call without asking: one that was let through before, and is gone through again."""
        for meter in self.lineage():
            meter.turns += 1

    def lineage(self) -> list[Meter]:
        """Return this meter and those of all runs above it, innermost first."""
        meters, meter = [], self
        while True:
            meters.append(meter)
            if meter.parent is None:
                return meters
            meter = meter.parent

    def check(self, *, at: float, run: str) -> None:
        """Raise `LimitReached` when one of this meter's own bounds is used up."""
        used: dict[str, int | float | Decimal | None] = {
            "turns": self.turns,
            "tokens": self.usage.total_tokens,
            "usd": self.cost_usd,
            "seconds": at - self.started_at,
        }
        for name, amount in used.items():
            bound = getattr(self.limits, name)
            if bound is None:
                continue
            if amount is None:
                raise SettingsError(
                    f"{run}: a dollar limit needs priced models, and a call of this run has no known price"
                )
            if amount >= bound:
                shown = f"{amount:.1f}" if isinstance(amount, float) else str(amount)
                raise LimitReached(
                    f"{run}: the limit of {bound} {name} is reached ({shown} used); raise Limits({name}=…) to go on",
                    limit=name,
                    spent=self.spent(at=at),
                )

    def seconds_left(self, *, at: float) -> float | None:
        """Return the seconds left before the nearest time bound of this run or one above; `None`: no bound."""
        left = [
            meter.limits.seconds - (at - meter.started_at)
            for meter in self.lineage()
            if meter.limits.seconds is not None
        ]
        return min(left, default=None)

    def spent(self, *, at: float) -> Spent:
        """Return what was used, as errors carry it."""
        return Spent(
            turns=self.turns, tokens=self.usage.total_tokens, cost_usd=self.cost_usd, seconds=at - self.started_at
        )
