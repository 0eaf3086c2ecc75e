"""Rows that may be there already: what is inserted, or changed where it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite

from agentcache.stores import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserts:
    """Statements for rows that may be there already, in the words of one database."""

    reopen_run: Insert
    put_call: Insert
    ensure_tool_call: Insert


@cache
def upserts(dialect: str) -> Upserts:
    """Return the statements for `sqlite` or `postgresql`."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    run, call, tool_call = insert(schema.runs), insert(schema.calls), insert(schema.tool_calls)
    again = ("ended_at", "status", "error")
    replaced = [column.name for column in schema.calls.columns if column.name != "call_id"]
    return Upserts(
        reopen_run=run.on_conflict_do_update(
            index_elements=["run_id"], set_={name: run.excluded[name] for name in again}
        ),
        put_call=call.on_conflict_do_update(
            index_elements=["call_id"], set_={name: call.excluded[name] for name in replaced}
        ),
        ensure_tool_call=tool_call.on_conflict_do_nothing(index_elements=["tool_call_id"]),
    )
