"""What a summary is made of, from seals where there are some and from rows where not: one read of one state.

A seal counts whole where all of it is asked about, and by its hours where a part is; of an hour of which a part is
asked about, rows are read. Everything behind the newest seal is read, whatever is asked, since it may have read what
was written before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, func, literal, select, text

from agentcache.accounting.call_sums import HOUR_S, HOURS_OF_DAY, CallKey, CallSums, add_calls, add_tools
from agentcache.accounting.rollup import Rollup, take_calls, take_tools
from agentcache.accounting.selection import Selection
from agentcache.accounting.wasted_writes import Writes
from agentcache.stores.billed_rows import asked_tool_calls, billed_calls
from agentcache.stores.schema import wasted_writes
from agentcache.stores.seals import Stretch, open_writes, sums_of, valid_seals


def rollup_of(connection: Connection, only: Selection, *, by_run: bool) -> Rollup:
    """Return the sums of what counts, by hour and run if `by_run`; else some of them are of whole days and all runs.

    Call it in a transaction that has read nothing yet.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    stretches = valid_seals(connection)
    watermark = stretches[-1].until if stretches else None
    writes = open_writes(connection, stretches[-1].since) if stretches else Writes()
    rollup = Rollup() if watermark is None else _sealed(connection, stretches, watermark, only, by_run=by_run)
    take_calls(rollup, billed_calls(connection, since=watermark, until=None), writes, only)
    take_tools(rollup, asked_tool_calls(connection, since=watermark, until=None), only)
    rollup.waste((*writes.closed(), *writes.open()), only)
    return rollup


def _sealed(
    connection: Connection, stretches: Sequence[Stretch], watermark: float, only: Selection, *, by_run: bool
) -> Rollup:
    """Return what counts of what was sent, and began, before `watermark`, the end of the newest seal."""
    since = -1e300 if only.since is None else only.since
    until = min(watermark, watermark if only.until is None else only.until)
    rollup = Rollup()
    whole = [each for each in stretches if since <= each.since and each.until <= until]
    parts = [each for each in stretches if each not in whole and since < each.until and each.since < until]
    _add(rollup, sums_of(connection, whole, by_run=by_run), only, -1e300, 1e300)
    _add(rollup, sums_of(connection, parts, by_run=True), only, since, until)
    for start, end in _edges(since, until):
        take_calls(rollup, billed_calls(connection, since=start, until=end), None, only)
        take_tools(rollup, asked_tool_calls(connection, since=start, until=end), only)
    _add_waste(connection, rollup, only, by_run=by_run)
    return rollup


def _add(rollup: Rollup, sealed: Rollup, only: Selection, since: float, until: float) -> None:
    """Add the sums that count of the hours that lie wholly between two times."""
    named = replace(only, since=None, until=None)

    def has(hour: int, agent: str | None, model: str | None) -> bool:
        return since <= hour * HOUR_S and (hour + 1) * HOUR_S <= until and named.has(agent, model, 0.0)

    calls = ((key, sums) for key, sums in sealed.calls.items() if has(key.hour, key.agent, key.model))
    add_calls(rollup.calls, calls)
    tools = sealed.tools.items()
    model_of = {key: key.asked_model if key.is_known else None for key, _ in tools}
    add_tools(rollup.tools, ((key, sums) for key, sums in tools if has(key.hour, key.agent, model_of[key])))


def _edges(since: float, until: float) -> Iterator[tuple[float, float]]:
    """Return the parts of hours at both ends of a span."""
    first, last = -(-since // HOUR_S) * HOUR_S, until // HOUR_S * HOUR_S
    if since >= until:
        return
    if first > last:
        yield since, until
        return
    if since < first:
        yield since, first
    if last < until:
        yield last, until


def _add_waste(connection: Connection, rollup: Rollup, only: Selection, *, by_run: bool) -> None:
    """Add what closed writes wasted, added up by the database."""
    column, table = wasted_writes.c, rollup.calls
    unit, runs = (column.hour, column.run_id) if by_run else (column.hour // HOURS_OF_DAY * HOURS_OF_DAY, literal(""))
    asked = select(unit, runs, column.agent, column.model, func.sum(column.tokens)).group_by(
        unit, *([column.run_id] if by_run else []), column.agent, column.model
    )
    for hour, run_id, agent, model, tokens in connection.execute(asked.where(*_conditions(only))):
        key = CallKey(hour, run_id, agent, model, True)
        add_calls(table, [(key, CallSums(wasted_tokens=int(tokens)))])


def _conditions(only: Selection) -> list[ColumnElement[bool]]:
    column = wasted_writes.c
    conditions: list[ColumnElement[bool]] = []
    if only.since is not None:
        conditions.append(column.sent_at >= only.since)
    if only.until is not None:
        conditions.append(column.sent_at < only.until)
    if only.agent is not None:
        conditions.append(column.agent == only.agent)
    if only.model is not None:
        conditions.append(column.model == only.model)
    return conditions
