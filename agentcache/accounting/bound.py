"""The clairvoyant bound: the least that any cache policy could have paid for the input of these calls.

Every block of the prefix tree is priced alone and with perfect foresight. At each call that contains it a block is
paid at full price, written (5m or 1h) or read; between two calls its entry lives on by its lifetime or is kept alive
by reads at the read price. Any number of breakpoints is allowed. The blocks that it takes to reach the model's
minimum count as one, and a prompt under the minimum is paid at full price. A block cannot be read before the first
token of the reply to the call that wrote it.

Whoever reads a block may leave it with the 1h lifetime, whatever it was written with, for no more than the read: of
a 1h breakpoint the API bills only what lies behind the hit (specification 5.3), yet its entry covers all that lies
before it. What lies behind is written by the call in any case, or is small.

So no choice of breakpoints, lifetimes and keep-alive reads is cheaper; how near a policy comes is what `simulate`
measures. Not bounded are policies that move calls in time or write for them ahead of time. Sums are integers in
pico-dollars, so that they are exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from agentcache.prompt.model_facts import TTL_SECONDS, Prices

_PICO_PER_MICRO = 10**6
_PICO_PER_USD = 10**12
_UNSTRETCHED = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundCall:
    """One call as the bound sees it.

    digests: the chained prefix digest of each block in order; what separates caches (model, workspace) is part of
    them. prefix_tokens: the tokens up to and including each block, the same for equal digests. total_tokens: the
    whole prompt, with what follows the last block and can never be cached. stretch: what the tokens are multiplied
    with to be billed, where the true length of this prompt is known. minimum_tokens: the shortest prefix that can be
    cached. at_s and first_token_at_s: seconds on one clock for all calls. keep_alive_usd: the least that a read of
    this model costs per million tokens, for a shorter prompt can pay less; `None`: `prices.read_usd`.
    """

    digests: Sequence[bytes]
    prefix_tokens: Sequence[int]
    total_tokens: int
    stretch: Fraction = _UNSTRETCHED
    minimum_tokens: int
    at_s: float
    first_token_at_s: float
    prices: Prices
    keep_alive_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class _Rates:
    """Pico-dollars per token."""

    plain: int
    write_5m: int
    write_1h: int
    read: int
    keep_alive: int


def _rates(call: BoundCall) -> _Rates:
    return _stretched_rates(call.prices, call.keep_alive_usd, call.stretch)


@lru_cache(maxsize=1024)
def _stretched_rates(prices: Prices, keep_alive_usd: Decimal | None, stretch: Fraction) -> _Rates:
    per_million = (prices.input_usd, prices.write_5m_usd, prices.write_1h_usd, prices.read_usd)
    keep_alive = prices.read_usd if keep_alive_usd is None else keep_alive_usd
    # Rounded down: a bound may be a trifle too low, never too high.
    return _Rates(*(int(int(usd * _PICO_PER_MICRO) * stretch) for usd in (*per_million, keep_alive)))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A way in which the blocks are in the cache after the last call that contained them; `paid` is per token."""

    paid: int
    lifetime_s: int
    readable_at_s: float

    def through(self, call: BoundCall, waited_s: float, rates: _Rates) -> _Kept:
        """Return the way extended by a call that begins `waited_s` after the last one."""
        if call.at_s < self.readable_at_s:
            # Still being written: this call pays full price. That it renews the entry favours the bound by seconds.
            readable_at_s = min(self.readable_at_s, call.first_token_at_s)
            return _Kept(self.paid + rates.plain, self.lifetime_s, readable_at_s)
        overdue_s = waited_s - self.lifetime_s
        keep_alives = 0 if overdue_s < 0 else 1 + int(overdue_s // TTL_SECONDS["1h"])
        return _Kept(self.paid + keep_alives * rates.keep_alive + rates.read, TTL_SECONDS["1h"], call.at_s)

    def is_as_good_as(self, other: _Kept) -> bool:
        """Tell whether nothing that may come makes `other` the cheaper of the two."""
        return (
            self.paid <= other.paid
            and self.lifetime_s >= other.lifetime_s
            and self.readable_at_s <= other.readable_at_s
        )


@dataclass(slots=True)
class _Segment:
    """Consecutive blocks that the same calls contained. `begin` is where they begin and `ends` where each ends.

    paid: the least per token so far, in the cache or not. kept: the ways to have them in the cache, cheapest first,
    none of them worse than another in every respect.
    """

    digests: Sequence[bytes]
    begin: int
    ends: Sequence[int]
    paid: int = 0
    used_at_s: float = 0.0
    kept: tuple[_Kept, ...] = ()
    children: dict[bytes, _Segment] = field(default_factory=dict)

    def use(self, call: BoundCall, rates: _Rates) -> None:
        """Extend each way by one call that contains these blocks."""
        before, waited_s = self.paid, call.at_s - self.used_at_s
        ways = [kept.through(call, waited_s, rates) for kept in self.kept]
        self.used_at_s = call.at_s
        if len(ways) != 1 or ways[0].readable_at_s > call.at_s or ways[0].paid > before + rates.write_5m:
            ways.append(_Kept(before + rates.write_5m, TTL_SECONDS["5m"], call.first_token_at_s))
            ways.append(_Kept(before + rates.write_1h, TTL_SECONDS["1h"], call.first_token_at_s))
            ways = _undominated(ways)
        self.kept = tuple(ways)
        self.paid = min(before + rates.plain, ways[0].paid)

    def split(self, length: int) -> None:
        """Cut the segment in two after `length` blocks; both halves share the past."""
        rest = _Segment(
            self.digests[length:],
            self.ends[length - 1],
            self.ends[length:],
            self.paid,
            self.used_at_s,
            self.kept,
            self.children,
        )
        self.children = {rest.digests[0]: rest}
        self.digests, self.ends = self.digests[:length], self.ends[:length]


def _undominated(ways: list[_Kept]) -> list[_Kept]:
    kept: list[_Kept] = []
    for way in sorted(ways, key=lambda way: (way.paid, -way.lifetime_s, way.readable_at_s)):
        if not any(other.is_as_good_as(way) for other in kept):
            kept.append(way)
    return kept


class InputBound:
    """The bound of the calls that were added, in the order of their start."""

    def __init__(self) -> None:
        self._roots: dict[bytes, _Segment] = {}
        self._uncacheable_pico = 0

    def add(self, call: BoundCall) -> None:
        """Take in the next call."""
        rates = _rates(call)
        ends = call.prefix_tokens
        # The blocks that it takes to reach the minimum are cached together or not at all.
        first = bisect_left(ends, call.minimum_tokens)
        if first == len(ends):
            self._uncacheable_pico += call.total_tokens * rates.plain
            return
        self._uncacheable_pico += (call.total_tokens - ends[-1]) * rates.plain
        children, at, begin = self._roots, first, 0
        while at < len(ends):
            segment = children.get(call.digests[at])
            if segment is None:
                segment = children[call.digests[at]] = _Segment(call.digests[at:], begin, ends[at:])
            shared = _shared(segment.digests, call.digests, at)
            if shared < len(segment.digests):
                segment.split(shared)
            segment.use(call, rates)
            at, begin, children = at + shared, segment.ends[-1], segment.children

    @property
    def usd(self) -> Decimal:
        """The least that the input could have cost, in US dollars."""
        pico, stack = self._uncacheable_pico, list(self._roots.values())
        while stack:
            segment = stack.pop()
            pico += segment.paid * (segment.ends[-1] - segment.begin)
            stack.extend(segment.children.values())
        return Decimal(pico) / Decimal(_PICO_PER_USD)


def _shared(segment: Sequence[bytes], digests: Sequence[bytes], at: int) -> int:
    """Return how many blocks of a segment the call contains from `at` on; the first one it does."""
    # Digests are chained: equal at the end means equal all the way.
    length = min(len(segment), len(digests) - at)
    if segment[length - 1] == digests[at + length - 1]:
        return length
    low, high = 1, length - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if segment[middle - 1] == digests[at + middle - 1] else (low, middle - 1)
    return low
