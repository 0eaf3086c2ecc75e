"""What the ledger has summed up for good is what its rows come to, whatever happens to them."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.billed_calls import sent_call
from agentcache.accounting.call_gaps import gap_histogram
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.summary import Grouping, Summary, summarise, summary_of
from agentcache.accounting.tool_summary import tool_result
from agentcache.accounting.usage import CallRecord, RunStatus, ToolCallRecord, Usage
from agentcache.errors import StoreError
from agentcache.stores import seals
from agentcache.stores.opening import open_ledger
from agentcache.stores.protocols import Ledger
from tests.traffic import BEGAN, DAY_S, HOUR_S, RUNS, times, traffic

GROUPINGS: tuple[Grouping, ...] = ("agent", "model", "day", "run")
LATER = BEGAN + 10 * DAY_S
WRITTEN = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="a",
    model="claude-sonnet-5-5",
    sent_at=BEGAN + 10.0,
    usage=Usage(cache_write_5m_tokens=500, output_tokens=3),
    cost_usd=Decimal("0.1"),
    counterfactual_usd=Decimal("0.2"),
    prefix_digests=("p1:a",),
    held_s={},
)
READ = replace(
    WRITTEN,
    call_id="call_2",
    agent="b",
    sent_at=BEGAN + 100.0,
    usage=Usage(cache_read_tokens=500),
    found_digests=("p1:a",),
    prefix_digests=(),
)
ASKED = ToolCallRecord(
    tool_call_id="tool_1",
    run_id="run_1",
    agent="a",
    call_id="call_1",
    tool="look_up",
    started_at=BEGAN + 20.0,
    ended_at=BEGAN + 21.0,
    outcome="ok",
    memo_hit=True,
)


async def fill(ledger: Ledger, calls: Sequence[CallRecord], tools: Sequence[ToolCallRecord] = ()) -> None:
    for run in RUNS:
        await ledger.reopen_run(run)
    await asyncio.gather(*map(ledger.put_call, calls), *map(ledger.ensure_tool_call, tools))


async def told(ledger: Ledger, by: Grouping = "agent", only: Selection = EVERYTHING) -> Summary:
    return summary_of(await ledger.rollup(only=only, by_run=by == "run"), by=by, runs=await ledger.runs())


async def of_rows(ledger: Ledger, by: Grouping = "agent", only: Selection = EVERYTHING) -> Summary:
    return summarise(await ledger.calls(), await ledger.tool_calls(), by=by, runs=await ledger.runs(), only=only)


# --- what is sealed comes to what its rows come to --------------------------------------------------------------------


QUESTIONS = (
    EVERYTHING,
    Selection(agent="a"),
    Selection(model="claude-sonnet-5-5"),
    Selection(since=BEGAN + 11.0),
    Selection(since=BEGAN + DAY_S),
    Selection(until=BEGAN + 15.0),
    Selection(since=BEGAN + 11.0, until=BEGAN + 12.0),
    Selection(agent="b", since=BEGAN + 50.0, until=BEGAN + DAY_S + 1),
)


async def test_seals_answer_every_question_as_the_rows_do(ledger: Ledger):
    tomorrow = [replace(call, call_id=f"{call.call_id}b", sent_at=call.sent_at + DAY_S) for call in (WRITTEN, READ)]
    await fill(ledger, [WRITTEN, READ, *tomorrow], [ASKED])

    assert await ledger.seal(now=LATER)

    for by, only in product(GROUPINGS, QUESTIONS):
        assert await told(ledger, by, only) == await of_rows(ledger, by, only), (by, only)


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without rows, to be copied: that takes a tenth of what its tables take to be made."""
    path = tmp_path_factory.mktemp("empty") / "ledger.db"

    async def make() -> None:
        await (await open_ledger(str(path))).close()

    asyncio.run(make())
    return path


_changes = st.lists(
    st.one_of(
        st.tuples(st.just("seal"), times),
        st.tuples(st.just("write"), st.integers(1, 5)),
        st.tuples(st.just("reprice"), st.integers(0, 13)),
        st.tuples(st.just("move"), st.integers(0, 13)),
        st.tuples(st.just("prune"), st.just(None)),
    ),
    max_size=8,
)
_selections = st.builds(
    Selection,
    agent=st.sampled_from([None, "a"]),
    model=st.sampled_from([None, "acme-9"]),
    since=st.none() | times,
    until=st.none() | times,
)


@given(drawn=traffic(), changes=_changes, only=_selections, by=st.sampled_from(GROUPINGS), order=st.randoms())
@settings(max_examples=40)  # a database each
def test_whatever_is_written_and_sealed_in_whatever_order(empty_file, drawn, changes, only, by, order):
    async def one() -> tuple[Summary, Summary]:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(empty_file, f"{folder}/ledger.db")
            ledger = await open_ledger(f"{folder}/ledger.db")
            waiting = [*drawn[0], *drawn[1]]
            order.shuffle(waiting)
            await fill(ledger, ())
            for what, value in changes:
                await _change(ledger, what, value, waiting)
            await _change(ledger, "write", len(waiting), waiting)
            both = await told(ledger, by, only), await of_rows(ledger, by, only)
            await ledger.close()
            return both

    summed, read = asyncio.run(one())

    assert summed == read


async def _change(ledger: Ledger, what: str, value: float | None, waiting: list[CallRecord | ToolCallRecord]) -> None:
    calls = await ledger.calls()
    if what == "seal":
        await ledger.seal(now=float(value or 0.0))
    elif what == "write":
        for row in [waiting.pop() for _ in range(min(int(value or 0), len(waiting)))]:
            await (ledger.put_call(row) if isinstance(row, CallRecord) else ledger.add_tool_call(row))
    elif what == "prune":
        await ledger.finish_run("run_3", ended_at=BEGAN, status=RunStatus.FINISHED)
        await ledger.prune_runs(before=BEGAN + 1)
        await ledger.reopen_run(RUNS[2])
    elif int(value or 0) < len(calls):
        call = calls[int(value or 0)]
        if what == "move":
            await ledger.put_call(replace(call, sent_at=call.sent_at + DAY_S))
        else:
            await ledger.reprice_calls([call.with_costs(Decimal("0.125"), Decimal("0.25"))])


async def test_sealing_reads_no_row_twice(tmp_path: Path):
    """Rows that vanish behind the ledger's back still count: their sums are what is read."""
    ledger = await open_ledger(f"{tmp_path}/ledger.db")
    await fill(ledger, [WRITTEN, READ], [ASKED])
    before = await told(ledger)
    await ledger.seal(now=LATER)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as raw, raw:
        raw.execute("DELETE FROM tool_calls")
        raw.execute("DELETE FROM calls")

    assert await told(ledger) == before
    await ledger.close()


async def test_what_was_written_in_a_sealed_day_may_be_read_on_the_next(ledger: Ledger):
    late = replace(WRITTEN, sent_at=BEGAN + DAY_S - 10.0)
    await fill(ledger, [late])
    await ledger.seal(now=BEGAN + DAY_S + seals.LAG_S)
    assert (await told(ledger)).total.wasted_write_tokens == 500

    await fill(ledger, [replace(READ, sent_at=BEGAN + DAY_S + 10.0)])

    assert (await told(ledger)).total.wasted_write_tokens == 0


async def test_the_last_hours_are_left_for_rows_that_come_late(tmp_path: Path):
    ledger = await open_ledger(f"{tmp_path}/ledger.db")
    await fill(ledger, [WRITTEN])

    await ledger.seal(now=BEGAN + seals.LAG_S + HOUR_S - 1)
    assert _sealed_until(tmp_path) == []
    await ledger.seal(now=BEGAN + seals.LAG_S + HOUR_S)
    assert _sealed_until(tmp_path) == [BEGAN + HOUR_S]
    await ledger.close()


async def test_a_ledger_that_is_written_to_seals_once_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ledger = await open_ledger(f"{tmp_path}/ledger.db")
    await fill(ledger, [WRITTEN])
    assert _sealed_until(tmp_path) == []

    hour_later = time.time() + HOUR_S
    monkeypatch.setattr(time, "time", lambda: hour_later)
    await ledger.add_call(replace(READ, sent_at=hour_later))
    await ledger.close()

    assert _sealed_until(tmp_path) == [BEGAN + DAY_S]


# --- what breaks seals ------------------------------------------------------------------------------------------------


async def _add_late(ledger: Ledger) -> None:
    await ledger.add_call(replace(READ, call_id="late"))


async def _add_late_tool(ledger: Ledger) -> None:
    await ledger.add_tool_call(replace(ASKED, tool_call_id="late"))


async def _reprice(ledger: Ledger) -> None:
    await ledger.reprice_calls([WRITTEN.with_costs(Decimal(7), Decimal(8))])


async def _move(ledger: Ledger) -> None:
    await ledger.put_call(replace(WRITTEN, sent_at=LATER))


async def _prune(ledger: Ledger) -> None:
    for run in RUNS:
        await ledger.finish_run(run.run_id, ended_at=BEGAN, status=RunStatus.FINISHED)
    await ledger.prune_runs(before=LATER)


@pytest.mark.parametrize("change", [_add_late, _add_late_tool, _reprice, _move, _prune])
async def test_a_change_of_what_is_sealed_counts_at_once(ledger: Ledger, change: Callable[[Ledger], object]):
    await fill(ledger, [WRITTEN, READ], [ASKED])
    await ledger.seal(now=LATER)
    before = await told(ledger)

    await change(ledger)  # type: ignore[misc]  # each is a coroutine function

    after = await told(ledger)
    assert after != before
    assert after == await of_rows(ledger)


async def test_a_change_leaves_the_days_before_sealed(tmp_path: Path):
    ledger = await open_ledger(f"{tmp_path}/ledger.db")
    days = [replace(WRITTEN, call_id=f"call_{day}", sent_at=BEGAN + day * DAY_S) for day in range(3)]
    await fill(ledger, days)
    await ledger.seal(now=LATER)

    await ledger.add_call(replace(READ, call_id="late", sent_at=BEGAN + DAY_S + 5))

    assert _sealed_until(tmp_path) == [BEGAN + DAY_S]
    await ledger.close()


async def test_seals_of_another_agentcache_are_not_believed(tmp_path: Path):
    ledger = await open_ledger(f"{tmp_path}/ledger.db")
    await fill(ledger, [WRITTEN, READ])
    await ledger.seal(now=LATER)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as raw, raw:
        raw.execute("UPDATE seals SET made_of = 'another', day_sums = 'of another shape'")

    assert await told(ledger) == await of_rows(ledger)
    await ledger.seal(now=LATER)
    assert await told(ledger) == await of_rows(ledger)
    await ledger.close()


# --- several at once, and none ----------------------------------------------------------------------------------------


async def test_two_who_seal_and_one_who_writes_leave_what_the_rows_say(ledger_url: str):
    if ledger_url == "memory:":
        pytest.skip("a ledger in memory belongs to one process")
    one, two = await open_ledger(ledger_url), await open_ledger(ledger_url)
    days = [replace(WRITTEN, call_id=f"call_{n:02}", sent_at=BEGAN + n * DAY_S / 4) for n in range(20)]
    await fill(one, days)
    late = [replace(READ, call_id=f"late_{n:02}", sent_at=BEGAN + n * DAY_S / 4 + 60) for n in range(20)]

    await asyncio.gather(one.seal(now=LATER), two.seal(now=LATER), *map(two.add_call, late))

    assert await told(one) == await of_rows(two)
    await one.seal(now=LATER)
    assert await told(two) == await of_rows(one)
    await one.close()
    await two.close()


async def test_a_seal_that_breaks_off_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ledger = await open_ledger(f"{tmp_path}/ledger.db")
    await fill(ledger, [WRITTEN, replace(READ, sent_at=BEGAN + DAY_S)])
    make, made = seals._text, []  # the last thing before it is stored

    def breaks_at_the_third(*sums) -> str:
        made.append(sums)
        if len(made) == 3:
            raise OSError("the process ended")
        return make(*sums)

    monkeypatch.setattr(seals, "_text", breaks_at_the_third)
    with pytest.raises((OSError, StoreError)):
        await ledger.seal(now=LATER)
    monkeypatch.undo()

    assert _sealed_until(tmp_path) == [BEGAN + DAY_S]
    assert await told(ledger) == await of_rows(ledger)
    await ledger.seal(now=LATER)
    assert await told(ledger) == await of_rows(ledger)
    await ledger.close()


async def test_a_ledger_that_refuses_to_be_written_is_read_without_seals(ledger_url: str):
    """A user who may only read, as PostgreSQL has them; for SQLite `PRAGMA query_only` refuses in the same way."""
    if not ledger_url.startswith("sqlite"):
        pytest.skip("what a file refuses is told by SQLite")
    ledger = await open_ledger(ledger_url)
    await fill(ledger, [WRITTEN, READ])
    await ledger._database.write(lambda connection: connection.exec_driver_sql("PRAGMA query_only = ON"))  # type: ignore[attr-defined]

    assert not await ledger.seal(now=LATER)
    assert await told(ledger) == await of_rows(ledger)
    await ledger.close()


def _sealed_until(folder: Path) -> list[float]:
    with closing(sqlite3.connect(folder / "ledger.db")) as raw:
        return [until for (until,) in raw.execute("SELECT until FROM seals ORDER BY until")]


# --- what else is read without whole rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("only", [EVERYTHING, Selection(agent="a"), Selection(model="acme-9"), Selection(until=BEGAN)])
async def test_rows_in_part_are_the_rows(ledger: Ledger, only: Selection):
    unpriced = replace(READ, model="acme-9", cost_usd=None)
    tools = [ASKED, replace(ASKED, tool_call_id="tool_2", agent="b", call_id="call_2", memo_hit=False)]
    later = [replace(WRITTEN, call_id=f"later_{n}", sent_at=WRITTEN.sent_at + n * 400.0) for n in range(1, 12)]
    await fill(ledger, [WRITTEN, unpriced, *later], tools)

    sent = await ledger.sent_calls(since=only.since, until=only.until)
    results = await ledger.tool_results(only=only)

    calls = await ledger.calls()
    chosen = [call for call in calls if only.has_call(call)]
    assert await ledger.pauses(only=only) == gap_histogram(chosen)
    assert await ledger.sent_span(only=only) == ((chosen[0].sent_at, chosen[-1].sent_at) if chosen else None)
    assert await ledger.calls(newest=1) == calls[-1:]
    known = {call.call_id: call for call in calls}
    window = Selection(since=only.since, until=only.until)
    assert sent == [sent_call(call) for call in calls if window.has_call(call)]
    counted = [tool_result(call) for call in await ledger.tool_calls() if only.has_tool_call(call, known)]
    assert sorted(results) == sorted(counted)
