"""`agentcache report`: the ledger summed up."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agentcache.accounting.summary import Grouping, Summary, summarise
from agentcache.accounting.tool_summary import ToolSummary, summarise_tools
from agentcache.cli.arguments import moment
from agentcache.cli.printing import REPORT_WIDTH, Format, console, table_width, text_of, write_file
from agentcache.cli.settings import read_settings
from agentcache.errors import StoreError, TargetError
from agentcache.report.formats import to_json
from agentcache.report.tables import to_table
from agentcache.report.tool_tables import to_tool_table


class By(StrEnum):
    """What a row of the report stands for."""

    AGENT = "agent"
    RUN = "run"
    MODEL = "model"
    TOOL = "tool"


_GROUPINGS: Mapping[By, Grouping] = {By.AGENT: "agent", By.RUN: "run", By.MODEL: "model"}
"""What sums calls up; by tool, tool calls are."""


def report(
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    by: Annotated[By, typer.Option(help="What a row stands for.")] = By.AGENT,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only what began since then: 2026-11-22, 2026-11-22T08:30, 24h, 7d."),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Only this run and everything nested in it.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE, not stdout.")
    ] = None,
) -> None:
    """Sum the ledger up per agent, run, model or tool.

    Prints calls, tokens, what they cost, and what they would have cost without caching. By tool: how its calls were
    answered, how long they took, and what the memo saved.
    """
    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db)
    start = None if since is None else moment(since, now=time.time())
    summary = asyncio.run(_summary(settings.db_url, by, start, run))
    if output is not None:
        write_file(output, _text(summary, format_))
    elif format_ is Format.JSON:
        typer.echo(to_json(summary))
    else:
        console().print(_table(summary, table_width()))


def _text(summary: Summary | ToolSummary, format_: Format) -> str:
    return f"{to_json(summary)}\n" if format_ is Format.JSON else text_of(_table(summary, REPORT_WIDTH))


def _table(summary: Summary | ToolSummary, width: int) -> Table:
    if isinstance(summary, ToolSummary):
        return to_tool_table(summary, width=width)
    return to_table(summary, width=width)


async def _summary(url: str | None, by: By, since: float | None, run: str | None) -> Summary | ToolSummary:
    # Start-up time: the database is not needed for `--help`.
    from agentcache.stores.opening import open_ledger

    refuse_absent(url)
    ledger = await open_ledger(url)
    try:
        runs = await ledger.runs(run_id=run)
        if run is not None and not runs:
            raise TargetError(f"the ledger has no run {run!r}; `agentcache report --by run` lists their ids")
        tool_calls = await ledger.tool_calls(run_id=run, since=since)
        grouping = _GROUPINGS.get(by)
        if grouping is None:
            return summarise_tools(tool_calls)
        calls = await ledger.calls(run_id=run, since=since)
        return summarise(calls, tool_calls, by=grouping, runs=runs)
    finally:
        await ledger.close()


def refuse_absent(url: str | None) -> None:
    """Refuse a file that is not there: opening would make it, and its report would say that nothing was ever spent."""
    # Start-up time, as above.
    from agentcache.stores.opening import normal_url

    place = normal_url(url)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        raise StoreError(f"there is no ledger at {place.database}; run something first, or name another with --db")
