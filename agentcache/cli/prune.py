"""`agentcache prune`: what the ledger no longer keeps."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentcache.cli.arguments import moment
from agentcache.cli.report import refuse_absent
from agentcache.cli.settings import read_settings

if TYPE_CHECKING:
    from agentcache.stores.protocols import PrunedRuns


def prune(
    before: Annotated[
        str, typer.Option(metavar="WHEN", help="Runs that ended before then go: 2026-08-22, 2026-08-22T08:30, 90d.")
    ],
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
) -> None:
    """Remove old runs with their calls and tool calls, and messages that no conversation needs.

    What is removed is in no report any more: write one with `agentcache report --until WHEN -o FILE` first.
    """
    url = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db).db_url
    refuse_absent(url)
    end = moment(before, now=time.time(), option="--before")
    pruned, messages = asyncio.run(_pruned(url, end, dry_run=dry_run))
    runs, calls = _counted(pruned.runs, "run"), _counted(pruned.calls, "call")
    counts = f"{runs}, {calls} and {_counted(pruned.tool_calls, 'tool call')}"
    if messages is None:
        typer.echo(f"would remove {counts}; messages are counted when they go")
    else:
        typer.echo(f"removed {counts}, and {_counted(messages, 'message')} that no conversation needs")


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


async def _pruned(url: str | None, before: float, *, dry_run: bool) -> tuple[PrunedRuns, int | None]:
    # Start-up time: the database is not needed for `--help`.
    from agentcache.stores.opening import open_ledger

    ledger = await open_ledger(url)
    try:
        pruned = await ledger.prune_runs(before=before, dry_run=dry_run)
        if dry_run:
            return pruned, None
        messages = await ledger.prune_messages()
        await ledger.compact()
        return pruned, messages
    finally:
        await ledger.close()
