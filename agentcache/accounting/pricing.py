"""What tokens cost: list prices of the day, exact to the last digit, or `None`.

Decides which of a model's prices a part pays (the day of the call, the length of the prompt, fast mode) and which
factors multiply them. Prices and factors themselves are data (`prompt/model_facts.toml`). Knows no discounts,
commitments or credits of an account: a priority tier is priced at the standard rate, and a fallback credit shows
only where the API has already moved tokens from writes to reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from agentcache.accounting.usage import BilledPart, CallRecord, Usage
from agentcache.prompt.model_facts import ModelFacts, Prices, facts_for, price_modifiers

_ZERO = Decimal(0)
_PRICED_TOKENS_LOG10 = 6
"""Prices are dollars per million tokens."""


def cost_usd(part: BilledPart, *, on: str | None = None) -> Decimal | None:
    """Return what one part cost in US dollars on the ISO date `on` (`None`: at the newest prices).

    `None` when the model, or the mode that it ran in, has no known price; never `None` for a part without tokens,
    which costs nothing whatever the model.
    """
    searches = part.web_searches * price_modifiers().web_search_usd
    if part.usage == Usage():
        return searches
    facts = facts_for(part.model)
    prices = facts.prices_for(on=on, prompt_tokens=part.usage.input_tokens, fast=part.speed == "fast")
    if prices is None:
        return None
    return _tokens_usd(part.usage, prices) * _factor(part, facts) + searches


def token_prices(part: BilledPart, *, on: str | None = None) -> Prices | None:
    """Return what one token of each bucket of a part cost in US dollars, under the conditions of `cost_usd`."""
    facts = facts_for(part.model)
    listed = facts.prices_for(on=on, prompt_tokens=part.usage.input_tokens, fast=part.speed == "fast")
    if listed is None:
        return None
    factor = _factor(part, facts).scaleb(-_PRICED_TOKENS_LOG10)
    return Prices(
        input_usd=listed.input_usd * factor,
        write_5m_usd=listed.write_5m_usd * factor,
        write_1h_usd=listed.write_1h_usd * factor,
        read_usd=listed.read_usd * factor,
        output_usd=listed.output_usd * factor,
    )


def counterfactual_usd(part: BilledPart, *, on: str | None = None) -> Decimal | None:
    """Return what the same part would have cost with no caching: its whole prompt at the price of uncached input.

    `None` under the same conditions as `cost_usd`.
    """
    usage = Usage(uncached_input_tokens=part.usage.input_tokens, output_tokens=part.usage.output_tokens)
    return cost_usd(replace(part, usage=usage), on=on)


def price_record(record: CallRecord) -> CallRecord:
    """Return the record with its cost and counterfactual at the prices of the UTC day on which it was sent.

    Both are `None` when the usage is unknown or a part of the call is unpriced. Parts that stand in rows of their
    own (`side_records`) are priced there.
    """
    if record.usage is None:
        return record.with_costs(None, None)
    on = priced_on(record)
    return record.with_costs(
        _sum_usd([cost_usd(part, on=on) for part in record.own_parts]),
        _sum_usd([counterfactual_usd(part, on=on) for part in record.own_parts]),
    )


def priced_on(record: CallRecord) -> str:
    """Return the ISO date of the prices that a call pays: the UTC day on which it was sent."""
    return utc_day(record.sent_at)


def utc_day(at_s: float) -> str:
    """Return the ISO date, in UTC, of a time in Unix seconds."""
    return datetime.fromtimestamp(at_s, UTC).date().isoformat()


def plain_usd(amount: Decimal) -> str:
    """Return dollars as text that parses back to the same amount: no exponent, no trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _tokens_usd(usage: Usage, prices: Prices) -> Decimal:
    per_million = (
        usage.uncached_input_tokens * prices.input_usd
        + usage.cache_write_5m_tokens * prices.write_5m_usd
        + usage.cache_write_1h_tokens * prices.write_1h_usd
        + usage.cache_read_tokens * prices.read_usd
        + usage.output_tokens * prices.output_usd
    )
    return per_million.scaleb(-_PRICED_TOKENS_LOG10)


def _factor(part: BilledPart, facts: ModelFacts) -> Decimal:
    """Return the product of the factors on token prices; searches are not discounted."""
    modifiers = price_modifiers()
    batch = modifiers.batch if part.service_tier == "batch" else Decimal(1)
    us_only = part.inference_geo == "us" and facts.us_inference
    return batch * (modifiers.us_inference if us_only else Decimal(1))


def _sum_usd(amounts: Sequence[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, _ZERO) if len(known) == len(amounts) else None
