"""A summary as text that programs read, and the sentences that go with its numbers.

Decides wording and order only; every number is the summary's own.
"""

from __future__ import annotations

import json

from agentcache.accounting.summary import Summary


def to_json(summary: Summary) -> str:
    """Return the report JSON of DESIGN section 7: indented by two, keys in a fixed order, no newline at the end."""
    return json.dumps(summary.to_json(), indent=2, ensure_ascii=False, allow_nan=False)


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
    return tuple(told)


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number:,} calls"
