"""`agentcache top`: runs under way, from the ledger."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live

from agentcache.accounting.live import LiveRuns, LiveView
from agentcache.cli.moments import moment
from agentcache.cli.printing import console
from agentcache.cli.report import refuse_absent
from agentcache.cli.settings import read_settings
from agentcache.report.live_table import to_live_table

if TYPE_CHECKING:
    from agentcache.stores.protocols import LedgerReader


def top(
    db: Annotated[
        str | None, typer.Option("--db", metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, metavar="S", help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print the table once and end.")] = False,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Show runs that began or called since then: 2026-11-22T08:30, 1h, 7d.")
    ] = "1h",
) -> None:
    """Show runs under way: calls, tokens, dollars, as they come.

    What is nested in a run stands beneath it and counts in it. A run that has ended is shown for another minute. Calls
    count when they end. Ctrl-C ends it; where there is no terminal the table is printed once.
    """
    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db)
    now = time.time()
    runs = LiveRuns(window_s=max(now - moment(since, now=now), 0.0))
    shown = console()
    if once or not shown.is_terminal:
        shown.print(to_live_table(asyncio.run(_once(settings.db_url, runs))))
        return
    with Live(console=shown, auto_refresh=False) as live:

        async def show(view: LiveView) -> None:
            live.update(to_live_table(view), refresh=True)
            await asyncio.sleep(interval)

        try:
            asyncio.run(_follow(settings.db_url, runs, show))
        except KeyboardInterrupt:
            return  # how a person ends it


async def look(ledger: LedgerReader, runs: LiveRuns, *, now: float) -> LiveView:
    """Read what is new in the ledger and return the view: costs what happened since the last look, not the ledger."""
    calls = await ledger.calls(since=runs.since(now))
    found = await ledger.runs(since=runs.since(now))
    for run_id in runs.older_runs(now):
        found += await ledger.runs(run_id=run_id)
    asked: set[str] = set()
    while unknown := [run_id for run_id in runs.unknown_runs(found, calls) if run_id not in asked]:
        asked.update(unknown)
        for run_id in unknown:
            found += await ledger.runs(run_id=run_id)
            calls += await ledger.calls(run_id=run_id)
    runs.take(found, calls, now=now)
    return runs.view(now)


async def _once(url: str | None, runs: LiveRuns) -> LiveView:
    views: list[LiveView] = []

    async def keep(view: LiveView) -> None:
        views.append(view)

    await _follow(url, runs, keep, looks=1)
    return views[0]


async def _follow(
    url: str | None, runs: LiveRuns, show: Callable[[LiveView], Awaitable[None]], *, looks: int | None = None
) -> None:
    # Start-up time: the database is not needed for `--help`.
    from agentcache.stores.opening import open_ledger

    refuse_absent(url)
    ledger = await open_ledger(url)
    try:
        while looks is None or looks > 0:
            await show(await look(ledger, runs, now=time.time()))
            looks = None if looks is None else looks - 1
    finally:
        await ledger.close()
