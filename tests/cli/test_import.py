"""`agentcache import`: request logs, Claude Code sessions and traces, into a real SQLite ledger."""

from __future__ import annotations

import asyncio
import gzip
import json
import lzma
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agentcache import Agent, Prompt, Runtime
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.cli import app
from agentcache.emulator.server import serve
from agentcache.stores.opening import open_ledger
from tests.accounting.test_claude_code import SESSION, assistant, tool_result, tool_use, usage, user
from tests.simulate.recordings import TRACES, line, needs_traces, request, text, trace, write_lines
from tests.simulate.recordings import assistant as answer
from tests.simulate.recordings import user as asked

RUNNER = CliRunner()


def imported(*arguments: object, exit_code: int = 0) -> Result:
    result = RUNNER.invoke(app, ["import", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


def calls_in(path: Path) -> list[CallRecord]:
    async def read() -> list[CallRecord]:
        ledger = await open_ledger(str(path))
        try:
            return await ledger.calls()
        finally:
            await ledger.close()

    return asyncio.run(read())


def exported(path: Path) -> str:
    return RUNNER.invoke(app, ["export", "--db", str(path)]).stdout


def used(calls: Iterable[CallRecord]) -> Usage:
    return sum((call.usage for call in calls if call.usage), Usage())


async def record(log: Path, ledger: Path) -> None:
    """Run an agent three times on an emulator, with a request log."""
    clerk = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static="Answer briefly. " * 400))
    async with (
        serve(lambda request: "ok") as emulator,
        Runtime(str(ledger), base_url=emulator.base_url, api_key="k", record_requests=log) as runtime,
    ):
        for number in range(3):
            await runtime.run(clerk, f"question {number}", conversation="c")


def test_our_own_request_log_becomes_the_rows_that_the_runtime_kept(tmp_path: Path) -> None:
    log, kept, db = tmp_path / "log.jsonl.gz", tmp_path / "kept.db", tmp_path / "new.db"
    asyncio.run(record(log, kept))

    imported(log, "--db", db)

    def told(call: CallRecord) -> tuple[object, ...]:
        return (call.message_id, call.run_id, call.agent, call.conversation, call.usage, call.cost_usd, call.sent_at)

    assert [told(call) for call in calls_in(db)] == [told(call) for call in calls_in(kept)]
    assert used(calls_in(db)).cache_read_tokens
    assert all(call.request is None for call in calls_in(db))


def test_a_call_that_the_runtime_recorded_itself_is_not_counted_again(tmp_path: Path) -> None:
    log, kept = tmp_path / "log.jsonl", tmp_path / "kept.db"
    asyncio.run(record(log, kept))
    before = exported(kept)

    result = imported(log, "--db", kept)

    assert "3 calls in 3 runs were read; 0 of them are new" in result.stdout
    assert exported(kept) == before


SESSION_LINES = [
    user("u1", None, 1),
    assistant("a1", "u1", 2, "msg_1", tool_use("toolu_1", "Task", subagent_type="Explore"), usage=usage(hour=900)),
    user("u2", "a1", 9, tool_result("toolu_1", "There."), toolUseResult={"agentId": "ad2d877"}),
    assistant("a2", "u2", 10, "msg_3", usage=usage(read=900, output=40)),
]
SUBAGENT_LINES = [
    user("s1", None, 3, isSidechain=True, agentId="ad2d877"),
    assistant("s2", "s1", 5, "msg_2", isSidechain=True, agentId="ad2d877", usage=usage(five=70)),
]


def test_a_directory_of_sessions_is_read_with_its_subagents(tmp_path: Path) -> None:
    below = tmp_path / "projects" / "-x" / SESSION / "subagents"
    below.mkdir(parents=True)
    write_lines(below.parents[1] / f"{SESSION}.jsonl", SESSION_LINES)
    write_lines(below / "agent-ad2d877.jsonl", SUBAGENT_LINES)
    db = tmp_path / "ledger.db"

    result = imported(tmp_path / "projects", "--db", db)

    assert "3 calls in 2 runs" in result.stdout
    rows = json.loads(RUNNER.invoke(app, ["report", "--db", str(db), "--format", "json"]).stdout)["rows"]
    assert {row["agent"]: (row["calls"], row["cache_write_1h_tokens"]) for row in rows} == {
        "claude-code": (2, 900),
        "Explore": (1, 0),
    }


def traces_file(tmp_path: Path) -> Path:
    told = {"input_tokens": 3, "cache_creation_input_tokens": 50, "cache_read_input_tokens": 7, "output_tokens": 2}
    calls: list[Mapping[str, Any]] = [
        {"in": 1, "t_req": 0.0, "t_first": 1.0, "t_end": 2.0, "usage": {**told, "w5m": 20, "w1h": 30}},
        {"in": 1, "t_req": 5.0, "t_first": None, "t_end": None, "usage": None},
        {"in": 1, "t_req": None, "usage": None},
    ]
    return write_lines(
        tmp_path / "traces.jsonl", [trace([asked("hi"), answer("ho")], calls, t0="2026-02-18T11:30:00+00:00")]
    )


@pytest.mark.parametrize("kind", ["session", "log", "trace"])
def test_importing_a_file_twice_changes_nothing(tmp_path: Path, kind: str) -> None:
    db = tmp_path / "ledger.db"
    log = [line(7, request(asked("hi")), run="r", response={"usage": {"input_tokens": 5}}), line(8, request())]
    files = {
        "session": lambda: write_lines(tmp_path / "session.jsonl", SESSION_LINES),
        "log": lambda: write_lines(tmp_path / "log.jsonl", log),
        "trace": lambda: traces_file(tmp_path),
    }
    path = files[kind]()
    imported(path, "--db", db)
    before = exported(db)

    again = imported(path, "--db", db)

    assert "0 of them are new" in again.stdout
    assert exported(db) == before
    assert len(calls_in(db)) == 2


def test_a_session_that_went_on_is_brought_up_to_date(tmp_path: Path) -> None:
    db, path = tmp_path / "ledger.db", tmp_path / "session.jsonl"
    half = assistant("a1", "u1", 2, "msg_1", usage=usage(hour=900, output=1))
    imported(write_lines(path, [user("u1", None, 1), half]), "--db", db)

    whole = assistant("a1b", "a1", 3, "msg_1", usage=usage(hour=900, output=300))
    imported(write_lines(path, [user("u1", None, 1), half, whole, *SESSION_LINES[2:]]), "--db", db)

    assert [call.usage.output_tokens for call in calls_in(db)] == [300, 40]
    run = json.loads(exported(db).splitlines()[0])
    assert run["ended_at"] - run["started_at"] == 9


def test_a_trace_tells_lifetimes_and_what_it_does_not_tell_is_unknown(tmp_path: Path) -> None:
    db = tmp_path / "ledger.db"

    result = imported(traces_file(tmp_path), "--db", db)

    known, unknown = calls_in(db)
    assert (known.usage.cache_write_5m_tokens, known.usage.cache_write_1h_tokens) == (20, 30)
    assert (unknown.usage, unknown.cost_usd, unknown.ended_at) == (None, None, None)
    assert "1 calls have no recorded time" in result.stderr


def test_writes_that_a_log_does_not_split_have_the_lifetime_of_its_markers(tmp_path: Path) -> None:
    def logged(t: float, *lifetimes: str) -> Any:
        body = request(asked(*(text("long", each) for each in lifetimes)))
        return line(t, body, response={"usage": {"cache_creation_input_tokens": 40}})

    db = tmp_path / "ledger.db"
    imported(write_lines(tmp_path / "l.jsonl", [logged(1, "1h"), logged(2, "1h", "5m"), logged(3)]), "--db", db)

    assert [call.usage.cache_write_1h_tokens for call in calls_in(db)] == [40, 0, 0]


def test_lines_that_cannot_be_read_are_counted_and_the_others_kept(tmp_path: Path) -> None:
    path, db = tmp_path / "session.jsonl", tmp_path / "ledger.db"
    write_lines(path, SESSION_LINES)
    with path.open("a", encoding="utf-8") as file:
        file.write('["no object"]\n{"neither": 1}\n{"type": "assis')

    result = imported(path, "--db", db)

    assert f"2 lines left out: is no JSON object (the first: {path}, line 5" in result.stderr
    assert f"1 line left out: is of no format known here (the first: {path}, line 6)" in result.stderr
    assert len(calls_in(db)) == 2


def test_files_without_a_call_are_an_error_and_make_no_ledger(tmp_path: Path) -> None:
    db = tmp_path / "ledger.db"

    result = imported(write_lines(tmp_path / "x.jsonl", [{"type": "summary"}]), "--db", db, exit_code=2)

    assert "no call in these files" in result.stderr
    assert not db.exists()


def test_text_is_kept_when_asked_for(tmp_path: Path) -> None:
    db, body = tmp_path / "ledger.db", request(asked("hi"))

    imported(write_lines(tmp_path / "l.jsonl", [line(7, body)]), "--db", db, "--keep-text")

    assert calls_in(db)[0].request == body


@needs_traces
def test_recorded_sessions_sum_up_to_what_their_files_tell(tmp_path: Path) -> None:
    path, db = TRACES / "pi_coding.jsonl.gz", tmp_path / "ledger.db"
    multi = tmp_path / "multi.jsonl"
    with lzma.open(TRACES / "claude_code_multi.jsonl.xz", "rt", encoding="utf-8") as file:
        multi.write_text("".join(next(file) for _ in range(12)), encoding="utf-8")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        traces = [json.loads(told) for told in [*file, *multi.read_text(encoding="utf-8").splitlines()]]

    imported(path, multi, "--db", db)

    told = [call["usage"] for each in traces for call in each["calls"] if call["usage"]]
    sums = {name: sum(int(each[name]) for each in told) for name in told[0] if name.endswith("input_tokens")}
    found = used(calls_in(db))
    assert found.uncached_input_tokens == sums["input_tokens"]
    assert found.cache_read_tokens == sums["cache_read_input_tokens"]
    assert found.cache_write_tokens == sums["cache_creation_input_tokens"]
    assert found.cache_write_1h_tokens == sum(each.get("w1h") or 0 for each in told)
    assert found.output_tokens == sum(each["output_tokens"] for each in told)
