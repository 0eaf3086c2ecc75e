"""The few columns of the ledger that summing up reads, as plain tuples: a million rows take seconds, not a minute.

JSON is parsed where it says something only: a plan for a call that wrote up to several breakpoints, parts for one
that has no price.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias, cast

from sqlalchemy import Connection, text

from agentcache.accounting.billed_calls import AskedToolCall, BilledCall, SentCall, kept_tokens, unpriced_models
from agentcache.accounting.call_gaps import GAP_SPANS, LONGER, GapCount, gap_counts
from agentcache.accounting.selection import Selection
from agentcache.accounting.tool_summary import ToolResult
from agentcache.accounting.usage import SIDE_KINDS, BilledPart
from agentcache.stores.rows import part_of

_CALLS = """
    SELECT call_id, run_id, kind, agent, model, conversation, sent_at, error IS NOT NULL,
        uncached_input_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens,
        cost_usd, counterfactual_usd, held_s, held_saved_usd, prefix_digests, found_digests,
        CASE WHEN cache_write_5m_tokens + cache_write_1h_tokens > 0 AND prefix_digests LIKE '%,%' THEN plan END,
        CASE WHEN cost_usd IS NULL AND uncached_input_tokens IS NOT NULL THEN parts END
    FROM calls WHERE sent_at >= :since AND sent_at < :until ORDER BY sent_at, call_id{binary}
"""

_TOOL_CALLS = """
    SELECT tool_calls.started_at, COALESCE(calls.run_id, tool_calls.run_id), tool_calls.agent, tool_calls.memo_hit,
        calls.call_id IS NOT NULL, calls.uncached_input_tokens IS NOT NULL, calls.agent, COALESCE(calls.model, '')
    FROM tool_calls LEFT JOIN calls ON calls.call_id = tool_calls.call_id
    WHERE tool_calls.started_at >= :since AND tool_calls.started_at < :until
"""

_SENT = """
    SELECT sent_at, run_id, kind, agent, model, conversation, cost_usd
    FROM calls WHERE sent_at >= :since AND sent_at < :until ORDER BY sent_at
"""

_PAUSES = """
    SELECT CASE {spans} ELSE '{longer}' END, COUNT(*) FROM (
        SELECT sent_at - LAG(sent_at) OVER (
            PARTITION BY agent, model, conversation, CASE WHEN conversation IS NULL THEN run_id END ORDER BY sent_at
        ) AS gap_s
        FROM calls WHERE kind NOT IN ('compaction', 'advisor') AND sent_at >= :since AND sent_at < :until{conditions}
    ) AS gaps WHERE gap_s IS NOT NULL GROUP BY 1
"""

_RESULTS = """
    SELECT tool_call_id, tool, tool_calls.agent, started_at, tool_calls.ended_at, outcome, memo_hit,
        memo_tier, memo_saved_s, result_bytes, result_tokens, result_digest
    FROM tool_calls{asked} WHERE started_at >= :since AND started_at < :until{conditions}
"""

_BEGINNING, _END = -1e300, 1e300
"""Times before and after all others, as both databases take them."""

_BINARY = {"postgresql": ' COLLATE "C"'}
"""What makes a database sort texts as Python does. SQLite does so unless told otherwise."""

_ROWS_AT_ONCE = 1000
"""Rows that are fetched at a time."""

_KEPT = '"kept":'
"""How the list of kept breakpoints begins in a plan. No text in it can: quotes in texts are escaped."""

_DECODER = json.JSONDecoder()

_CallRow: TypeAlias = tuple[
    str, str, str, str | None, str, str | None, float, bool,
    int | None, int, int, int, int,
    str | None, str | None, str | None, str | None, str, str,
    str | None,
    str | None,
]  # fmt: skip


def billed_calls(connection: Connection, *, since: float | None, until: float | None) -> Iterator[BilledCall]:
    """Return the calls that were sent from `since` on and before `until`, in the order of `(sent_at, call_id)`."""
    asked = text(_CALLS.format(binary=_BINARY.get(connection.dialect.name, "")))
    found = connection.execute(asked.execution_options(yield_per=_ROWS_AT_ONCE), _span(since, until))
    for rows in found.partitions(_ROWS_AT_ONCE):
        yield from map(_call, cast("Sequence[_CallRow]", rows))


def asked_tool_calls(connection: Connection, *, since: float | None, until: float | None) -> Iterator[AskedToolCall]:
    """Return the tool calls that began from `since` on and before `until`, in any order."""
    for at, run_id, agent, memo_hit, is_known, is_billed, asked_by, model in connection.execute(
        text(_TOOL_CALLS), _span(since, until)
    ):
        yield AskedToolCall(at, run_id, agent, bool(memo_hit), bool(is_known), bool(is_billed), asked_by, model)


def sent_calls(connection: Connection, *, since: float | None, until: float | None) -> list[SentCall]:
    """Return the calls that were sent from `since` on and before `until`, by the time they were sent."""
    rows = connection.execute(text(_SENT), _span(since, until))
    return [
        SentCall(at, run_id, kind, agent, model, conversation, None if cost is None else Decimal(cost))
        for at, run_id, kind, agent, model, conversation, cost in rows
    ]


def sent_span(connection: Connection, only: Selection) -> tuple[float, float] | None:
    """Return when the first and the last call that count were sent; `None` without any."""
    conditions, named = _conditions(only, "agent", "model")
    asked = "SELECT MIN(sent_at), MAX(sent_at) FROM calls WHERE sent_at >= :since AND sent_at < :until"
    first, last = connection.execute(text(asked + conditions), named).one()
    return None if first is None else (first, last)


def pauses(connection: Connection, only: Selection) -> tuple[GapCount, ...]:
    """Return the gaps between the calls that count, as `gap_histogram` does, counted by the database."""
    conditions, named = _conditions(only, "agent", "model")
    spans = " ".join(f"WHEN gap_s <= {upto_s} THEN '{span}'" for span, upto_s in GAP_SPANS.items())
    found = connection.execute(text(_PAUSES.format(spans=spans, longer=LONGER, conditions=conditions)), named)
    return gap_counts({span: int(gaps) for span, gaps in found})


def _conditions(only: Selection, agent: str, model: str) -> tuple[str, dict[str, float | str]]:
    """Return the conditions of a selection on these columns, and their values; times are `_span`'s."""
    named: dict[str, float | str] = {**_span(only.since, only.until)}
    if only.agent is not None:
        named["agent"] = only.agent
    if only.model is not None:
        named["model"] = only.model
    told = ((column, name) for column, name in ((agent, "agent"), (model, "model")) if name in named)
    return "".join(f" AND {column} = :{name}" for column, name in told), named


def tool_results(connection: Connection, only: Selection) -> list[ToolResult]:
    """Return the tool calls that count, in any order."""
    asked = "" if only.model is None else " JOIN calls ON calls.call_id = tool_calls.call_id"
    conditions, named = _conditions(only, "tool_calls.agent", "calls.model")
    statement = text(_RESULTS.format(asked=asked, conditions=conditions))
    return list(map(ToolResult._make, connection.execute(statement, named)))


def _span(since: float | None, until: float | None) -> dict[str, float]:
    return {"since": _BEGINNING if since is None else since, "until": _END if until is None else until}


def _call(row: _CallRow) -> BilledCall:
    (
        call_id, run_id, kind, agent, model, conversation, sent_at, failed,
        uncached, written_5m, written_1h, read, output,
        cost, counterfactual, held, saved, prefix, found, plan, parts,
    ) = row  # fmt: skip
    return BilledCall(
        call_id,
        run_id,
        kind,
        agent,
        model,
        conversation,
        sent_at,
        bool(failed),
        None if uncached is None else (uncached, written_5m, written_1h, read, output),
        None if cost is None else Decimal(cost),
        None if counterfactual is None else Decimal(counterfactual),
        None if held is None else _held(held),
        None if saved is None else Decimal(saved),
        _digests(prefix),
        _digests(found),
        {} if plan is None else _kept(plan),
        () if parts is None else unpriced_models(model, _own_parts(parts, kind)),
    )


def _held(told: str) -> Mapping[str, float]:
    return {} if told == "{}" else cast("dict[str, float]", json.loads(told))


def _digests(told: str) -> Sequence[str]:
    if told == "[]":
        return ()
    if "\\" in told:
        return cast("list[str]", json.loads(told))
    return told[2:-2].split('","')  # canonical JSON of strings that need no escape, read in a sixth of the time


def _kept(plan: str) -> dict[str, int]:
    start = plan.find(_KEPT)
    if start < 0:
        return {}
    kept, _ = _DECODER.raw_decode(plan, start + len(_KEPT))
    try:
        return {point["digest"]: point["tokens"] for point in kept}
    except (KeyError, TypeError):
        return kept_tokens({"kept": kept})  # of a plan of another shape, what can be told


def _own_parts(told: str, kind: str) -> Sequence[BilledPart]:
    """Return the parts that belong to the row itself, as `CallRecord.own_parts` does; empty where it names none."""
    parts = [part_of(part) for part in json.loads(told)]
    return parts if kind in SIDE_KINDS else [part for part in parts if part.kind not in SIDE_KINDS]
