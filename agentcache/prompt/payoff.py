"""Whether a breakpoint pays, which lifetime, and whether to keep a prefix alive: sums in units of one uncached token.

All decisions compare what is paid now with what it is likely to save until the prefix is asked for next. They know
chances and prices; they know neither blocks nor clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from agentcache.prompt.model_facts import ModelFacts, Prices, Ttl
from agentcache.prompt.reuse import Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a token costs by how it is billed; an uncached one costs 1."""

    write_5m: float = 1.25
    write_1h: float = 2.0
    read: float = 0.1

    @classmethod
    def of(cls, facts: ModelFacts, *, prompt_tokens: int) -> Rates:
        """Return the model's rates for a prompt of this length; the usual ones for a model without prices."""
        prices = facts.prices_for(prompt_tokens=prompt_tokens)
        return cls() if prices is None else _rates(prices)


@lru_cache(maxsize=256)
def _rates(prices: Prices) -> Rates:
    base = prices.input_usd
    return Rates(
        write_5m=float(prices.write_5m_usd / base),
        write_1h=float(prices.write_1h_usd / base),
        read=float(prices.read_usd / base),
    )


WORTH_A_CHANGE_TOKENS = 10
"""What another choice than 5m must save at least, in uncached tokens: below that it is noise in the estimates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailChoice:
    """What to do with the end of a prompt: write it for `ttl`, or (`None`) not at all; `reason` has the sum."""

    ttl: Ttl | None
    reason: str


def choose_tail(*, new_tokens: int, own_tokens: int, outlook: Outlook, rates: Rates) -> TailChoice:
    """Return whether and how to write the `new_tokens` at the end of a prompt.

    own_tokens: those of the prompt that nothing else keeps warm: what must be written anew when a 5-minute entry has
    run out before the next call.
    """
    lost = outlook.later * rates.write_5m * own_tokens
    costs: dict[Ttl | None, float] = {
        None: new_tokens + outlook.soon * rates.write_5m * new_tokens + lost,
        "5m": rates.write_5m * new_tokens + outlook.soon * rates.read * new_tokens + lost,
        "1h": rates.write_1h * new_tokens
        + outlook.soon * rates.read * new_tokens
        + outlook.later * rates.read * own_tokens,
    }
    ttl = min(costs, key=lambda choice: costs[choice])
    if costs["5m"] - costs[ttl] < WORTH_A_CHANGE_TOKENS:
        ttl = "5m"
    sums = ", ".join(f"{'no write' if choice is None else choice} {cost:,.0f}" for choice, cost in costs.items())
    chances = f"next call within 5m {outlook.soon:.0%}, within 1h {outlook.later:.0%}; {outlook.basis}"
    return TailChoice(ttl=ttl, reason=f"expected to cost in tokens: {sums} ({chances})")


def layer_ttl(outlook: Outlook, rates: Rates) -> Ttl:
    """Return the lifetime of a layer's prefix in the long run.

    For 5 minutes every longer silence costs a write; for the hour only those beyond it, but each costs more.
    """
    saved = outlook.later * (rates.write_5m - rates.read)
    extra = outlook.gone * (rates.write_1h - rates.write_5m)
    return "1h" if saved > extra else "5m"


def layer_pays(outlook: Outlook, rates: Rates) -> bool:
    """Tell whether writing a layer's prefix pays by itself, when nothing behind it is written."""
    return outlook.soon * (1.0 - rates.read) > rates.write_5m - 1.0


def shared_share(outlook: Outlook) -> float:
    """Return the chance that others keep a layer's prefix warm while one conversation is silent."""
    return outlook.soon


KEEP_ALIVE_MARGIN = 1.5
"""How many times its price a keep-alive read must be expected to save: the chances come from few long silences, and
with less of a margin families whose long silences seldom end lost money by reads in recorded traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveChoice:
    """Whether to read a silent prefix now, so that it lives for one more lifetime; `reason` has the sum.

    reads: how many reads, this one included, are worth their price if the silence goes on; 0 is to let it expire.
    """

    reads: int
    reason: str


def choose_keep_alive(
    *, read_tokens: int, own_tokens: int, uncached_tokens: int = 0, chances: Sequence[float], rates: Rates
) -> KeepAliveChoice:
    """Return whether to rent (a read now) or to buy (a write when the next call comes).

    read_tokens: the prefix, which every keep-alive reads. own_tokens: those of it that must be written anew once it
    has expired, because nothing else keeps them alive. uncached_tokens: what is sent behind the prefix with every
    read and paid in full. chances: for each lifetime from now on, the chance that a silence which reached it ends
    inside it; beyond the last one nothing is expected. Raises `ValueError` for a chance outside 0 to 1.
    """
    if not all(0.0 <= chance <= 1.0 for chance in chances):
        raise ValueError(f"chances lie between 0 and 1: {chances}")
    price = rates.read * read_tokens + uncached_tokens
    saved = max(0.0, rates.write_5m - rates.read) * own_tokens
    gain, reads = 0.0, 0
    for chance in reversed(chances):
        # What one read is worth: what it saves if the silence ends in time, and else that there can be a next one.
        worth = chance * saved + (1.0 - chance) * gain
        gain, reads = (worth - price, reads + 1) if worth > KEEP_ALIVE_MARGIN * price else (0.0, 0)
    told = ", ".join(f"{chance:.0%}" for chance in chances[: max(1, reads)]) or "none"
    verdict = f"up to {reads} reads should save {gain:,.0f}" if reads else "a write later is cheaper"
    sums = f"a read costs {price:,.0f} tokens, a lost prefix {saved:,.0f}"
    return KeepAliveChoice(reads=reads, reason=f"{sums}; chance of a call per lifetime: {told}; {verdict}")
