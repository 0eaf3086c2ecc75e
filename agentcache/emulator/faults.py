"""Faults on demand: which call goes wrong, and how.

By schedule (the n-th call) or by a seeded rate; the same seed gives the same faults in the same order. A call is a POST
to `/v1/messages`, whatever its body. This module decides what happens; `http_app` makes it happen on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from agentcache.emulator.json_values import digest
from agentcache.emulator.refusals import ApiError
from agentcache.errors import EmulatorError

FaultKind = Literal["429", "500", "529", "slow", "reset", "cut", "malformed"]
KINDS: tuple[FaultKind, ...] = ("429", "500", "529", "slow", "reset", "cut", "malformed")

_STATEMENT = re.compile(r"(?P<kind>\w+)(?::(?P<value>\d+(?:\.\d+)?))?(?:@(?P<call>\d+)|%(?P<rate>\d*\.?\d+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong with one call."""

    kind: FaultKind
    """`429`, `500`, `529`: refused. `slow`: first byte late. `reset`: connection reset before any answer.
    `cut`: the connection ends in the middle of the answer. `malformed`: an answer that does not parse."""
    retry_after_s: float | None = None
    """For `429` and `529`: sent as `retry-after`; `None` sends no such header."""
    delay_s: float = 1.0
    """For `slow`: seconds added before the first byte."""

    def refusal(self) -> ApiError | None:
        """Return the refusal that this fault is, or `None` when the call is answered."""
        if self.kind == "429":
            text = "This request would exceed your organization's rate limit"
            return ApiError(text, kind="rate_limit_error", retry_after_s=self.retry_after_s)
        if self.kind == "500":
            return ApiError("Internal server error", kind="api_error")
        if self.kind == "529":
            return ApiError("Overloaded", kind="overloaded_error", retry_after_s=self.retry_after_s)
        return None


class Faults(Protocol):
    """Says for each call in turn what goes wrong with it."""

    def next_fault(self) -> Fault | None:
        """Return the fault of the next call, `None` when it goes well."""
        ...


class NoFaults:
    """Every call goes well."""

    def next_fault(self) -> Fault | None:
        """Return `None`."""
        return None


class ScheduledFaults:
    """The n-th call meets the n-th of `faults`, `None` meets none; after the last, all goes well."""

    def __init__(self, faults: Iterable[Fault | None]) -> None:
        """Plan `faults`, `None` for calls that go well."""
        self._faults = list(faults)
        self._calls = 0

    def next_fault(self) -> Fault | None:
        """Return the fault planned for this call."""
        self._calls += 1
        return self._faults[self._calls - 1] if self._calls <= len(self._faults) else None


class SeededFaults:
    """Each call meets a fault with a given chance, drawn from a seed."""

    def __init__(self, rates: Mapping[Fault, float], *, seed: str = "0") -> None:
        """Give each fault its chance; raises `EmulatorError` when they add up to more than 1."""
        if sum(rates.values()) > 1 or any(rate < 0 for rate in rates.values()):
            raise EmulatorError(f"fault rates {sorted(rates.values())} must be at least 0 and add up to at most 1")
        self._rates = dict(rates)
        self._seed = seed
        self._calls = 0

    def next_fault(self) -> Fault | None:
        """Draw for the next call."""
        self._calls += 1
        drawn = draw(self._seed, self._calls)
        for fault, rate in self._rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None


class _Both:
    """A schedule first, chances where it plans nothing."""

    def __init__(self, scheduled: ScheduledFaults, seeded: SeededFaults) -> None:
        self._scheduled = scheduled
        self._seeded = seeded

    def next_fault(self) -> Fault | None:
        drawn = self._seeded.next_fault()
        return self._scheduled.next_fault() or drawn


def draw(seed: str, number: int) -> float:
    """Return the `number`-th draw of `seed`, in [0, 1): the emulator's only randomness."""
    return int.from_bytes(digest(seed.encode(), str(number).encode())[:7], "big") / 2**56


def read_faults(text: str, *, seed: str = "0") -> Faults:
    """Return the faults that `text` asks for: `529@3` is the third call, `reset%0.1` one call in ten.

    Statements are separated by commas or blanks. `429:5@1` sends `retry-after: 5`; `slow:2%0.2` is two seconds late.
    Raises `EmulatorError` for a statement that means nothing.
    """
    planned: dict[int, Fault] = {}
    rates: dict[Fault, float] = {}
    for statement in text.replace(",", " ").split():
        match = _STATEMENT.fullmatch(statement)
        kind = next((known for known in KINDS if match and known == match["kind"]), None)
        if match is None or kind is None:
            raise EmulatorError(
                f"{statement!r} is no fault; write KIND@CALL or KIND%RATE, e.g. 529@3 or reset%0.1, "
                f"with KIND one of {', '.join(KINDS)}"
            )
        fault = _fault(kind, match["value"])
        if match["call"]:
            planned[int(match["call"])] = fault
        else:
            rates[fault] = float(match["rate"])
    schedule = ScheduledFaults(planned.get(number) for number in range(1, max(planned, default=0) + 1))
    return _Both(schedule, SeededFaults(rates, seed=seed))


def _fault(kind: FaultKind, value: str | None) -> Fault:
    if value is None:
        return Fault(kind=kind)
    return Fault(kind=kind, delay_s=float(value)) if kind == "slow" else Fault(kind=kind, retry_after_s=float(value))
