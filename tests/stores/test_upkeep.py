"""Rows priced anew, rows without their text, runs no longer kept: the same promises for every ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from agentcache.accounting.usage import BilledPart, CallRecord, RunRecord, RunStatus, ToolCallRecord, Usage
from agentcache.stores.opening import open_ledger
from agentcache.stores.protocols import Ledger, PrunedRuns, StoredConversation

RUN = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1.0)
CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="reviewer",
    model="claude-sonnet-5-5",
    sent_at=1.5,
    usage=Usage(uncached_input_tokens=7),
    parts=(BilledPart(model="claude-sonnet-5-5", usage=Usage(uncached_input_tokens=7)),),
    held_s={"prefix": 0.1},
)
TOOL_CALL = ToolCallRecord(
    tool_call_id="tool_1",
    run_id="run_1",
    agent="reviewer",
    call_id="call_1",
    tool="find",
    started_at=1.6,
    ended_at=1.7,
    outcome="ok",
)
PRICED = CALL.with_costs(Decimal("0.1"), Decimal("0.20000000000000000003"))


# --- pricing anew -----------------------------------------------------------------------------------------------------


async def test_dollars_are_written_exactly_and_nothing_else_changes(ledger: Ledger):
    other = replace(CALL, call_id="call_2")
    await ledger.start_run(RUN)
    await ledger.add_call(CALL)
    await ledger.add_call(other)

    assert await ledger.reprice_calls([PRICED]) == 1
    assert await ledger.calls() == [PRICED, other]


async def test_a_row_that_bills_something_else_by_now_is_left_alone(ledger: Ledger):
    grown = replace(CALL, usage=Usage(uncached_input_tokens=8))
    await ledger.start_run(RUN)
    await ledger.add_call(CALL)
    await ledger.put_call(grown)

    assert await ledger.reprice_calls([PRICED, replace(PRICED, call_id="call_9")]) == 0
    assert await ledger.calls() == [grown]


async def test_nothing_to_price_is_nothing_changed(ledger: Ledger):
    assert await ledger.reprice_calls([]) == 0


# --- rows for reports -------------------------------------------------------------------------------------------------


async def test_calls_come_without_their_text_where_nobody_asks_for_it(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.add_call(replace(PRICED, request={"model": "m"}, response={"id": "msg_1"}))

    assert await ledger.calls(text=False) == [PRICED]


# --- what is no longer kept -------------------------------------------------------------------------------------------


async def begin(ledger: Ledger, run_id: str, *, parent: str | None = None, ended_at: float | None) -> None:
    """Add a run with a call and a tool call, ended if it says when."""
    await ledger.start_run(replace(RUN, run_id=run_id, parent_run_id=parent))
    await ledger.add_call(replace(CALL, call_id=f"call_of_{run_id}", run_id=run_id))
    await ledger.add_tool_call(replace(TOOL_CALL, tool_call_id=f"tool_of_{run_id}", run_id=run_id))
    if ended_at is not None:
        await ledger.finish_run(run_id, ended_at=ended_at, status=RunStatus.FINISHED)


async def kept(ledger: Ledger) -> list[set[str]]:
    """Return the runs that are there, and those whose calls and tool calls are."""
    return [
        {run.run_id for run in await ledger.runs()},
        {call.run_id for call in await ledger.calls()},
        {tool_call.run_id for tool_call in await ledger.tool_calls()},
    ]


async def test_a_run_that_ended_before_goes_with_all_below_it(ledger: Ledger):
    await begin(ledger, "old", ended_at=10.0)
    await begin(ledger, "below", parent="old", ended_at=9.0)
    await begin(ledger, "leaf", parent="below", ended_at=8.0)
    await begin(ledger, "new", ended_at=20.0)

    assert await ledger.prune_runs(before=20.0) == PrunedRuns(runs=3, calls=3, tool_calls=3)
    assert await kept(ledger) == [{"new"}] * 3
    assert await ledger.prune_runs(before=20.0) == PrunedRuns(runs=0, calls=0, tool_calls=0)


async def test_a_tree_stays_whole_while_a_part_of_it_lives(ledger: Ledger):
    await begin(ledger, "top", ended_at=10.0)
    await begin(ledger, "leaf", parent="top", ended_at=None)
    await begin(ledger, "late", ended_at=10.0)
    await begin(ledger, "late_leaf", parent="late", ended_at=30.0)
    await begin(ledger, "alive", ended_at=None)
    await begin(ledger, "alive_leaf", parent="alive", ended_at=5.0)

    assert await ledger.prune_runs(before=20.0) == PrunedRuns(runs=0, calls=0, tool_calls=0)
    assert len((await kept(ledger))[0]) == 6


async def test_a_dry_run_tells_the_same_and_removes_nothing(ledger: Ledger):
    await begin(ledger, "old", ended_at=10.0)
    await begin(ledger, "new", ended_at=None)

    told = await ledger.prune_runs(before=20.0, dry_run=True)

    assert (await kept(ledger))[0] == {"old", "new"}
    assert await ledger.prune_runs(before=20.0) == told == PrunedRuns(runs=1, calls=1, tool_calls=1)


async def test_conversations_outlive_the_runs_that_made_them(ledger: Ledger):
    await begin(ledger, "old", ended_at=10.0)
    talk = StoredConversation(conversation_id="c-1", agent="a", messages=({"role": "user", "content": "hi"},))
    await ledger.save_conversation(talk)

    await ledger.prune_runs(before=20.0)
    await ledger.prune_messages()

    assert (await ledger.load_conversation("c-1")) == replace(talk, version=1)


async def test_compacting_keeps_every_row(ledger: Ledger):
    await begin(ledger, "new", ended_at=None)

    await ledger.compact()
    await ledger.add_call(replace(CALL, call_id="call_after", run_id="new"))

    assert len(await ledger.calls()) == 2


async def test_a_file_gives_its_room_back(tmp_path: Path):
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(str(path))
    await begin(ledger, "old", ended_at=10.0)
    await ledger.add_call(replace(CALL, call_id="big", run_id="old", request={"text": "x" * 2_000_000}))

    await ledger.prune_runs(before=20.0)
    await ledger.compact()
    await ledger.close()

    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert path.stat().st_size < 1_000_000
