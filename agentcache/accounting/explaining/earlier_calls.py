"""The calls before one, found by what they have in common with it, in steps that do not grow with the log.

Calls are kept by the blocks they hold: of each block the first call and the latest ones. So a call is compared in full
with a bounded number of earlier ones, those that share most with it, however long the log is.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agentcache.accounting.explaining.logged_calls import LoggedCall

COMPARED_CALLS = 30
"""With how many earlier calls one is compared in full: those that share most blocks with it."""

LATEST_CALLS = 12
"""Of these, how many are the latest ones, which need not share anything: all of their text may have changed."""


@dataclass(slots=True)
class _Holders:
    """The calls that hold one block."""

    first: LoggedCall
    latest: deque[LoggedCall] = field(default_factory=lambda: deque(maxlen=COMPARED_CALLS))


class EarlierCalls:
    """An index of calls, filled in the order of time."""

    def __init__(self) -> None:
        """Start without calls."""
        self._by_block: dict[str, _Holders] = {}
        self._whole: dict[int, deque[LoggedCall]] = {}
        self._latest: deque[LoggedCall] = deque(maxlen=LATEST_CALLS)

    def add(self, call: LoggedCall) -> None:
        """Keep a call for those that come after it."""
        self._latest.append(call)
        for digest in set(call.digests):
            self._by_block.setdefault(digest, _Holders(call)).latest.append(call)
        if call.blocks:
            self._whole.setdefault(call.chain[-1], deque(maxlen=COMPARED_CALLS)).append(call)

    def begun_by(self, call: LoggedCall) -> Iterator[LoggedCall]:
        """Yield the calls whose whole prompt stands unchanged at the start of this one, longest and latest first."""
        for count in range(len(call.blocks), len(call.head), -1):
            for other in reversed(self._whole.get(call.chain[count - 1], ())):
                if other.digests == call.digests[:count]:
                    yield other

    def nearest(self, call: LoggedCall) -> Sequence[LoggedCall]:
        """Return the calls to compare with in the order of the log."""
        shared: Counter[int] = Counter()
        seen = {other.index: other for other in self._latest}
        for digest in set(call.digests):
            holders = self._by_block.get(digest)
            if holders is not None:
                here = {other.index: other for other in (holders.first, *holders.latest)}
                seen.update(here)
                shared.update(here.keys())
        latest = {other.index for other in self._latest}
        order = sorted(seen.values(), key=lambda other: (shared[other.index], *readable(call, other)), reverse=True)
        chosen = {other.index for other in order[:COMPARED_CALLS]} | latest
        return [other for other in order[::-1] if other.index in chosen]


def readable(call: LoggedCall, other: LoggedCall) -> tuple[bool, float, int]:
    """Order calls that share as much: those whose answer had begun, which `call` could read, then the latest."""
    return call.at_s >= other.first_token_at_s, other.at_s, other.index
