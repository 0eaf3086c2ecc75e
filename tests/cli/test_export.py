"""`agentcache export`: the ledger's rows as JSON lines."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord, Usage
from agentcache.cli import app
from agentcache.stores.opening import open_ledger

RUNNER = CliRunner()


def ledger_of(path: Path) -> Path:
    asyncio.run(_fill(path))
    return path


async def _fill(path: Path) -> None:
    ledger = await open_ledger(str(path))
    await ledger.start_run(RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1.0))
    await ledger.start_run(RunRecord(run_id="run_2", parent_run_id="run_1", name="é", agent="é", started_at=2.0))
    for call_id, run_id, at, cost in (("call_1", "run_1", 1.5, None), ("call_2", "run_2", 2.5, Decimal("1E-7"))):
        usage = None if cost is None else Usage(cache_read_tokens=9)
        call = CallRecord(call_id=call_id, run_id=run_id, agent="é", model="m", sent_at=at, usage=usage)
        await ledger.add_call(call.with_costs(cost, cost))
    tool = ToolCallRecord(
        tool_call_id="tool_1",
        run_id="run_2",
        agent="é",
        call_id="call_2",
        tool="t",
        started_at=3.0,
        ended_at=4.0,
        outcome="ok",
    )
    await ledger.add_tool_call(tool)
    await ledger.close()


def lines(db: Path, *arguments: str) -> list[dict[str, Any]]:
    result = RUNNER.invoke(app, ["export", "--db", str(db), *arguments])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_row_is_a_line_and_its_kind_comes_first(tmp_path: Path) -> None:
    told = lines(ledger_of(tmp_path / "ledger.db"))

    assert [next(iter(row.items())) for row in told] == [
        ("kind", "run"),
        ("kind", "run"),
        ("kind", "call"),
        ("kind", "call"),
        ("kind", "tool_call"),
    ]


def test_dollars_are_decimal_text_and_what_is_unknown_is_null(tmp_path: Path) -> None:
    unknown, known = lines(ledger_of(tmp_path / "ledger.db"))[2:4]

    assert (unknown["usage"], unknown["cost_usd"], unknown["call_kind"]) == (None, None, "message")
    assert (known["usage"]["cache_read_tokens"], known["cost_usd"]) == (9, "0.0000001")


def test_a_run_comes_with_what_is_nested_in_it(tmp_path: Path) -> None:
    db = ledger_of(tmp_path / "ledger.db")

    assert [row["kind"] for row in lines(db, "--run", "run_2")] == ["run", "call", "tool_call"]
    assert len(lines(db, "--run", "run_1")) == 5


def test_since_leaves_out_what_began_before(tmp_path: Path) -> None:
    told = lines(ledger_of(tmp_path / "ledger.db"), "--since", "1970-01-01T00:00:02.2+00:00")

    assert [row["kind"] for row in told] == ["call", "tool_call"]


def test_a_file_holds_the_same_lines_whenever_it_is_written(tmp_path: Path) -> None:
    db, out = ledger_of(tmp_path / "ledger.db"), tmp_path / "rows.jsonl"

    lines(db, "-o", str(out))
    first = out.read_bytes()
    lines(db, "-o", str(out))

    assert out.read_bytes() == first
    assert [json.loads(line) for line in first.splitlines()] == lines(db)


def test_a_run_that_is_not_there_and_a_file_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    db = ledger_of(tmp_path / "ledger.db")

    for arguments, words in (
        (["--run", "run_9"], "no run 'run_9'"),
        (["-o", str(tmp_path)], "cannot be written"),
    ):
        result = RUNNER.invoke(app, ["export", "--db", str(db), *arguments])
        assert result.exit_code == 2
        assert words in result.stderr
