"""What tokens cost that a call paid for and could have read."""

from __future__ import annotations

from decimal import Decimal

from agentcache.accounting.layers import between
from agentcache.accounting.pricing import priced_on, token_prices
from agentcache.accounting.usage import CallRecord


def lost_usd(call: CallRecord, lost_tokens: int) -> Decimal | None:
    """Return what the first `lost_tokens` behind the read ones cost, less what reading them would have.

    `None` where the usage or the price is not known, or several models were billed.
    """
    if not lost_tokens:
        return Decimal(0)
    parts = call.own_parts
    prices = token_prices(parts[0], on=priced_on(call)) if len(parts) == 1 else None
    if prices is None or call.usage is None:
        return None
    start = call.usage.cache_read_tokens
    paid = between(call.usage, start, start + lost_tokens)
    return (
        paid.uncached_input_tokens * (prices.input_usd - prices.read_usd)
        + paid.cache_write_5m_tokens * (prices.write_5m_usd - prices.read_usd)
        + paid.cache_write_1h_tokens * (prices.write_1h_usd - prices.read_usd)
    )
