"""What it cost that tokens were not read: the price that the call paid for them, less that of reading them."""

from __future__ import annotations

from decimal import Decimal

from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.pricing import token_prices, utc_day

_FIRST_UNIX_S, _LAST_UNIX_S = 1_000_000_000.0, 10_000_000_000.0
"""A log may count its seconds from its own start; only these can be a clock's (2001 to 2286)."""


def lost_usd(call: LoggedCall, tokens: int) -> Decimal | None:
    """Return what `call` paid for `tokens` that it could have read, beyond the price of reading them.

    They are the first of what it did not read, so they were written first for an hour, then for five minutes, and the
    rest was plain input: each at the prices of the day (the newest where the log has no dates), of the speed, tier
    and place that the reply or the request names. `None` without a bill or a price.
    """
    if call.bill is None:
        return None
    prices = token_prices(call.bill, on=_day(call.at_s))
    if prices is None:
        return None
    hour = min(tokens, call.bill.usage.cache_write_1h_tokens)
    short = min(tokens - hour, call.bill.usage.cache_write_5m_tokens)
    plain = tokens - hour - short
    paid = hour * prices.write_1h_usd + short * prices.write_5m_usd + plain * prices.input_usd
    return paid - tokens * prices.read_usd


def _day(at_s: float) -> str | None:
    return utc_day(at_s) if _FIRST_UNIX_S <= at_s < _LAST_UNIX_S else None
