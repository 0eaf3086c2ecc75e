"""Rows that may be there already: what is inserted, or changed where it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import Insert

from agentcache.stores import schema
from agentcache.stores.inserts import insert_or_change, insert_or_leave


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserts:
    """Statements for rows that may be there already, in the words of one database."""

    reopen_run: Insert
    put_call: Insert
    ensure_tool_call: Insert


@cache
def upserts(dialect: str) -> Upserts:
    """Return the statements for `sqlite` or `postgresql`."""
    again = ("ended_at", "status", "error")
    replaced = tuple(column.name for column in schema.calls.columns if column.name != "call_id")
    return Upserts(
        reopen_run=insert_or_change("runs", dialect, key=("run_id",), changing=again),
        put_call=insert_or_change("calls", dialect, key=("call_id",), changing=replaced),
        ensure_tool_call=insert_or_leave("tool_calls", dialect, key=("tool_call_id",)),
    )
