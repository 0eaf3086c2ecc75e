"""Whether a collection of tools is sent whole or deferred to the API's tool search: a sum over one conversation.

Sent whole, every definition is written once and read with every call. Deferred, none of them is in the prompt; for
that each search is a round of inference of its own, and what it finds is written and read like any message. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.payoff import Rates

CALLS = 12
"""Model calls of the conversation that the sum is made for."""
SEARCHES = 2
"""Tool searches in it."""
FOUND_TOOLS = 5
"""The most definitions that one search brings (page tool-search-tool of platform.claude.com: three to five)."""
QUERY_TOKENS = 60
"""What the model says to ask for a search."""
PROMPT_TOKENS = 10_000
"""The prompt that the round behind a search reads again."""
MARGIN = 2.0
"""How many times less deferring must cost: a search takes time, and a tool that it does not find is not used."""
_USUAL_OUTPUT_RATE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """Whether a collection is deferred; `reason` has the sum, in units of one uncached token."""

    defer: bool
    reason: str


def choose_deferral(tool_tokens: Sequence[int], facts: ModelFacts) -> Deferral:
    """Return what to do with definitions of these lengths.

    A model without an entry in the facts table keeps them all: nobody knows whether it can search.
    """
    if not facts.known:
        return Deferral(defer=False, reason="nobody knows whether this model takes deferred tools")
    rates, total = Rates.of(facts, prompt_tokens=PROMPT_TOKENS), sum(tool_tokens)
    kept = total * (rates.write_5m + rates.read * (CALLS - 1))
    found = sum(sorted(tool_tokens)[-FOUND_TOOLS:])
    search = (
        QUERY_TOKENS * _output_rate(facts)
        + (QUERY_TOKENS + found) * rates.write_5m
        + found * rates.read * CALLS / 2
        + PROMPT_TOKENS * rates.read
    )
    deferred = SEARCHES * search
    sums = f"{len(tool_tokens)} definitions of {total:,} tokens cost {kept:,.0f} sent whole, {deferred:,.0f} deferred"
    assumed = f"{CALLS} calls, {SEARCHES} searches; deferring must cost {MARGIN:g} times less"
    return Deferral(defer=kept > MARGIN * deferred, reason=f"{sums} ({assumed})")


def _output_rate(facts: ModelFacts) -> float:
    prices = facts.prices_for(prompt_tokens=PROMPT_TOKENS)
    return _USUAL_OUTPUT_RATE if prices is None else float(prices.output_usd / prices.input_usd)
