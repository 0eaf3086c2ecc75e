"""Rows as imports make them, for tests of what their bills, times and marks tell."""

from __future__ import annotations

from typing import Any

from agentcache.accounting.observed import RECORDED, Observed
from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallRecord, Usage

OPUS = "claude-opus-4-6"
SWITCHED = "claude-opus-4-5"
"""A model that is told a thinking budget, and keeps all thinking."""
STRIPPED = "claude-sonnet-4-5"
"""The same, of those whose earlier thinking the API takes out."""


def row(
    name: str,
    follows: str | None,
    at: float,
    *,
    read: int = 0,
    hour: int = 0,
    five: int = 0,
    uncached: int = 0,
    model: str = OPUS,
    session: str = "s",
    ended_at: float | None = None,
    **seen: Any,
) -> CallRecord:
    """Return the row of a call. at: seconds. seen: fields of `Observed`."""
    call = CallRecord(
        call_id=name,
        run_id=f"run of {session}",
        agent="claude-code",
        model=model,
        conversation=session,
        sent_at=1_770_000_000.0 + at,
        ended_at=None if ended_at is None else 1_770_000_000.0 + ended_at,
        usage=Usage(
            uncached_input_tokens=uncached,
            cache_read_tokens=read,
            cache_write_1h_tokens=hour,
            cache_write_5m_tokens=five,
            output_tokens=5,
        ),
        plan={RECORDED: Observed(follows=follows, **seen).to_json()},
    )
    return price_record(call)
