"""A summary as text that programs read, and the sentences that go with its numbers.

Decides wording and order only; every number is the summary's own.
"""

from __future__ import annotations

import json
from decimal import Decimal

from agentcache.accounting.layers import LayerSummary
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.summary import Summary
from agentcache.accounting.tool_summary import ToolSummary
from agentcache.accounting.waiting import Waiting
from agentcache.visible import visible_json

_CENT, _TENTH_OF_A_MILL = Decimal("0.01"), Decimal("0.0001")
_TOLD_FROM_S = 1.0
"""Calls that were held for less than this in all, nobody waited for; the JSON has them."""


def to_json(summary: Summary | ToolSummary | LayerSummary) -> str:
    """Return the report JSON of docs/formats.md: indented by two, keys in a fixed order, no newline at the end.

    By tool the rows have the fields of `ToolRow.to_json`, by layer those of `LayerRow.to_json`. Characters that show
    nothing are escapes, as `visible_json` writes them.
    """
    return visible_json(json.dumps(summary.to_json(), indent=2, ensure_ascii=False, allow_nan=False))


def notes(summary: Summary) -> tuple[str, ...]:
    """Return what a reader must know beside the numbers, a sentence each; empty when there is nothing to add."""
    total = summary.total
    told = []
    if summary.unpriced_models:
        models = ", ".join(summary.unpriced_models)
        told.append(f"unpriced: {models} (no known price); sums with ≥ leave those calls out.")
    if summary.unknown_usage_calls:
        told.append(
            f"{_calls(summary.unknown_usage_calls)} of unknown usage: the server never said what it billed; "
            "sums with ≥ leave that out."
        )
    if total.errors:
        told.append(f"{_calls(total.errors)} ended in an error.")
    if total.wasted_write_tokens:
        told.append(f"{total.wasted_write_tokens:,} written tokens were not read again (estimate).")
    if total.memo_hits:
        told.append(f"{total.memo_hits:,} of {total.tool_calls:,} tool calls were answered from the memo.")
    if summary.waiting.held_s >= _TOLD_FROM_S:
        told.append(_waiting(summary.waiting))
    return tuple(told)


def _waiting(waiting: Waiting) -> str:
    """Return how long calls were held back and what that saved."""
    spans = f"{waiting.median_s:,.1f} s in the median, {waiting.held_s:,.1f} s in all"
    held = f"held {_calls(waiting.held_calls)} back {spans}"
    if waiting.saved_usd is None:
        return f"{held}; what that saved is not known: a model has no price."
    dollars = waiting.saved_usd.quantize(_CENT if waiting.saved_usd >= 1 else _TENTH_OF_A_MILL)
    return f"{held}; saved ${plain_usd(dollars)} (estimate)."


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number:,} calls"
