"""The calls that it takes to explain others, out of a database: each function is one look of a connection.

A look reads what is asked about and what may have left something in the cache for it, and not the whole ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from agentcache.accounting.usage import SIDE_KINDS, CallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.stores import rows
from agentcache.stores.schema import calls
from agentcache.stores.sql_selection import WITHOUT_TEXT, portions, with_nested


def calls_to_explain(
    connection: Connection, run_id: str | None, call_id: str | None, before_s: float
) -> list[CallRecord]:
    """Return the calls that `LedgerReader.calls_to_explain` speaks of."""
    own = _own(connection, run_id, call_id)
    if not own:
        return []
    models = sorted({row["model"] for row in own})
    first, last = own[0]["sent_at"] - before_s, own[-1]["sent_at"]
    same_models = calls.c.model.in_(models)
    found = {row["call_id"]: row for row in _read(connection, same_models, calls.c.sent_at.between(first, last))}
    known = (calls.c.uncached_input_tokens.is_not(None), calls.c.kind.not_in([kind.value for kind in SIDE_KINDS]))
    earlier = (*known, same_models, calls.c.sent_at < first)
    for row in (*_last_of_conversations(connection, own, earlier), *_last_of_agents(connection, own, earlier)):
        found[row["call_id"]] = row
    ordered = sorted(found.values(), key=lambda row: (row["sent_at"], row["call_id"]))
    return [rows.call_of(row) for row in ordered]


def requests(connection: Connection, call_ids: Collection[str]) -> dict[str, JsonObject]:
    """Return the requests that were kept, by call."""
    found: dict[str, JsonObject] = {}
    for portion in portions(sorted(call_ids)):
        asked = select(calls.c.call_id, calls.c.request).where(calls.c.call_id.in_(portion))
        found |= {row.call_id: row.request for row in connection.execute(asked) if row.request is not None}
    return found


def _own(connection: Connection, run_id: str | None, call_id: str | None) -> Sequence[RowMapping]:
    asked = select(calls.c.call_id, calls.c.model, calls.c.conversation, calls.c.agent, calls.c.sent_at)
    if run_id is not None:
        asked = asked.where(calls.c.run_id.in_(with_nested(run_id)))
    if call_id is not None:
        asked = asked.where(calls.c.call_id == call_id)
    return connection.execute(asked.order_by(calls.c.sent_at)).mappings().all()


def _last_of_conversations(
    connection: Connection, own: Sequence[RowMapping], earlier: Sequence[ColumnElement[bool]]
) -> Iterator[RowMapping]:
    names = sorted({row["conversation"] for row in own if row["conversation"] is not None})
    for portion in portions(names):
        newest = (
            select(calls.c.conversation, func.max(calls.c.sent_at).label("sent_at"))
            .where(calls.c.conversation.in_(portion), *earlier)
            .group_by(calls.c.conversation)
            .subquery()
        )
        asked = select(*WITHOUT_TEXT).join(
            newest, (calls.c.conversation == newest.c.conversation) & (calls.c.sent_at == newest.c.sent_at)
        )
        yield from connection.execute(asked).mappings()


def _last_of_agents(
    connection: Connection, own: Sequence[RowMapping], earlier: Sequence[ColumnElement[bool]]
) -> Iterator[RowMapping]:
    for agent, model in sorted({(row["agent"], row["model"]) for row in own if row["agent"] is not None}):
        asked = select(*WITHOUT_TEXT).where(calls.c.agent == agent, calls.c.model == model, *earlier)
        yield from connection.execute(asked.order_by(calls.c.sent_at.desc()).limit(1)).mappings()


def _read(connection: Connection, *chosen: ColumnElement[bool]) -> Iterator[RowMapping]:
    yield from connection.execute(select(*WITHOUT_TEXT).where(*chosen)).mappings()
