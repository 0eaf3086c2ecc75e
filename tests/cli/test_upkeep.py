"""`agentcache prune` and `agentcache report --reprice` on real ledgers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import Result

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.stores.opening import open_ledger

NOON = 1_790_000_000.0  # 2026-09-21 in UTC
Cli = Callable[..., Result]


@pytest.fixture
def ledger_path(database_url: str) -> str:
    """A ledger with a run that ended and one that did not, each with a call that has no price yet."""
    asyncio.run(_write(database_url))
    return database_url


async def _write(path: str) -> None:
    ledger = await open_ledger(path)
    for number in (1, 2):
        run_id = f"run_{number}"
        await ledger.start_run(RunRecord(run_id=run_id, parent_run_id=None, name="review", agent=None, started_at=NOON))
        await ledger.add_call(
            CallRecord(
                call_id=f"call_{number}",
                run_id=run_id,
                agent="reviewer",
                model="claude-opus-5" if number == 1 else "acme-9",
                sent_at=NOON,
                usage=Usage(uncached_input_tokens=1000),
            )
        )
    await ledger.finish_run("run_1", ended_at=NOON + 1, status=RunStatus.FINISHED)
    await ledger.close()


def _calls(path: str) -> dict[str, Decimal | None]:
    async def read() -> dict[str, Decimal | None]:
        ledger = await open_ledger(path)
        found = {call.call_id: call.cost_usd for call in await ledger.calls()}
        await ledger.close()
        return found

    return asyncio.run(read())


# --- prune ------------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_go(cli: Cli, ledger_path: str) -> None:
    result = cli("prune", "--db", ledger_path, "--before", "2026-10-01", "--dry-run")

    assert result.exit_code == 0
    assert result.stdout == "would remove 1 run, 1 call and 0 tool calls; messages are counted when they go\n"
    assert set(_calls(ledger_path)) == {"call_1", "call_2"}


def test_old_runs_go_and_what_has_not_ended_stays(cli: Cli, ledger_path: str) -> None:
    result = cli("prune", "--db", ledger_path, "--before", "2026-10-01")

    assert result.exit_code == 0
    assert result.stdout.startswith("removed 1 run, 1 call and 0 tool calls, and 0 messages")
    assert set(_calls(ledger_path)) == {"call_2"}


def test_what_ended_later_stays(cli: Cli, ledger_path: str) -> None:
    assert "removed 0 runs" in cli("prune", "--db", ledger_path, "--before", "2026-09-01").stdout


def test_prune_needs_a_time_that_it_can_read_and_a_ledger(cli: Cli, ledger_path: str, tmp_path: Path) -> None:
    strange = cli("prune", "--db", ledger_path, "--before", "long ago")
    absent = cli("prune", "--db", str(tmp_path / "none.db"), "--before", "90d")

    assert (strange.exit_code, absent.exit_code) == (2, 2)
    assert "--before 'long ago' is no date, time or length" in strange.stderr
    assert "there is no ledger at" in absent.stderr


# --- reprice ----------------------------------------------------------------------------------------------------------


def test_repricing_shows_and_writes_nothing_unless_told(cli: Cli, ledger_path: str) -> None:
    told = json.loads(cli("report", "--db", ledger_path, "--reprice", "--format", "json").stdout)

    assert told["total"] == {
        "model": None,
        "calls": 1,
        "newly_priced_calls": 1,
        "before_usd": "0",
        "after_usd": "0.005",
        "difference_usd": "0.005",
    }
    assert (told["unpriced_models"], told["written"]) == (["acme-9"], None)
    assert _calls(ledger_path) == {"call_1": None, "call_2": None}


def test_repricing_writes_when_told_and_then_finds_nothing(cli: Cli, ledger_path: str) -> None:
    result = cli("report", "--db", ledger_path, "--reprice", "--write")

    assert "+$0.005" in result.stdout
    assert "1 row was written." in result.stdout
    assert _calls(ledger_path) == {"call_1": Decimal("0.005"), "call_2": None}
    again = cli("report", "--db", ledger_path, "--reprice", "--write", "--format", "json").stdout
    assert json.loads(again)["written"] == 0


def test_repricing_keeps_to_what_is_selected(cli: Cli, ledger_path: str) -> None:
    cli("report", "--db", ledger_path, "--reprice", "--write", "--agent", "somebody-else")

    assert _calls(ledger_path) == {"call_1": None, "call_2": None}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--write",), "--write writes what --reprice found"),
        (("--check", "--reprice"), "exclude each other"),
        (("--reprice", "--format", "csv"), "--reprice has no format 'csv'"),
    ],
)
def test_what_does_not_go_together_is_refused(cli: Cli, ledger_path: str, words: tuple[str, ...], told: str) -> None:
    result = cli("report", "--db", ledger_path, *words)

    assert result.exit_code == 2
    assert told in result.stderr
