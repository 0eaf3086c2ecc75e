"""Rows of the ledger as JSON lines, for other programs: one object a line, its `kind` first.

`kind` is `run`, `call` or `tool_call`; the other keys are the fields of the record in their order, so that the same
row is always the same line. A call's own kind (`message`, `warm`, …) stands under `call_kind`. Dollars are text that
parses as a decimal, times Unix seconds, and what is unknown is null. Text of prompts and answers is there only where
the ledger keeps it.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.record_json import call_to_json
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord


def row_line(row: RunRecord | CallRecord | ToolCallRecord) -> str:
    """Return a row as a line of ASCII, without its line end."""
    match row:
        case RunRecord():
            told: dict[str, object] = {"kind": "run", **asdict(row), "status": row.status.value}
        case CallRecord():
            told = _call(row)
        case ToolCallRecord():
            told = {"kind": "tool_call", **asdict(row)}
    return json.dumps(told, separators=(",", ":"), allow_nan=False)


def _call(row: CallRecord) -> dict[str, object]:
    told: dict[str, object] = {"kind": "call", **call_to_json(row)}
    told["kind"], told["call_kind"] = "call", row.kind.value
    for name in ("cost_usd", "counterfactual_usd", "held_saved_usd"):
        amount = getattr(row, name)
        told[name] = None if amount is None else plain_usd(amount)
    return told
