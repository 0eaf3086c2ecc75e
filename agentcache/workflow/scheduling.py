"""Settings of the scheduler, and its decisions about holding a call back for a prefix: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal

from agentcache.errors import SettingsError
from agentcache.prompt.model_facts import Ttl, facts_for

FIRST_DEADLINE_S = 30.0
"""Longest wait for a prefix while too little is known of a model. A choice, not a measurement: half of it, after which
the next in line leads, is nine times what the emulator's realistic latency takes for 20,000 tokens (1.6 s)."""

SEEN_ENOUGH = 5
"""Comparable first-token times of a model from which its deadline is learned."""

DEADLINE_FACTOR = 8.0
"""The deadline in slow first-token times: the next in line leads after four, so that a leader is given up only when it
is far slower than a slow one, and has that long itself."""

SHORTEST_DEADLINE_S, LONGEST_DEADLINE_S = 4.0, 120.0

ASSUMED_FIRST_TOKEN_S = 1.0
"""Until the first comparable answer of a model; `simulate` assumes the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """How many calls may be under way at once; `None` is no bound. Retries that pause are not under way.

    per_model: by model, in any spelling of its name. per_model_default: of every other model. per_run: of one
    top-level run with everything nested in it.

    Raises `SettingsError` for a bound below one.
    """

    per_model: Mapping[str, int] = field(default_factory=dict)
    per_model_default: int | None = None
    per_run: int | None = None

    def __post_init__(self) -> None:
        for bound in (*self.per_model.values(), self.per_model_default, self.per_run):
            if bound is not None and bound < 1:
                raise SettingsError(f"Concurrency: {bound} calls at once would let none go; a bound is at least 1")
        by_name = {facts_for(model).canonical: bound for model, bound in self.per_model.items()}
        object.__setattr__(self, "per_model", by_name)

    def of_model(self, model: str) -> int | None:
        """Return the bound of a model."""
        return self.per_model.get(facts_for(model).canonical, self.per_model_default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """When calls go out.

    prefixes: hold a call back while another writes the prefix that it can then read. rate_limits: learn the
    organisation's limits from response headers and stay within them. concurrency: how many calls at once.
    deadline_s: longest wait for a prefix, in seconds; after half of it without a first event the next in line leads
    as well. `None` learns it from the first-token times of the model. second_usd: what a second of one call's waiting
    is worth, in dollars; a call that would save less by waiting than its wait is worth is not held.

    Raises `SettingsError` for a deadline or a price that is no positive number.
    """

    prefixes: bool = True
    rate_limits: bool = True
    concurrency: Concurrency = Concurrency()
    deadline_s: float | None = None
    second_usd: Decimal | int | str = 0

    def __post_init__(self) -> None:
        try:
            price = Decimal(self.second_usd)
        except InvalidOperation as error:
            raise SettingsError(
                f"Scheduling: second_usd is {self.second_usd!r}, which is no amount; write second_usd='0.001'"
            ) from error
        if not price.is_finite() or price < 0:
            raise SettingsError(f"Scheduling: second_usd is {self.second_usd}; a price is zero or more")
        if self.deadline_s is not None and not 0 < self.deadline_s < float("inf"):
            raise SettingsError(f"Scheduling: deadline_s is {self.deadline_s}; prefixes=False waits for none")
        object.__setattr__(self, "second_usd", price)


DEFAULT_SCHEDULING = Scheduling()
NO_SCHEDULING = Scheduling(prefixes=False, rate_limits=False)


@dataclass(frozen=True, slots=True)
class FirstTokenTime:
    """How long a call took to its first event, and how many tokens the server had to process for that (estimate)."""

    uncached_tokens: int
    seconds: float


def comparable_s(seen: Iterable[FirstTokenTime], *, uncached_tokens: int) -> list[float]:
    """Return the times of calls with at least half as many tokens to process, fastest first.

    Most calls read and begin at once; by their times every call that writes a long prefix would look stuck.
    """
    return sorted(one.seconds for one in seen if 2 * one.uncached_tokens >= uncached_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """How long a call may be held for a prefix, and why so long."""

    seconds: float
    basis: Literal["set", "assumed", "learned"]


def choose_deadline(seen: Iterable[FirstTokenTime], *, uncached_tokens: int, setting: float | None) -> Deadline:
    """Return the longest wait for a leader with so many tokens to process, given its model's newest times.

    A setting holds. Otherwise it is `DEADLINE_FACTOR` times the slowest tenth of comparable calls, within fixed bounds.
    """
    if setting is not None:
        return Deadline(seconds=setting, basis="set")
    like_s = comparable_s(seen, uncached_tokens=uncached_tokens)
    if len(like_s) < SEEN_ENOUGH:
        return Deadline(seconds=FIRST_DEADLINE_S, basis="assumed")
    slow_s = like_s[int(0.9 * (len(like_s) - 1))]
    return Deadline(
        seconds=min(LONGEST_DEADLINE_S, max(SHORTEST_DEADLINE_S, DEADLINE_FACTOR * slow_s)), basis="learned"
    )


def expected_wait_s(seen: Iterable[FirstTokenTime], *, uncached_tokens: int, elapsed_s: float) -> float:
    """Return how long a leader's first event should take from now, by the median of comparable calls."""
    like_s = comparable_s(seen, uncached_tokens=uncached_tokens)
    usual_s = like_s[len(like_s) // 2] if like_s else ASSUMED_FIRST_TOKEN_S
    return max(0.0, usual_s - elapsed_s)


def saved_by_reading_usd(model: str, tokens: int, ttl: Ttl, *, prompt_tokens: int) -> Decimal | None:
    """Return what it saves to read `tokens` that would be written otherwise; `None` for a model without prices."""
    prices = facts_for(model).prices_for(prompt_tokens=prompt_tokens)
    if prices is None:
        return None
    write_usd = prices.write_1h_usd if ttl == "1h" else prices.write_5m_usd
    return (write_usd - prices.read_usd) * tokens / 1_000_000


def worth_waiting(saved_usd: Decimal | None, wait_s: float, *, second_usd: Decimal) -> bool:
    """Tell whether to hold a call: whether what it saves is more than its wait is worth.

    Where a saving has no known price the call is held, since a read is cheaper than a write on every model.
    """
    if not second_usd or saved_usd is None:
        return True
    return saved_usd > Decimal(wait_s) * second_usd
