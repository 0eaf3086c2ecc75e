"""`agentcache report` on a real SQLite ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import BilledPart, CallRecord, RunRecord, ToolCallRecord, Usage
from agentcache.cli import app
from agentcache.stores.opening import open_ledger

RUNNER = CliRunner()
DAY_S = 86_400.0
NOON = 1_790_000_000.0


def _ledger(path: Path) -> str:
    return asyncio.run(_write_ledger(path))


async def _write_ledger(path: Path) -> str:
    """Write two runs: yesterday's of the planner, today's of a workflow with a reviewer below it."""
    url = f"sqlite+aiosqlite:///{path}"
    ledger = await open_ledger(url)
    await ledger.start_run(_run("run_old", "planner", None, NOON - DAY_S))
    await ledger.start_run(_run("run_new", "review", None, NOON))
    await ledger.start_run(_run("run_below", "reviewer", "run_new", NOON + 1))
    await ledger.add_call(_call("call_1", "run_old", "planner", NOON - DAY_S))
    await ledger.add_call(_call("call_2", "run_below", "reviewer", NOON + 1))
    await ledger.add_call(_call("call_3", "run_below", "reviewer", NOON + 2))
    await ledger.close()
    return url


def _run(run_id: str, name: str, parent: str | None, at: float) -> RunRecord:
    return RunRecord(run_id=run_id, parent_run_id=parent, name=name, agent=None, started_at=at)


def _call(call_id: str, run_id: str, agent: str, at: float) -> CallRecord:
    usage = Usage(uncached_input_tokens=100, cache_read_tokens=900, output_tokens=10)
    model = "claude-sonnet-5-5"
    part = BilledPart(model=model, usage=usage)
    record = CallRecord(
        call_id=call_id, run_id=run_id, agent=agent, model=model, sent_at=at, usage=usage, parts=(part,)
    )
    return price_record(record)


def _report(url: str, *arguments: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, ["report", "--db", url, "--format", "json", *arguments])
    assert result.exit_code == 0, result.output
    body: dict[str, Any] = json.loads(result.stdout)
    return body


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    rows = body["rows"]
    assert isinstance(rows, list)
    return rows


def test_a_row_per_agent_with_tokens_and_dollars(tmp_path: Path) -> None:
    rows = _rows(_report(_ledger(tmp_path / "ledger.db")))

    assert [(row["agent"], row["calls"], row["cache_read_tokens"]) for row in rows] == [
        ("planner", 1, 900),
        ("reviewer", 2, 1800),
    ]
    assert Decimal(str(rows[0]["cost_usd"])) > 0


def test_by_run_counts_what_is_nested(tmp_path: Path) -> None:
    rows = _rows(_report(_ledger(tmp_path / "ledger.db"), "--by", "run"))

    assert {(row["run"], row["name"], row["calls"]) for row in rows} == {
        ("run_old", "planner", 1),
        ("run_new", "review", 2),
    }


def test_by_tool_a_row_tells_how_the_calls_were_answered(tmp_path: Path) -> None:
    url = _ledger(tmp_path / "ledger.db")
    asyncio.run(_add_tool_calls(url))

    body = _report(url, "--by", "tool")
    (row,) = _rows(body)

    assert (row["tool"], row["agent"], row["calls"], row["executed"]) == ("look_up", "reviewer", 2, 1)
    assert row["hits"] == {"memory": 0, "sqlite": 1, "redis": 0, "unknown": 0}
    assert (row["saved_s"], row["identical_tokens"]) == (2.0, 30)
    assert (body["total"], body["unattributed"]["calls"]) == ({**row, "tool": None, "agent": None}, 0)
    assert _rows(_report(url, "--by", "tool", "--run", "run_old")) == []


def test_by_tool_a_run_of_the_command_line_is_told(cli: Callable[..., Result]) -> None:
    assert cli("run", "team.py:support", "where is my order?", "--emulate").exit_code == 0

    (row,) = json.loads(cli("report", "--by", "tool", "--format", "json").stdout)["rows"]

    told = "order 17 is on its way"
    assert (row["tool"], row["agent"], row["executed"], row["result_bytes"]) == ("look_up", "support", 1, len(told))
    assert row["duration_s"]["mean"] >= 0


def test_by_tool_there_is_a_table_too(tmp_path: Path) -> None:
    url = _ledger(tmp_path / "ledger.db")
    asyncio.run(_add_tool_calls(url))

    result = RUNNER.invoke(app, ["report", "--db", url, "--by", "tool"])

    assert result.exit_code == 0
    assert "look_up" in result.stdout
    assert "from memo: 1 sqlite." in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


async def _add_tool_calls(url: str) -> None:
    ledger = await open_ledger(url)
    for tool_call_id, tier in (("tool_1", "executed"), ("tool_2", "sqlite")):
        await ledger.add_tool_call(
            ToolCallRecord(
                tool_call_id=tool_call_id,
                run_id="run_below",
                agent="reviewer",
                call_id="call_2",
                tool="look_up",
                started_at=NOON + 1,
                ended_at=NOON + 3,
                outcome="ok",
                memo_hit=tier != "executed",
                memo_tier=tier,
                memo_saved_s=0.0 if tier == "executed" else 2.0,
                result_bytes=80,
                result_tokens=30,
                result_digest="p1:aa",
            )
        )
    await ledger.close()


def test_since_and_run_leave_the_rest_out(tmp_path: Path) -> None:
    url = _ledger(tmp_path / "ledger.db")

    assert [row["agent"] for row in _rows(_report(url, "--since", "2026-09-21T00:00:00+00:00"))] == ["reviewer"]
    assert [row["agent"] for row in _rows(_report(url, "--run", "run_old"))] == ["planner"]
    assert [row["calls"] for row in _rows(_report(url, "--run", "run_new"))] == [2]


def test_the_table_names_every_agent_and_a_total(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["report", "--db", _ledger(tmp_path / "ledger.db")])

    assert result.exit_code == 0
    assert "planner" in result.stdout
    assert "reviewer" in result.stdout
    assert "total" in result.stdout


@pytest.mark.parametrize("format_", ["table", "json"])
def test_it_writes_to_a_file(tmp_path: Path, format_: str) -> None:
    url = _ledger(tmp_path / "ledger.db")
    target = tmp_path / "report.txt"

    result = RUNNER.invoke(app, ["report", "--db", url, "--format", format_, "-o", str(target)])

    assert (result.exit_code, result.stdout) == (0, "")
    assert "reviewer" in target.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    url = _ledger(tmp_path / "ledger.db")

    result = RUNNER.invoke(app, ["report", "--db", url, "-o", str(tmp_path)])

    assert result.exit_code == 2
    assert result.stderr == f"agentcache: {tmp_path} cannot be written: Is a directory\n"


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"

    result = RUNNER.invoke(app, ["report", "--db", str(path)])

    assert result.exit_code == 2
    assert f"there is no ledger at {path}" in result.stderr
    assert not path.exists()


def test_an_unknown_run_and_a_strange_time_are_refused(tmp_path: Path) -> None:
    url = _ledger(tmp_path / "ledger.db")

    unknown = RUNNER.invoke(app, ["report", "--db", url, "--run", "run_zero"])
    strange = RUNNER.invoke(app, ["report", "--db", url, "--since", "noonish"])

    assert (unknown.exit_code, strange.exit_code) == (2, 2)
    assert "the ledger has no run 'run_zero'" in unknown.stderr
    assert "--since 'noonish' is no date, time or length" in strange.stderr


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("this is no database, only some text that is long enough to be read as a header" * 20)

    result = RUNNER.invoke(app, ["report", "--db", str(path)])

    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


# --- by day, filters, formats -----------------------------------------------------------------------------------------


def test_by_day_a_row_for_each_day_in_utc(tmp_path: Path) -> None:
    rows = _rows(_report(_ledger(tmp_path / "ledger.db"), "--by", "day"))

    assert [(row["day"], row["agent"], row["calls"]) for row in rows] == [
        ("2026-09-20", None, 1),
        ("2026-09-21", None, 2),
    ]


def test_until_agent_and_model_leave_the_rest_out(tmp_path: Path) -> None:
    url = _ledger(tmp_path / "ledger.db")

    assert [row["agent"] for row in _rows(_report(url, "--until", "2026-09-21T00:00:00+00:00"))] == ["planner"]
    assert [row["agent"] for row in _rows(_report(url, "--agent", "reviewer"))] == ["reviewer"]
    assert _report(url, "--model", "claude-opus-5")["total"]["calls"] == 0
    assert _report(url, "--model", "claude-sonnet-5-5")["total"]["calls"] == 3


def test_a_strange_end_is_named_by_its_own_flag(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["report", "--db", _ledger(tmp_path / "ledger.db"), "--until", "noonish"])

    assert result.exit_code == 2
    assert "--until 'noonish' is no date, time or length" in result.stderr


@pytest.mark.parametrize("by", ["agent", "run", "model", "day", "tool"])
def test_every_grouping_has_every_format(tmp_path: Path, by: str) -> None:
    url = _ledger(tmp_path / "ledger.db")
    asyncio.run(_add_tool_calls(url))

    for format_, begins in (("csv", ""), ("md", "| "), ("table", ""), ("json", "{")):
        result = RUNNER.invoke(app, ["report", "--db", url, "--by", by, "--format", format_])

        assert result.exit_code == 0, result.output
        assert result.stdout.startswith(begins)
        assert len(result.stdout.splitlines()) >= 2
        assert max(map(len, result.stdout.splitlines())) <= 100 or format_ != "table"


def test_a_file_holds_the_very_text(tmp_path: Path) -> None:
    url = _ledger(tmp_path / "ledger.db")
    target = tmp_path / "report.csv"

    printed = RUNNER.invoke(app, ["report", "--db", url, "--format", "csv"]).stdout
    RUNNER.invoke(app, ["report", "--db", url, "--format", "csv", "-o", str(target)])

    assert target.read_text(encoding="utf-8") == printed


# --- thresholds -------------------------------------------------------------------------------------------------------


def _checked(tmp_path: Path, alerts: str, *arguments: str) -> Result:
    (tmp_path / "pyproject.toml").write_text(alerts)
    return RUNNER.invoke(app, ["report", "--db", _ledger(tmp_path / "ledger.db"), "--check", *arguments])


def test_what_is_broken_is_a_sentence_each_and_exit_code_1(tmp_path: Path) -> None:
    result = _checked(tmp_path, "[tool.agentcache.alerts]\nread_share = 0.95\nunknown_usage_calls = 0\n")

    assert result.exit_code == 1
    assert [line[:16] for line in result.stdout.splitlines()] == ["agent 'planner' ", "agent 'reviewer'"]


def test_what_is_kept_is_silence_and_exit_code_0(tmp_path: Path) -> None:
    result = _checked(tmp_path, "[tool.agentcache.alerts]\nread_share = 0.9\nusd_per_day = 5\n")

    assert (result.exit_code, result.stdout) == (0, "")


def test_what_is_left_out_breaks_nothing(tmp_path: Path) -> None:
    result = _checked(tmp_path, "[tool.agentcache.alerts]\nread_share = 0.95\n", "--agent", "planner")

    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)


def test_an_agent_may_have_thresholds_of_its_own(tmp_path: Path) -> None:
    general = "[tool.agentcache.alerts]\nread_share = 0.95\n"
    own = "[tool.agentcache.alerts.agents.planner]\nread_share = 0.1\nusd_per_day = 0\n"
    result = _checked(tmp_path, general + own)

    assert result.exit_code == 1
    broken = [line.split("; ")[1].split()[0] for line in result.stdout.splitlines()]
    assert broken == ["read_share", "agents.planner.usd_per_day"]


def test_an_agent_of_no_call_is_a_warning_and_not_broken(tmp_path: Path) -> None:
    result = _checked(tmp_path, "[tool.agentcache.alerts.agents.plannr]\nread_share = 1\n")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "warning: agent 'plannr' has thresholds and no call among those looked at, so none was checked; "
        "did you mean 'planner'?\n"
    )


def test_an_agent_that_was_left_out_by_name_is_no_warning(tmp_path: Path) -> None:
    result = _checked(tmp_path, "[tool.agentcache.alerts.agents.planner]\nread_share = 1\n", "--agent", "reviewer")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("alerts", "told"),
    [
        ("", "has no threshold to check against; set one or more of: read_share"),
        ("[tool.agentcache.alerts]\n", "has no threshold to check against"),
        ("[tool.agentcache]\nalerts = 3\n", "`tool.agentcache.alerts` is not a table"),
        ("[tool.agentcache.alerts]\nread_shar = 0.5\n", "no setting is called 'read_shar'; did you mean 'read_share'?"),
        ("[tool.agentcache.alerts]\nread_share = 80\n", "'read_share' is 80: Input should be less than or equal to 1"),
        ("[tool.agentcache.alerts]\nusd_per_day = nan\n", "'usd_per_day' is nan"),
        ("[tool.agentcache.alerts]\nwasted_write_tokens = -1\n", "'wasted_write_tokens' is -1"),
        ("[tool.agentcache.alerts]\nunknown_usage_calls = true\n", "'unknown_usage_calls' is True"),
        ("[tool.agentcache.alerts]\nagent = 3\n", "no setting is called 'agent'; did you mean 'agents'?"),
        ("[tool.agentcache.alerts]\nagents = 3\n", "`tool.agentcache.alerts.agents` is not a table"),
        ("[tool.agentcache.alerts.agents]\n", "[tool.agentcache.alerts.agents] in "),
        ("[tool.agentcache.alerts.agents]\nplanner = 0.5\n", "`tool.agentcache.alerts.agents.planner` is not a table"),
        (
            "[tool.agentcache.alerts.agents.planner]\n",
            "has no threshold to check against; set one or more of: read_sha",
        ),
        (
            "[tool.agentcache.alerts.agents.planner]\nread_shar = 0.5\n",
            "pyproject.toml: no setting is called 'read_shar'; did you mean 'read_share'?",
        ),
        (
            "[tool.agentcache.alerts.agents.planner]\nagents = 0.5\n",
            "no setting is called 'agents'; there are: read_share, usd_per_day",
        ),
        (
            "[tool.agentcache.alerts.agents.planner]\nusd_per_day = -1\n",
            "[tool.agentcache.alerts.agents.planner] in ",
        ),
    ],
)
def test_thresholds_without_meaning_are_exit_code_2(tmp_path: Path, alerts: str, told: str) -> None:
    result = _checked(tmp_path, alerts)

    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_thresholds_are_no_setting_of_other_commands(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.agentcache.alerts]\nread_share = 80\n")

    assert RUNNER.invoke(app, ["report", "--db", _ledger(tmp_path / "ledger.db")]).exit_code == 0
