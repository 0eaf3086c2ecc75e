"""`agentcache prune`: what the ledger no longer keeps."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentcache.cli.moments import moment
from agentcache.cli.report import refuse_absent
from agentcache.cli.saying import say
from agentcache.cli.settings import read_settings
from agentcache.errors import SettingsError, TargetError

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
    durable: Annotated[
        bool, typer.Option("--durable", help="Remove records of finished durable runs instead; the ledger stays.")
    ] = False,
    durable_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="With --durable: their database, if `Durable(url=...)` names one."),
    ] = None,
) -> None:
    """Remove old runs with their calls and tool calls, and messages that no conversation needs.

    What is removed is in no report any more: write one with `agentcache report --until WHEN -o FILE` first.

    With --durable, what is removed is the record by which a durable run that finished is not run again: its arguments,
    replies and tool results. Runs that can still go on stay, however old.
    """
    if durable_url is not None and not durable:
        raise TargetError("--durable-url says where durable runs are; give --durable too")
    url = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db).db_url
    now = time.time()
    end = moment(before, now=now, option="--before")
    if durable:
        say(_durable_pruned(url, durable_url, before=end, now=now, dry_run=dry_run))
        return
    refuse_absent(url)
    pruned, messages = asyncio.run(_pruned(url, end, dry_run=dry_run))
    runs, calls = _counted(pruned.runs, "run"), _counted(pruned.calls, "call")
    counts = f"{runs}, {calls} and {_counted(pruned.tool_calls, 'tool call')}"
    if messages is None:
        say(f"would remove {counts}; messages are counted when they go")
    else:
        say(f"removed {counts}, and {_counted(messages, 'message')} that no conversation needs")


def _durable_pruned(url: str | None, durable_url: str | None, *, before: float, now: float, dry_run: bool) -> str:
    """Remove records of durable runs, and return what is said of it."""
    try:
        # An optional extra, and start-up time.
        from agentcache.workflow.durable_database import database_of
        from agentcache.workflow.durable_pruning import prune_durable_runs
        from agentcache.workflow.durable_runs import Durable
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"durable runs need the package {error.name}; install it (pip install 'agentcache-claude[durable]')"
        ) from error
    place = database_of(Durable(url=durable_url), url)
    refuse_absent(place, what="record of durable runs")
    pruned = asyncio.run(prune_durable_runs(place, before=before, now=now, dry_run=dry_run))
    gone = f"{'would remove' if dry_run else 'removed'} the record of {_counted(pruned.runs, 'finished durable run')}"
    if not pruned.can_go_on:
        return gone
    which = "was cancelled can go on and stays" if pruned.can_go_on == 1 else "were cancelled can go on and stay"
    return f"{gone}; {_counted(pruned.can_go_on, 'run')} that failed or {which}"


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
