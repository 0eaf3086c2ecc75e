"""What it costs when the prompt is not read from the cache from some place on.

One breakpoint stands behind each layer. A character that varies rewrites everything from the block that holds it to
the end of the prefix: the loss counts those tokens for 1,000 calls, at what a write of five minutes costs more than a
read. Where a value varies once a session, the same number holds for 1,000 sessions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Loss
from agentcache.lint.prompt_tokens import PromptTokens
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.sections import Stability

CALLS = 1_000
"""Losses are told for so many calls."""


def loss_behind(
    examination: Examination, layer: Stability | Literal["tools"], section: str | None = None
) -> Loss | None:
    """Return what is lost when something in a layer, or in one of its sections, varies with every call.

    A breakpoint can be used only behind text that stays, so the loss begins where the section does, wherever in it the
    value stands. `None` where no model is known, or where nothing would be cached in the first place.
    """
    tokens = examination.tokens
    if tokens is None or tokens.prefix < tokens.facts.minimum_prefix_tokens:
        return None
    return rewritten(_behind(tokens, layer, section), tokens.facts)


def rewritten(tokens: int, facts: ModelFacts) -> Loss:
    """Return the loss of `tokens` that are written with each of 1,000 calls and could be read."""
    prices = facts.prices_for()
    total = tokens * CALLS
    if prices is None:
        return Loss(tokens=total, usd=None)
    return Loss(tokens=total, usd=_rounded(total * (prices.write_5m_usd - prices.read_usd) / _MILLION))


def read_for_nothing(tokens: int, facts: ModelFacts) -> Loss:
    """Return the loss of `tokens` that 1,000 calls read from the cache and need not send: they are paid, if little."""
    prices = facts.prices_for()
    total = tokens * CALLS
    return Loss(tokens=total, usd=None if prices is None else _rounded(total * prices.read_usd / _MILLION))


def never_read(tokens: int, facts: ModelFacts) -> Loss:
    """Return the loss of `tokens` that 1,000 calls pay in full since they are too few to be cached."""
    prices = facts.prices_for()
    total = tokens * CALLS
    usd = None if prices is None else _rounded(total * (prices.input_usd - prices.read_usd) / _MILLION)
    return Loss(tokens=total, usd=usd)


def in_words(loss: Loss | None, *, of: str = "calls") -> str:
    """Return a loss for the end of a message, empty where there is none: "; that is 1,200,000 tokens ($4.20) …"."""
    if loss is None or loss.tokens == 0:
        return ""
    dollars = "" if loss.usd is None else f", ${loss.usd:,.2f},"
    return f"; that is {loss.tokens:,} tokens{dollars} in {CALLS:,} {of}"


def _behind(tokens: PromptTokens, layer: Stability | Literal["tools"], section: str | None) -> int:
    if layer == "tools":
        return tokens.prefix
    at = next(
        (
            index
            for index, (rendered, _) in enumerate(tokens.sections)
            if rendered.layer is layer and section in {None, rendered.section}
        ),
        len(tokens.sections),
    )
    return sum(count for _, count in tokens.sections[at:])


def _rounded(usd: Decimal) -> Decimal:
    return usd.quantize(_CENT)


_MILLION = Decimal(1_000_000)
_CENT = Decimal("0.01")
