"""Findings on a ledger's calls, as `agentcache explain` will print them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentcache import Agent, Prompt, Runtime
from agentcache.cli.app import app
from agentcache.cli.explain_ledger import findings_text, ledger_findings
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.server import serve
from agentcache.errors import StoreError, TargetError
from tests.scenarios.stage import MODEL, prose

CLERK = Agent(
    name="clerk",
    model=MODEL,
    prompt=Prompt(static=prose("orders", 150), session="It is {{ now }}. " + prose("news", 120)),
)


@pytest.fixture
async def ledger(tmp_path: Path) -> tuple[str, list[str]]:
    """A ledger with two runs of one conversation, whose session section changed; its URL and the runs' ids."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    clock = VirtualClock()
    async with (
        serve(lambda request: "ok", clock=clock) as emulator,
        Runtime(url, base_url=emulator.base_url, clock=clock.now) as runtime,
    ):
        runs = []
        for now in ("noon", "one"):
            runs.append((await runtime.run(CLERK, "What is new?", session={"now": now}, conversation="c")).run_id)
            await clock.advance(10)
    return url, runs


async def test_the_place_that_changed_is_named_with_section_and_layer(ledger: tuple[str, list[str]]):
    url, (_, second) = ledger

    page = findings_text(await ledger_findings(url, run=second)).plain

    assert "moved PC057" in page
    assert "system[1] (section 'session', layer session)" in page


async def test_a_run_that_lost_nothing_has_no_findings_though_the_ledger_has(ledger: tuple[str, list[str]]):
    url, (first, _) = ledger

    (found,) = await ledger_findings(url)

    assert await ledger_findings(url, run=first) == []
    assert await ledger_findings(url, call=str(found["call"])) == [found]
    assert findings_text([]).plain.startswith("No call read less")


async def test_a_run_or_call_that_is_not_there_is_said_to_be_missing(ledger: tuple[str, list[str]]):
    with pytest.raises(TargetError, match="no run 'run_0'"):
        await ledger_findings(ledger[0], run="run_0")
    with pytest.raises(TargetError, match="no call 'call_0'"):
        await ledger_findings(ledger[0], call="call_0")


async def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path):
    with pytest.raises(StoreError, match="no ledger"):
        await ledger_findings(f"sqlite:///{tmp_path / 'none.db'}")


async def test_the_command_explains_a_whole_ledger_where_no_run_is_named(ledger: tuple[str, list[str]]):
    url, (first, second) = ledger

    whole = await asyncio.to_thread(CliRunner().invoke, app, ["explain", "--db", url])
    apart = await asyncio.to_thread(CliRunner().invoke, app, ["explain", "--db", url, "--run", second])
    both = await asyncio.to_thread(CliRunner().invoke, app, ["explain", "--run", first, "--call", "call_0"])

    assert (whole.exit_code, "PC057" in whole.stdout) == (1, True)
    assert whole.stdout == apart.stdout
    assert both.exit_code == 2
    assert "explain takes at most one of" in both.output


@pytest.mark.parametrize("told", ["json", "csv", "md", "table"])
async def test_the_report_by_layer_has_a_row_for_each_layer(ledger: tuple[str, list[str]], told: str):
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["report", "--db", ledger[0], "--by", "layer", "--format", told]
    )

    assert result.exit_code == 0, result.output
    assert all(layer in result.output for layer in ("static", "session", "history", "turn"))


async def test_a_run_is_explained_as_the_whole_ledger_explains_it(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    clock, runs = VirtualClock(), []
    async with (
        serve(lambda request: "ok", clock=clock) as emulator,
        Runtime(url, base_url=emulator.base_url, clock=clock.now) as runtime,
    ):
        for pause, conversation in ((10, "a"), (10, "b"), (7_300, "a"), (10, "b"), (90_000, "c"), (400, "a")):
            session = {"now": "noon" if pause < 100 else "one"}
            result = await runtime.run(CLERK, "What is new?", session=session, conversation=conversation)
            runs.append(result.run_id)
            await clock.advance(pause)

    whole = await ledger_findings(url)
    apart = [found for run in runs for found in await ledger_findings(url, run=run)]

    assert len(whole) >= 3
    assert [(found["call"], found["cause"], found["lost_tokens"]) for found in apart] == [
        (found["call"], found["cause"], found["lost_tokens"]) for found in whole
    ]
