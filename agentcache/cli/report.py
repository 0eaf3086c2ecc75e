"""`agentcache report`: the ledger summed up."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agentcache.accounting.summary import Grouping, Summary, summarise
from agentcache.accounting.tool_summary import ToolSummary, summarise_tools
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord
from agentcache.cli.arguments import moment
from agentcache.cli.printing import REPORT_WIDTH, console, table_width, text_of, write_file
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


class ReportFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


_GROUPINGS: Mapping[By, Grouping] = {By.AGENT: "agent", By.RUN: "run", By.MODEL: "model"}
"""What sums calls up; by tool, tool calls are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What a ledger answers."""

    runs: Sequence[RunRecord]
    calls: Sequence[CallRecord]
    tool_calls: Sequence[ToolCallRecord]

    def summary(self, by: By) -> Summary | ToolSummary:
        """Return the rows summed up."""
        grouping = _GROUPINGS.get(by)
        if grouping is None:
            return summarise_tools(self.tool_calls)
        return summarise(self.calls, self.tool_calls, by=grouping, runs=self.runs)

    def html(self, made_at: float) -> str:
        """Return the page with everything."""
        # Start-up time: templates and pictures are for this format only.
        from agentcache.report.page import to_html

        return to_html(self.calls, self.tool_calls, self.runs, made_at=made_at)


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
    format_: Annotated[
        ReportFormat, typer.Option("--format", help="How to print; html is a page with all of it, whatever --by says.")
    ] = ReportFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE, not stdout.")
    ] = None,
) -> None:
    """Sum the ledger up per agent, run, model or tool.

    Prints calls, tokens, what they cost, and what they would have cost without caching. By tool: how its calls were
    answered, how long they took, and what the memo saved.
    """
    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db)
    now = time.time()
    start = None if since is None else moment(since, now=now)
    rows = asyncio.run(_rows(settings.db_url, start, run))
    if format_ is ReportFormat.HTML:
        text = rows.html(now)
    elif output is None and format_ is ReportFormat.TABLE:
        console().print(_table(rows.summary(by), table_width()))
        return
    else:
        text = _text(rows.summary(by), format_)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_file(output, text)


def _text(summary: Summary | ToolSummary, format_: ReportFormat) -> str:
    return f"{to_json(summary)}\n" if format_ is ReportFormat.JSON else text_of(_table(summary, REPORT_WIDTH))


def _table(summary: Summary | ToolSummary, width: int) -> Table:
    if isinstance(summary, ToolSummary):
        return to_tool_table(summary, width=width)
    return to_table(summary, width=width)


async def _rows(url: str | None, since: float | None, run: str | None) -> _Rows:
    # Start-up time: the database is not needed for `--help`.
    from agentcache.stores.opening import open_ledger

    refuse_absent(url)
    ledger = await open_ledger(url)
    try:
        runs = await ledger.runs(run_id=run)
        if run is not None and not runs:
            raise TargetError(f"the ledger has no run {run!r}; `agentcache report --by run` lists their ids")
        return _Rows(
            runs=runs,
            calls=await ledger.calls(run_id=run, since=since),
            tool_calls=await ledger.tool_calls(run_id=run, since=since),
        )
    finally:
        await ledger.close()


def refuse_absent(url: str | None) -> None:
    """Refuse a file that is not there: opening would make it, and its report would say that nothing was ever spent."""
    # Start-up time, as above.
    from agentcache.stores.opening import normal_url

    place = normal_url(url)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        raise StoreError(f"there is no ledger at {place.database}; run something first, or name another with --db")
