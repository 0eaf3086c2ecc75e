"""Faults on demand: which call goes wrong, and how.

By schedule (the n-th call) or by a seeded chance, drawn anew for each sending of a request; the same seed gives the
same requests the same faults, in whatever order they arrive. A call is a POST to `/v1/messages`, whatever its body.
This module decides what happens; `stream_faults` what is left of an answer, `http_app` makes it happen on the wire.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from agentcache.emulator.json_values import JsonValue, UnreadableJson, compact, digest, read_json
from agentcache.emulator.refusals import ApiError
from agentcache.errors import EmulatorError

FaultKind = Literal[
    "429",
    "500",
    "529",
    "slow",
    "reset",
    "down",
    "no_stream",
    "stalled",
    "cut",
    "ended",
    "malformed",
    "misplaced",
    "error",
    "no_usage",
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

Place = Literal["start", "text", "input", "middle", "end"]
PLACES: tuple[Place, ...] = get_args(Place)

_STATEMENT = re.compile(
    r"(?P<kind>\w+)(?:/(?P<place>\w+))?(?::(?P<value>\d+(?:\.\d+)?))?(?:@(?P<call>\d+)|%(?P<rate>\d*\.?\d+))"
)
_NOT_DRAWN_BY = frozenset({"cache_control", "id", "tool_use_id", "signature"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong with one call."""

    kind: FaultKind
    """Refused: `429`, `500`, `529`. Before any answer: `slow` (first byte late), `reset` (connection reset), `down`
    (reset, and new connections refused for `delay_s`), `no_stream` (200 with a page of HTML, as a proxy in between
    sends). Within the answer, at `place`: `stalled` (a pause), `cut` (connection reset), `ended` (an orderly end, too
    early), `malformed` (an event that is no JSON), `misplaced` (an event that fits nothing before it), `error` (the
    API's `overloaded_error` event, then the end), `no_usage` (the usage is left out)."""
    retry_after_s: float | None = None
    """For `429` and `529`: sent as `retry-after`; `None` sends no such header."""
    delay_s: float = 1.0
    """For `slow`, `stalled` and `down`: seconds of the emulator's clock."""
    place: Place = "middle"
    """Where in a stream: before its first event, amid a text, amid a tool's arguments, in the middle, before
    `message_stop`. A stream without text or tool has it in the middle. An answer in one piece has half a body."""

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


def every_kind(*, delay_s: float = 0.0) -> tuple[Fault, ...]:
    """Return one fault of every kind, in each place that makes a difference; `delay_s` is for those that wait.

    On a clock that stands still a pause lasts until somebody advances it; hence the default.
    """
    return (
        Fault(kind="429"),
        Fault(kind="429", retry_after_s=2),
        Fault(kind="500"),
        Fault(kind="529"),
        Fault(kind="529", retry_after_s=1),
        Fault(kind="reset"),
        Fault(kind="down", delay_s=delay_s),
        Fault(kind="no_stream"),
        Fault(kind="slow", delay_s=delay_s),
        Fault(kind="stalled", delay_s=delay_s),
        *(Fault(kind="cut", place=place) for place in PLACES),
        *(Fault(kind="ended", place=place) for place in PLACES),
        Fault(kind="malformed", place="start"),
        Fault(kind="malformed", place="input"),
        Fault(kind="malformed"),
        Fault(kind="misplaced"),
        Fault(kind="error", place="text"),
        Fault(kind="error", place="input"),
        Fault(kind="error", place="end"),
        Fault(kind="no_usage", place="start"),
        Fault(kind="no_usage", place="end"),
    )


class Faults(Protocol):
    """Says for each call in turn what goes wrong with it."""

    def next_fault(self, body: bytes) -> Fault | None:
        """Return the fault of the call that arrives with `body`, `None` when it goes well."""
        ...


class NoFaults:
    """Every call goes well."""

    def next_fault(self, body: bytes) -> Fault | None:
        """Return `None`."""
        return None


class ScheduledFaults:
    """The n-th call meets the n-th of `faults`, `None` meets none; after the last, all goes well."""

    def __init__(self, faults: Iterable[Fault | None]) -> None:
        """Plan `faults`, `None` for calls that go well."""
        self._faults = list(faults)
        self._calls = 0

    def next_fault(self, body: bytes) -> Fault | None:
        """Return the fault planned for this call, whatever its `body`."""
        self._calls += 1
        return self._faults[self._calls - 1] if self._calls <= len(self._faults) else None


class SeededFaults:
    """Each call meets a fault with a given chance, drawn from a seed.

    rates: the chance of each fault, from 0 to 1, together at most 1. seed: another one draws otherwise.

    What is drawn depends on the model and the messages, and on how often they have been sent: not on the order in
    which calls of several agents arrive, nor on ids, cache markers and signatures.
    """

    def __init__(self, rates: Mapping[Fault, float], *, seed: str = "0") -> None:
        """Give each fault its chance; raises `EmulatorError` when they add up to more than 1."""
        if sum(rates.values()) > 1 or any(rate < 0 for rate in rates.values()):
            raise EmulatorError(f"fault rates {sorted(rates.values())} must be at least 0 and add up to at most 1")
        self._rates = dict(rates)
        self._seed = seed.encode()
        self._sent: Counter[bytes] = Counter()

    def next_fault(self, body: bytes) -> Fault | None:
        """Draw for the next sending of the request with this `body`."""
        if not self._rates:
            return None
        asked = digest(self._seed, _what_is_asked(body))
        self._sent[asked] += 1
        drawn = draw(asked, self._sent[asked])
        for fault, rate in self._rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None


def every_fault(rate: float, *, seed: str = "0", delay_s: float = 0.0) -> SeededFaults:
    """Return faults of every kind, all equally likely, which hit `rate` (0 to 1) of the calls together.

    seed: as for `SeededFaults`. delay_s: seconds that a slow call waits.

    Raises `EmulatorError` for a rate outside 0 to 1.
    """
    faults = every_kind(delay_s=delay_s)
    if not 0 <= rate <= 1:
        raise EmulatorError(f"a fault rate of {rate} is no share of the calls; give a number from 0 to 1")
    return SeededFaults(dict.fromkeys(faults, rate / len(faults)), seed=seed)


class _Both:
    """A schedule first, chances where it plans nothing."""

    def __init__(self, scheduled: ScheduledFaults, seeded: SeededFaults) -> None:
        self._scheduled = scheduled
        self._seeded = seeded

    def next_fault(self, body: bytes) -> Fault | None:
        drawn = self._seeded.next_fault(body)
        return self._scheduled.next_fault(body) or drawn


def draw(seed: bytes, number: int) -> float:
    """Return the `number`-th draw of `seed`, in [0, 1): the emulator's only randomness."""
    return int.from_bytes(digest(seed, str(number).encode())[:7], "big") / 2**56


def read_faults(text: str, *, seed: str = "0") -> Faults:
    """Return the faults that `text` asks for: `529@3` is the third call, `reset%0.1` one call in ten.

    Statements are separated by commas or blanks. `429:5@1` sends `retry-after: 5`; `slow:2%0.2` is two seconds late;
    `cut/input@4` breaks amid a tool's arguments. Raises `EmulatorError` for a statement that means nothing.
    """
    planned: dict[int, Fault] = {}
    rates: dict[Fault, float] = {}
    for statement in text.replace(",", " ").split():
        match = _STATEMENT.fullmatch(statement)
        fault = None if match is None else _fault(match["kind"], match["place"], match["value"])
        if match is None or fault is None:
            raise EmulatorError(
                f"{statement!r} is no fault; write KIND@CALL or KIND%RATE, e.g. 529@3, reset%0.1 or cut/input@4, "
                f"with KIND one of {', '.join(KINDS)}, and a place one of {', '.join(PLACES)}"
            )
        if match["call"]:
            planned[int(match["call"])] = fault
        else:
            rates[fault] = float(match["rate"])
    schedule = ScheduledFaults(planned.get(number) for number in range(1, max(planned, default=0) + 1))
    return _Both(schedule, SeededFaults(rates, seed=seed))


def _fault(kind: str, place: str | None, value: str | None) -> Fault | None:
    known = next((each for each in KINDS if each == kind), None)
    where = next((each for each in PLACES if each == (place or "middle")), None)
    if known is None or where is None:
        return None
    if value is None:
        return Fault(kind=known, place=where)
    if known in {"slow", "stalled", "down"}:
        return Fault(kind=known, place=where, delay_s=float(value))
    return Fault(kind=known, place=where, retry_after_s=float(value))


def _what_is_asked(body: bytes) -> bytes:
    """Return what tells requests apart: their model and messages, without what differs from one time to the next."""
    try:
        request = read_json(body)
    except UnreadableJson:
        return body
    if not isinstance(request, dict):
        return body
    return compact([request.get("model"), _steady(request.get("messages"))]).encode()


def _steady(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_steady(item) for item in value]
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in _NOT_DRAWN_BY}
    return value
