"""Rows of the ledger priced anew, at what the facts table says today of the day on which each call was sent.

A row keeps the price that was known when it was written. Where the table has learned a price, or had a wrong one, this
says what changes. An amount is never taken back: where today's table has no price and the row has one, it stays.
What a call saved by waiting (`held_saved_usd`) stays too: the row does not say for which prefix it waited.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from agentcache.accounting.pricing import plain_usd, price_record
from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepricedRow:
    """What pricing anew changes for calls of one model; `model` is `None` in the total.

    `before_usd` leaves out the calls that had no price.
    """

    model: str | None = None
    calls: int = 0
    newly_priced_calls: int = 0
    before_usd: Decimal = _ZERO
    after_usd: Decimal = _ZERO

    @property
    def difference_usd(self) -> Decimal:
        """Dollars after less dollars before."""
        return self.after_usd - self.before_usd

    def __add__(self, other: RepricedRow) -> RepricedRow:
        return RepricedRow(
            calls=self.calls + other.calls,
            newly_priced_calls=self.newly_priced_calls + other.newly_priced_calls,
            before_usd=self.before_usd + other.before_usd,
            after_usd=self.after_usd + other.after_usd,
        )

    def to_json(self) -> JsonObject:
        """Return the row; dollars are decimal text."""
        return {
            "model": self.model,
            "calls": self.calls,
            "newly_priced_calls": self.newly_priced_calls,
            "before_usd": plain_usd(self.before_usd),
            "after_usd": plain_usd(self.after_usd),
            "difference_usd": plain_usd(self.difference_usd),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Repricing:
    """The calls whose cost or counterfactual changes, as they would be, with what that comes to for each model."""

    calls: tuple[CallRecord, ...]
    rows: tuple[RepricedRow, ...]
    total: RepricedRow
    unpriced_models: tuple[str, ...]
    """Models of known usage that have no price today either, sorted."""

    def to_json(self) -> JsonObject:
        """Return `rows`, `total` and `unpriced_models`."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "total": self.total.to_json(),
            "unpriced_models": list(self.unpriced_models),
        }


def reprice(calls: Iterable[CallRecord]) -> Repricing:
    """Return what changes when calls are priced anew; calls of unknown usage cannot be and are left out."""
    changed: list[CallRecord] = []
    sums: dict[str, RepricedRow] = defaultdict(RepricedRow)
    unpriced = set()
    for call in calls:
        if call.usage is None:
            continue
        today = price_record(call)
        if today.cost_usd is None or today.counterfactual_usd is None:
            unpriced.add(call.model)
        elif (today.cost_usd, today.counterfactual_usd) != (call.cost_usd, call.counterfactual_usd):
            changed.append(today)
            sums[call.model] += RepricedRow(
                calls=1,
                newly_priced_calls=int(call.cost_usd is None),
                before_usd=call.cost_usd or _ZERO,
                after_usd=today.cost_usd,
            )
    rows = tuple(replace(sums[model], model=model) for model in sorted(sums))
    return Repricing(
        calls=tuple(changed), rows=rows, total=sum(rows, RepricedRow()), unpriced_models=tuple(sorted(unpriced))
    )
