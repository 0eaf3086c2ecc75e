"""The clairvoyant bound: the least that any cache policy could have paid for the input of these calls.

Every block of the prefix tree is priced alone and with perfect foresight. At each call that contains it a block is
paid at full price, written (5m or 1h) or read; between two calls its entry lives on by its lifetime or is kept
alive by reads at the read price. Any number of breakpoints is allowed. The blocks that it takes to reach the model's
minimum count as one, and a prompt under the minimum is paid at full price. A block cannot be read before the first
token of the reply to the call that wrote it. No real policy can be cheaper; how near one comes is what `simulate`
measures.

Sums are integers in pico-dollars, so that they are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache.prompt.model_facts import TTL_SECONDS, Prices

_PICO_PER_MICRO = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundCall:
    """One call as the bound sees it.

    scope: what separates caches (model, workspace). digests: the chained prefix digest of each block in order;
    tokens: each block's own tokens; rest_tokens: what follows them and can never be cached. minimum_tokens: the
    shortest prefix that can be cached. at_s and first_token_at_s: seconds on one clock for all calls.
    """

    scope: str
    digests: Sequence[str]
    tokens: Sequence[int]
    rest_tokens: int = 0
    minimum_tokens: int
    at_s: float
    first_token_at_s: float
    prices: Prices


@dataclass(frozen=True, slots=True)
class _Rates:
    """Pico-dollars per token."""

    plain: int
    write_5m: int
    write_1h: int
    read: int

    @classmethod
    def of(cls, prices: Prices) -> _Rates:
        per_token = (prices.input_usd, prices.write_5m_usd, prices.write_1h_usd, prices.read_usd)
        return cls(*(int(price * _PICO_PER_MICRO) for price in per_token))


@dataclass(frozen=True, slots=True)
class _Kept:
    """The cheapest way so far that ends with a live entry: what it cost and when the entry was last used."""

    paid: int
    used_at_s: float
    readable_at_s: float
    lifetime_s: int

    def read_at(self, at_s: float, rates: _Rates) -> _Kept | None:
        """Return the way that reads the entry at `at_s`, keep-alive reads included; `None` before it is readable."""
        if at_s < self.readable_at_s:
            return None
        pings = int((at_s - self.used_at_s) // self.lifetime_s)
        return _Kept(self.paid + (pings + 1) * rates.read, at_s, self.readable_at_s, self.lifetime_s)


@dataclass(slots=True)
class _Segment:
    """Consecutive blocks that the same calls contained; `paid` and the kept entries are per token."""

    digests: Sequence[str]
    tokens: Sequence[int]
    paid: int = 0
    kept_5m: _Kept | None = None
    kept_1h: _Kept | None = None
    children: dict[str, _Segment] = field(default_factory=dict)

    def use(self, call: BoundCall, rates: _Rates) -> None:
        """Extend each cheapest way by one call that contains these blocks."""
        before = self.paid
        at_s, first_s = call.at_s, call.first_token_at_s
        lives = [_stay(self.kept_5m, at_s, rates), _stay(self.kept_1h, at_s, rates)]
        writes = [
            _Kept(before + rates.write_5m, at_s, first_s, TTL_SECONDS["5m"]),
            _Kept(before + rates.write_1h, at_s, first_s, TTL_SECONDS["1h"]),
        ]
        self.kept_5m, self.kept_1h = (
            write if live is None or write.paid < live.paid else live for live, write in zip(lives, writes, strict=True)
        )
        self.paid = min(before + rates.plain, self.kept_5m.paid, self.kept_1h.paid)

    def split(self, length: int) -> None:
        """Cut the segment in two after `length` blocks; both halves share the past."""
        rest = _Segment(
            self.digests[length:], self.tokens[length:], self.paid, self.kept_5m, self.kept_1h, self.children
        )
        self.children = {rest.digests[0]: rest}
        self.digests, self.tokens = self.digests[:length], self.tokens[:length]


def _stay(kept: _Kept | None, at_s: float, rates: _Rates) -> _Kept | None:
    if kept is None:
        return None
    read = kept.read_at(at_s, rates)
    if read is not None:
        return read
    # Still being written by a call under way: this one pays full price, and the entry stays as it is.
    return _Kept(kept.paid + rates.plain, kept.used_at_s, kept.readable_at_s, kept.lifetime_s)


def input_bound_usd(calls: Sequence[BoundCall]) -> Decimal:
    """Return the bound for the input of `calls`, given in the order of their start, in dollars."""
    roots: dict[str, dict[str, _Segment]] = {}
    pico = 0
    for call in calls:
        rates = _Rates.of(call.prices)
        pico += call.rest_tokens * rates.plain
        first = _blocks_to_minimum(call)
        if first is None:
            pico += sum(call.tokens) * rates.plain
        else:
            _walk(roots.setdefault(call.scope, {}), call, rates, first)
    pico += sum(_total(segment) for children in roots.values() for segment in children.values())
    return Decimal(pico) / Decimal(10**12)


def _blocks_to_minimum(call: BoundCall) -> int | None:
    """Return how many leading blocks it takes to reach the minimum; `None` when the whole prompt does not."""
    reached = 0
    for count, tokens in enumerate(call.tokens, start=1):
        reached += tokens
        if reached >= call.minimum_tokens:
            return count
    return None


def _walk(children: dict[str, _Segment], call: BoundCall, rates: _Rates, first: int) -> None:
    digests = call.digests[first - 1 :]
    sizes = [sum(call.tokens[:first]), *call.tokens[first:]]
    at = 0
    while at < len(digests):
        segment = children.get(digests[at])
        if segment is None:
            segment = _Segment(digests[at:], sizes[at:])
            children[digests[at]] = segment
        shared = _shared(segment.digests, digests, at)
        if shared < len(segment.digests):
            segment.split(shared)
        segment.use(call, rates)
        at += shared
        children = segment.children


def _shared(segment: Sequence[str], digests: Sequence[str], at: int) -> int:
    # Digests are chained: equal at the end means equal all the way.
    length = min(len(segment), len(digests) - at)
    if segment[length - 1] == digests[at + length - 1]:
        return length
    low, high = 1, length - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if segment[middle - 1] == digests[at + middle - 1] else (low, middle - 1)
    return low


def _total(top: _Segment) -> int:
    pico, stack = 0, [top]
    while stack:
        segment = stack.pop()
        pico += segment.paid * sum(segment.tokens)
        stack.extend(segment.children.values())
    return pico
