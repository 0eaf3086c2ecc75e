"""Rows that are priced anew and runs that are no longer kept: each function is one transaction's work on a connection.

The only places where what the ledger once said is changed or removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, func, or_, select, update
from sqlalchemy import delete as delete_from

from agentcache.accounting.usage import CallRecord
from agentcache.stores import rows, sql_provenance
from agentcache.stores.protocols import PrunedRuns
from agentcache.stores.schema import calls, runs, tool_calls
from agentcache.stores.seals import unseal

_PRICED = ("cost_usd", "counterfactual_usd")
_BILLED = (*rows.BUCKETS, "model", "sent_at", "parts")
"""What a price depends on: where one of them is not as it was read, the row was replaced meanwhile."""


def reprice(connection: Connection, repriced: Sequence[CallRecord], *, now: float) -> int:
    """Write the dollars of each call whose row still bills the same, and return how many there were."""
    changed = 0
    unseal(connection, min((call.sent_at for call in repriced), default=None), now=now)
    for call in repriced:
        row = rows.call_row(call)
        same = [calls.c[name] == row[name] for name in _BILLED]
        statement = update(calls).where(calls.c.call_id == call.call_id, *same)
        changed += connection.execute(statement.values({name: row[name] for name in _PRICED})).rowcount
    return changed


def prunable(connection: Connection, before: float) -> PrunedRuns:
    """Return how much `prune_runs` would remove."""
    ended = _ended_before(before)
    run_count = connection.execute(select(func.count()).select_from(ended.subquery())).scalar_one()
    call_count, tool_call_count = (
        connection.execute(select(func.count()).select_from(table).where(table.c.run_id.in_(ended))).scalar_one()
        for table in (calls, tool_calls)
    )
    return PrunedRuns(runs=run_count, calls=call_count, tool_calls=tool_call_count)


def prune_runs(connection: Connection, before: float, *, now: float) -> PrunedRuns:
    """Remove top-level runs that ended before, with all below them, and return how much that was."""
    # SQLite counts no rows of a statement with a recursive part, so they are counted first.
    gone, ended = prunable(connection, before), _ended_before(before)
    firsts = [
        connection.execute(select(func.min(column)).where(column.table.c.run_id.in_(ended))).scalar()
        for column in (calls.c.sent_at, tool_calls.c.started_at)
    ]
    unseal(connection, min((each for each in firsts if each is not None), default=None), now=now)
    for table in (tool_calls, calls, runs):
        connection.execute(delete_from(table).where(table.c.run_id.in_(ended)))
    sql_provenance.prune(connection, before)
    return gone


def _ended_before(before: float) -> Select[tuple[str]]:
    """Return the ids of runs whose whole tree, up to its top-level run and down to the last leaf, ended before."""
    top = select(runs.c.run_id.label("top"), runs.c.run_id, runs.c.ended_at).where(runs.c.parent_run_id.is_(None))
    tree = top.cte("tree", recursive=True)
    below = select(tree.c.top, runs.c.run_id, runs.c.ended_at).join(tree, runs.c.parent_run_id == tree.c.run_id)
    tree = tree.union_all(below)
    alive = select(tree.c.top).where(or_(tree.c.ended_at.is_(None), tree.c.ended_at >= before))
    return select(tree.c.run_id).where(tree.c.top.not_in(alive))
