"""Which imported rows a ledger lacks."""

from __future__ import annotations

from dataclasses import replace

from agentcache.accounting.imported import (
    ImportedRows,
    NamedRun,
    imported_id,
    imported_rows,
    message_call_id,
    new_to,
    whole_characters,
)
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord, Usage

RUNS = {
    run_id: NamedRun(run_id=run_id, parent_run_id=parent, name=run_id, agent="coder")
    for run_id, parent in (("session", None), ("helper", "session"), ("idle", "session"))
}
CALL = CallRecord(
    call_id="call_1",
    run_id="helper",
    agent="coder",
    model="claude-opus-5",
    message_id="msg_1",
    sent_at=1000.0,
    ended_at=1005.0,
    usage=Usage(output_tokens=10),
)
LATER = replace(CALL, call_id="call_2", message_id="msg_2", run_id="session", sent_at=2000.0, ended_at=None)


def tool_call(run_id: str) -> ToolCallRecord:
    return ToolCallRecord(
        tool_call_id=f"tool of {run_id}",
        run_id=run_id,
        agent="coder",
        call_id="call_1",
        tool="read",
        started_at=1001.0,
        ended_at=1002.0,
        outcome="ok",
    )


def rows(*calls: CallRecord) -> ImportedRows:
    return imported_rows(RUNS, calls, [tool_call(run_id) for run_id in RUNS])


def names(found: ImportedRows) -> tuple[list[str], list[str], list[str]]:
    return (
        [run.run_id for run in found.runs],
        [call.call_id for call in found.calls],
        [call.run_id for call in found.tool_calls],
    )


def in_ledger(found: ImportedRows) -> dict[str, RunRecord]:
    return {run.run_id: run for run in found.runs}


def test_ids_are_the_same_in_every_version_so_that_nothing_is_imported_twice() -> None:
    assert message_call_id("msg_1") == "call_ae318817affcf2e17496"
    assert imported_id("run", "log", "a", "b") == "run_3704cfd8d958d450492d"
    assert imported_id("run", "log", "a", "b") != imported_id("run", "log", "ab")


def test_half_a_character_is_written_out_since_no_database_takes_it() -> None:
    assert whole_characters("caf\u00e9 \ud83d") == "caf\u00e9 \\ud83d"
    assert imported_id("run", "\ud83d") != imported_id("run", "")


def test_a_run_spans_its_calls_and_those_of_the_runs_nested_in_it() -> None:
    found = rows(LATER, CALL)
    assert [(run.run_id, run.started_at, run.ended_at) for run in found.runs] == [
        ("session", 1000.0, 2000.0),
        ("helper", 1000.0, 1005.0),
    ]
    assert [(call.call_id, call.turn) for call in found.calls] == [("call_1", 1), ("call_2", 1)]
    assert [call.run_id for call in found.tool_calls] == ["session", "helper"], "runs without calls are left out"


def test_nobody_recorded_how_a_run_ended_so_it_is_finished() -> None:
    (_, helper) = rows(CALL).runs
    assert (helper.name, helper.agent, helper.status) == ("helper", "coder", RunStatus.FINISHED)


def test_runs_in_each_other_are_no_endless_ladder() -> None:
    circle = {
        run_id: NamedRun(run_id=run_id, parent_run_id=parent, name=run_id, agent=None)
        for run_id, parent in (("helper", "one"), ("one", "other"), ("other", "one"))
    }
    assert [run.run_id for run in imported_rows(circle, [CALL]).runs] == ["helper", "one", "other"]


def test_a_run_whose_calls_are_all_there_is_needed_only_by_new_ones_nested_in_it() -> None:
    before = rows(LATER)
    later = replace(CALL, sent_at=2001.0, ended_at=2002.0)
    found = new_to(rows(LATER, later), runs=in_ledger(before), calls=before.calls)
    assert names(found)[:2] == (["session", "helper"], ["call_1"])


def test_an_empty_ledger_lacks_everything() -> None:
    assert names(new_to(rows(CALL, LATER), runs={}, calls=[])) == (
        ["session", "helper"],
        ["call_1", "call_2"],
        ["session", "helper"],
    )


def test_what_has_been_imported_is_lacking_no_more() -> None:
    found = rows(CALL, LATER)
    again = new_to(found, runs=in_ledger(found), calls=found.calls)
    assert names(again) == ([], [], ["session", "helper"])


def test_a_run_that_went_on_is_taken_anew_with_its_new_calls() -> None:
    before, found = rows(CALL), rows(CALL, LATER)
    assert names(new_to(found, runs=in_ledger(before), calls=before.calls))[:2] == (["session"], ["call_2"])


def test_a_call_that_the_runtime_recorded_itself_stays_as_it_is() -> None:
    own = replace(CALL, call_id="own id")
    assert names(new_to(rows(CALL), runs={}, calls=[own])) == ([], [], [])


def test_an_answer_that_has_grown_replaces_the_row_and_keeps_its_run() -> None:
    there = replace(CALL, run_id="elsewhere", agent="old", conversation="c")
    grown = replace(CALL, usage=Usage(output_tokens=11))
    (found,) = new_to(rows(grown), runs={}, calls=[there]).calls
    assert (found.usage, found.run_id, found.agent, found.conversation) == (grown.usage, "elsewhere", "old", "c")
    for as_long in (CALL, replace(CALL, usage=None)):
        assert new_to(rows(as_long), runs={}, calls=[there]).calls == []


def test_a_call_whose_usage_was_unknown_is_replaced_where_it_is_known() -> None:
    there = replace(CALL, usage=None, message_id=None)
    assert len(new_to(rows(replace(CALL, usage=Usage())), runs={}, calls=[there]).calls) == 1
