"""What a call costs at most, before it is sent: nothing of its prompt is found, and its answer is as long as allowed.

Every token up to the last breakpoint is then written, up to the last 1h one at the price of an hour (specification
5.3), the rest is uncached, and `max_tokens` come out. Which price tier the prompt falls into is looked up for the
worst length. Lengths of prompts are estimates, hence the margin.

Not foreseen, because no request of ours asks for it: searches and other tools of the server, summaries and advisors
that it bills beside a call, a workspace whose inference stays in the US (a tenth more).
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil

from agentcache.accounting.pricing import cost_usd, utc_day
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.accounting.weighing import weighted_tokens
from agentcache.errors import WorstCase
from agentcache.prompt.layout import Layout
from agentcache.prompt.plans import Plan

PROMPT_MARGIN = Fraction(5, 4)
"""How much longer than estimated a prompt may be, once `PROMPT_EXTRA_TOKENS` are added. Of 391 recorded requests (348
of the older tokenizer, 43 of the newer one) 389 were billed for less, and a test measures it again; the two others
were short. A document of many pages, whose length only the API knows, can go beyond too."""

PROMPT_EXTRA_TOKENS = 128
"""Short prompts are estimated worst, and a few tokens are a large part of them."""


def prompt_usage(layout: Layout, plan: Plan, *, found_tokens: int = 0, beside_tokens: int = 0) -> Usage:
    """Return how the prompt of a planned call is billed when the cache holds its first `found_tokens`.

    beside_tokens: what the API renders beside the blocks (a schema, thinking); it stands at the front, so it is
    written when anything is. All are estimates, and no token comes out.
    """
    last, hour = (
        max((point.prefix_tokens + beside_tokens for point in plan.kept if point.ttl in ttls), default=0)
        for ttls in (("5m", "1h"), ("1h",))
    )
    found = min(found_tokens + beside_tokens, last) if found_tokens else 0
    for_hour = max(0, hour - found)
    return Usage(
        cache_read_tokens=found,
        cache_write_1h_tokens=for_hour,
        cache_write_5m_tokens=last - found - for_hour,
        uncached_input_tokens=layout.total_tokens + beside_tokens - last,
    )


def worst_usage(layout: Layout, plan: Plan, *, max_tokens: int, beside_tokens: int = 0) -> Usage:
    """Return the most that a planned call can use: its prompt with the margin and not found, its answer whole."""
    cold = prompt_usage(layout, plan, beside_tokens=beside_tokens + PROMPT_EXTRA_TOKENS)
    return Usage(
        cache_write_1h_tokens=_with_margin(cold.cache_write_1h_tokens),
        cache_write_5m_tokens=_with_margin(cold.cache_write_5m_tokens),
        uncached_input_tokens=_with_margin(cold.uncached_input_tokens),
        output_tokens=max_tokens,
    )


def worst_case(usage: Usage, *, model: str, at_s: float) -> WorstCase:
    """Return what `usage` of `model` takes from a budget on the UTC day of `at_s` (Unix seconds)."""
    part = BilledPart(model=model, usage=usage)
    return WorstCase(tokens=weighted_tokens(part), usd=usage_usd(usage, model=model, at_s=at_s))


def usage_usd(usage: Usage, *, model: str, at_s: float) -> Decimal | None:
    """Return what `usage` of `model` costs on the UTC day of `at_s`; `None` for a model without prices."""
    return cost_usd(BilledPart(model=model, usage=usage), on=utc_day(at_s))


def _with_margin(tokens: int) -> int:
    return ceil(tokens * PROMPT_MARGIN)
