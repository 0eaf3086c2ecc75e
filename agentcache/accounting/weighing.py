"""Tokens weighed by their price: what a token bound counts.

A token that was read from the cache costs a tenth of an uncached one or less, a written one a quarter more or double;
a bound that counted them alike would stop a run for being cheap. So each token of the prompt counts for its price over
that of uncached input of the same model; a token of the answer counts for one, whatever it costs, so that the bound
stays one on tokens. Dollars are bounded in dollars.
"""

from __future__ import annotations

from decimal import Decimal

from agentcache.accounting.usage import BilledPart, CallRecord
from agentcache.prompt.model_facts import Prices, facts_for

CAREFUL_PRICES = Prices(
    input_usd=Decimal(1),
    write_5m_usd=Decimal("1.25"),
    write_1h_usd=Decimal(2),
    read_usd=Decimal("0.1"),
    output_usd=Decimal(5),
)
"""Ratios for a model without prices: the usual ones (specification 5.2), of which no known model pays more."""


def weighted_tokens(part: BilledPart) -> Decimal:
    """Return a part's tokens, each of the prompt's by its price over that of uncached input of the part's model.

    The ratios are those of the newest prices, or `CAREFUL_PRICES` for a model without any.
    """
    usage = part.usage
    prices = facts_for(part.model).prices_for(prompt_tokens=usage.input_tokens) or CAREFUL_PRICES
    cached = (
        usage.cache_write_5m_tokens * prices.write_5m_usd
        + usage.cache_write_1h_tokens * prices.write_1h_usd
        + usage.cache_read_tokens * prices.read_usd
    )
    return usage.uncached_input_tokens + usage.output_tokens + cached / prices.input_usd


def weighted_tokens_of(record: CallRecord) -> Decimal:
    """Return the weighted tokens of a row; zero for one whose usage nobody knows."""
    return sum(map(weighted_tokens, record.own_parts), Decimal(0))
