"""Stretches of the ledger that have been summed up and need not be read again: seals.

A seal stands for the calls that were sent, and the tool calls that began, on one day in UTC; the newest one may stand
for the beginning of its day. It has the sums of the day, the same by hour and run, and what at its end was still open
of what calls had written. What is final about single writes (which tokens nobody read) stands in `wasted_writes`.

- *What may be sealed.* Whole hours that ended `LAG_S` ago: a row is written when its call ends, which may take long.
- *What breaks seals.* Each change of a row before the end of the newest seal removes, in its own transaction, the seals
  from that row's day on (`unseal`). They are made anew when a report is asked for.
- *Several processes.* One at a time seals or looks whether it breaks a seal: in SQLite since each transaction that
  writes takes the lock first, in PostgreSQL by an advisory lock that those who insert share. A seal is made from its
  rows in the transaction that stores it, so one that is not finished has changed nothing.
- *Another agentcache.* Seals say what they were made of: a version of these sums, and the prices that told which models
  have none. Others are not believed, and replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.exc import DBAPIError

from agentcache.accounting.call_sums import (
    HOUR_S,
    HOURS_OF_DAY,
    CallTable,
    ToolTable,
    add_calls,
    add_tools,
    calls_from_json,
    calls_to_json,
    tools_from_json,
    tools_to_json,
)
from agentcache.accounting.rollup import Rollup, take_calls, take_tools
from agentcache.accounting.selection import EVERYTHING
from agentcache.accounting.wasted_writes import Writes
from agentcache.prompt.model_facts import facts_digest
from agentcache.stores.billed_rows import asked_tool_calls, billed_calls
from agentcache.stores.database_errors import may_not_write
from agentcache.stores.databases import Database
from agentcache.stores.schema import calls, seals, tool_calls, wasted_writes

LAG_S = 7200.0
"""How long after an hour's end it may be sealed: longer than a call takes, so that its row is there by then."""

DAY_S = HOUR_S * HOURS_OF_DAY

_CALLS_AT_ONCE = 40_000
"""Calls that one transaction seals, about, so that others who write wait half a second and not a minute."""

_WAIT_S = 1.0
"""How long sealing waits for who locks the ledger: it saves a later report time, and this one is not to wait for it."""

_VERSION = 1
"""Goes up when sums, or what they count, change."""

_BEGAN = {"calls": "sent_at", "tool_calls": "started_at"}
"""The columns that say when a row of what is summed up began."""

_ADVISORY_LOCK = 4_276_110_932_118
"""Any constant, as in `migrations`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """From when to when a seal goes, in Unix seconds."""

    since: float
    until: float


def made_of() -> str:
    """Return what seals made here are made of."""
    return f"{_VERSION}:{facts_digest()}"


def valid_seals(connection: Connection) -> list[Stretch]:
    """Return the seals that can be believed, oldest first: all of them or, if another agentcache made one, none."""
    found = connection.execute(select(seals.c.since, seals.c.until, seals.c.made_of).order_by(seals.c.since)).all()
    if any(seal.made_of != made_of() for seal in found):
        return []
    return [Stretch(since=seal.since, until=seal.until) for seal in found]


def open_writes(connection: Connection, since: float) -> Writes:
    """Return what was open at the end of the seal that begins at `since`."""
    told = connection.execute(select(seals.c.open_writes).where(seals.c.since == since)).scalar_one()
    return Writes.from_json(json.loads(told))


def sums_of(connection: Connection, stretches: Iterable[Stretch], *, by_run: bool) -> Rollup:
    """Return the sums of seals: of whole days or, `by_run`, by hour and run."""
    rollup = Rollup()
    column = seals.c.run_sums if by_run else seals.c.day_sums
    wanted = [stretch.since for stretch in stretches]
    for start in range(0, len(wanted), 500):
        chunk = wanted[start : start + 500]
        for told in connection.execute(select(column).where(seals.c.since.in_(chunk))).scalars():
            of_calls, of_tools = json.loads(told)
            add_calls(rollup.calls, calls_from_json(of_calls).items())
            add_tools(rollup.tools, tools_from_json(of_tools).items())
    return rollup


async def seal_all(database: Database, *, now: float) -> bool:
    """Seal what is due, a stretch a transaction, and return whether that is done: not where nobody may write now.

    Nothing is written, and no lock is taken, where nothing is due.
    """
    try:
        while await database.read(lambda connection: is_due(connection, now=now)):
            await database.write(lambda connection: seal_next(connection, now=now), wait_s=_WAIT_S)
    except DBAPIError as error:
        if may_not_write(error):
            return False
        raise
    return True


def is_due(connection: Connection, *, now: float) -> bool:
    """Return whether there is something to seal at a time (Unix seconds)."""
    stretches = valid_seals(connection)
    return _next_end(connection, stretches[-1] if stretches else None, now) is not None


def seal_next(connection: Connection, *, now: float) -> bool:
    """Seal the next stretch and return whether there was one. Call it in a transaction that writes.

    now: Unix seconds.
    """
    _alone(connection)
    stretches = valid_seals(connection)
    if not stretches:
        _drop(connection, since=None)
    newest = stretches[-1] if stretches else None
    end = _next_end(connection, newest, now)
    if end is None:
        return False
    _seal(connection, newest, end)
    return True


def oldest_of(
    connection: Connection, written: Iterable[tuple[str, Mapping[str, object]]], replaced: Sequence[object] = ()
) -> float | None:
    """Return when the first of these rows began, or `None`.

    written: a row with the name of its table. replaced: ids of calls that may be there, from another time.
    """
    times = [cast("float", row[_BEGAN[table]]) for table, row in written if table in _BEGAN]
    if replaced:
        before = select(func.min(calls.c.sent_at)).where(calls.c.call_id.in_(replaced))
        times += [at for at in connection.execute(before).scalars() if at is not None]
    return min(times, default=None)


def unseal(connection: Connection, oldest: float | None, *, now: float) -> None:
    """Remove the seals that a change of rows makes wrong; `oldest` is when the first of them began, `None` if none is.

    Call it in the transaction that changes the rows. `now` is in Unix seconds: what began within the last hour is in
    no seal, on whatever machine that was made, as long as clocks are less than an hour apart.
    """
    if oldest is None or oldest > now - (LAG_S - HOUR_S):
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _ADVISORY_LOCK})
    newest = connection.execute(select(func.max(seals.c.until))).scalar()
    if newest is not None and oldest < newest:
        since = connection.execute(select(func.min(seals.c.since)).where(seals.c.until > oldest)).scalar_one()
        _drop(connection, since=since)


def _alone(connection: Connection) -> None:
    """Keep others from sealing and from changing rows meanwhile. SQLite's write transaction does that by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _drop(connection: Connection, *, since: float | None) -> None:
    """Remove the seals from `since` on, and what they found to be final; all of them for `None`."""
    kept, found = delete(seals), delete(wasted_writes)
    if since is not None:
        kept, found = kept.where(seals.c.since >= since), found.where(wasted_writes.c.sealed_since >= since)
    connection.execute(kept)
    connection.execute(found)


def _next_end(connection: Connection, newest: Stretch | None, now: float) -> Stretch | None:
    """Return the next stretch to seal: from the first row behind the newest seal to the end of its day, at most."""
    limit = (now - LAG_S) // HOUR_S * HOUR_S
    watermark = -1e300 if newest is None else newest.until
    firsts = [
        connection.execute(select(func.min(column)).where(column >= watermark)).scalar()
        for column in (calls.c.sent_at, tool_calls.c.started_at)
    ]
    first = min((each for each in firsts if each is not None), default=None)
    if first is None or first >= limit:
        return None
    since = first // HOUR_S * HOUR_S
    return Stretch(since=since, until=min(limit, since // DAY_S * DAY_S + DAY_S, _end_of_share(connection, since)))


def _end_of_share(connection: Connection, since: float) -> float:
    """Return the end of the hour in which the calls from `since` on are too many for one transaction."""
    asked = select(calls.c.sent_at).where(calls.c.sent_at >= since).order_by(calls.c.sent_at)
    at: float | None = connection.execute(asked.offset(_CALLS_AT_ONCE).limit(1)).scalar()
    return float("inf") if at is None else at // HOUR_S * HOUR_S + HOUR_S


def _seal(connection: Connection, newest: Stretch | None, next_: Stretch) -> None:
    """Sum a stretch up; store it as the seal of its day, or in the one that there is."""
    day = next_.since // DAY_S * DAY_S
    writes = Writes() if newest is None else open_writes(connection, newest.since)
    rollup = Rollup()
    grows = newest is not None and newest.since == day
    if grows:
        rollup = sums_of(connection, [Stretch(since=day, until=next_.since)], by_run=True)
    take_calls(rollup, billed_calls(connection, since=next_.since, until=next_.until), writes, EVERYTHING)
    take_tools(rollup, asked_tool_calls(connection, since=next_.since, until=next_.until), EVERYTHING)
    writes.sweep(next_.until)
    found = [
        {
            "call_id": item.call_id,
            "sealed_since": day,
            "sent_at": item.sent_at,
            "hour": int(item.sent_at // HOUR_S),
            "run_id": item.run_id,
            "agent": item.agent,
            "model": item.model,
            "tokens": item.wasted_tokens,
        }
        for item in writes.closed()
        if item.wasted_tokens
    ]
    if found:
        connection.execute(wasted_writes.insert(), found)
    if grows:
        connection.execute(delete(seals).where(seals.c.since == day))
    row = {
        "since": day,
        "until": next_.until,
        "made_of": made_of(),
        "day_sums": _text(*_of_days(rollup)),
        "run_sums": _text(rollup.calls, rollup.tools),
        "open_writes": json.dumps(writes.to_json(), separators=(",", ":")),
    }
    connection.execute(seals.insert(), row)


def _of_days(rollup: Rollup) -> tuple[CallTable, ToolTable]:
    of_calls: CallTable = {}
    of_tools: ToolTable = {}
    add_calls(of_calls, ((key.of_day(), sums) for key, sums in rollup.calls.items()))
    add_tools(of_tools, ((key.of_day(), sums) for key, sums in rollup.tools.items()))
    return of_calls, of_tools


def _text(of_calls: CallTable, of_tools: ToolTable) -> str:
    return json.dumps([calls_to_json(of_calls), tools_to_json(of_tools)], separators=(",", ":"))
