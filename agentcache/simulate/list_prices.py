"""What tokens of one call cost, bucket by bucket, as `accounting.pricing` prices them; the bound reckons with these.

The one source of prices is `cost_usd`, which knows tiers, fast mode and factors: it is asked, not copied. The day is
that of the call where its time is one of the calendar, else today's prices hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from agentcache.accounting.pricing import cost_usd
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.model_facts import ModelFacts, Prices, facts_for

_MILLION = 10**6
_CALENDAR_S = (1e9, 1e11)
"""Times between these are Unix seconds (2001 to 5138); others are seconds since something that nobody knows."""

_Key = tuple[str, str | None, str | None, str | None, str | None, Prices]


def day_of(at_s: float) -> str | None:
    """Return the UTC day of a time as an ISO date; `None` when the time is not of the calendar."""
    begin_s, end_s = _CALENDAR_S
    return datetime.fromtimestamp(at_s, UTC).date().isoformat() if begin_s < at_s < end_s else None


def billed_part(facts: ModelFacts, request: JsonObject, usage: JsonObject | None) -> BilledPart:
    """Return a part of no tokens yet, with what modifies its price: the recorded reply's word, else the request's."""
    told = usage or {}
    return BilledPart(
        model=facts.model,
        usage=Usage(),
        service_tier=_text(told.get("service_tier")),
        speed=_text(told.get("speed")) or _text(request.get("speed")),
        inference_geo=_text(told.get("inference_geo")) or _text(request.get("inference_geo")),
    )


@dataclass(slots=True)
class ListPrices:
    """Prices per million tokens of each bucket, all modifiers applied."""

    _known: dict[_Key, Prices | None] = field(default_factory=dict)

    def of(self, part: BilledPart, *, on: str | None, prompt_tokens: int) -> Prices | None:
        """Return what tokens of a prompt of this length cost on a day; `None` when that is unknown."""
        standard = facts_for(part.model).prices_for(on=on, prompt_tokens=prompt_tokens, fast=part.speed == "fast")
        if standard is None:
            return None
        key = (part.model, on, part.speed, part.service_tier, part.inference_geo, standard)
        if key not in self._known:
            self._known[key] = _asked(part, on, max(1, prompt_tokens))
        return self._known[key]


def _asked(part: BilledPart, on: str | None, tokens: int) -> Prices | None:
    prompt = Usage(uncached_input_tokens=tokens)
    buckets = (
        prompt,
        Usage(cache_write_5m_tokens=tokens),
        Usage(cache_write_1h_tokens=tokens),
        Usage(cache_read_tokens=tokens),
        prompt + Usage(output_tokens=tokens),
    )
    costs = [cost_usd(replace(part, usage=usage), on=on) for usage in buckets]
    known = [cost * _MILLION / tokens for cost in costs if cost is not None]
    if len(known) < len(buckets):
        return None
    plain, write_5m, write_1h, read, with_answer = known
    return Prices(
        input_usd=plain, write_5m_usd=write_5m, write_1h_usd=write_1h, read_usd=read, output_usd=with_answer - plain
    )


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
