"""`agentcache report`: the ledger summed up."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.table import Table

from agentcache.accounting.alerts import Thresholds, broken_thresholds, unchecked_agents
from agentcache.accounting.layers import LayerSummary, summarise_layers
from agentcache.accounting.misses import Miss, misses
from agentcache.accounting.repricing import Repricing
from agentcache.accounting.repricing import reprice as reprice_calls
from agentcache.accounting.section_changes import provenance_of
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import Grouping, Summary, summarise
from agentcache.accounting.tool_summary import ToolSummary, summarise_tools
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord
from agentcache.cli.arguments import moment
from agentcache.cli.printing import REPORT_WIDTH, console, table_width, text_of, write_file
from agentcache.cli.reprice import repricing_json, repricing_text
from agentcache.cli.settings import read_settings, read_thresholds
from agentcache.errors import StoreError, TargetError
from agentcache.prompt.provenance import Provenance
from agentcache.report.delimited import to_csv, to_markdown
from agentcache.report.formats import to_json
from agentcache.report.layer_tables import to_layer_table
from agentcache.report.tables import to_table
from agentcache.report.tool_tables import to_tool_table

BROKEN = 1
"""Exit code of `--check` when a threshold is broken."""


class By(StrEnum):
    """What a row of the report stands for."""

    AGENT = "agent"
    RUN = "run"
    MODEL = "model"
    DAY = "day"
    LAYER = "layer"
    TOOL = "tool"


class ReportFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "md"
    HTML = "html"


_GROUPINGS: Mapping[By, Grouping] = {By.AGENT: "agent", By.RUN: "run", By.MODEL: "model", By.DAY: "day"}
"""What sums calls up; by layer, their prompts are; by tool, tool calls."""

_Summed: TypeAlias = Summary | LayerSummary | ToolSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Which rows of which ledger: of one run with everything nested in it, from `since` on (Unix seconds)."""

    url: str | None
    run: str | None
    since: float | None
    only: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What a ledger answers: more than is counted, for `only` is applied where it is summed up."""

    runs: Sequence[RunRecord]
    calls: Sequence[CallRecord]
    tool_calls: Sequence[ToolCallRecord]
    only: Selection
    missed: Sequence[Miss]
    provenance: Mapping[str, Provenance]
    """What calls missed, and what their sections are made of: for the page, and empty for all else."""

    def summary(self, by: By) -> _Summed:
        """Return the rows summed up."""
        if by is By.LAYER:
            return summarise_layers(self.calls, only=self.only)
        grouping = _GROUPINGS.get(by)
        return self.tools() if grouping is None else self.by(grouping)

    def by(self, grouping: Grouping) -> Summary:
        """Return the calls summed up."""
        return summarise(self.calls, self.tool_calls, by=grouping, runs=self.runs, only=self.only)

    def days_of(self, agents: Iterable[str]) -> dict[str, Summary]:
        """Return the calls of each of these agents that is asked about, by day."""
        asked = [name for name in agents if self.only.agent in {None, name}]
        return {name: summarise(self.calls, by="day", only=replace(self.only, agent=name)) for name in asked}

    def tools(self) -> ToolSummary:
        """Return the tool calls summed up."""
        known = {call.call_id: call for call in self.calls}
        return summarise_tools(call for call in self.tool_calls if self.only.has_tool_call(call, known))

    def html(self, made_at: float) -> str:
        """Return the page with everything."""
        # Start-up time: templates and pictures are for this format only.
        from agentcache.report.page import to_html

        return to_html(
            self.calls,
            self.tool_calls,
            self.runs,
            made_at=made_at,
            only=self.only,
            missed=self.missed,
            provenance=self.provenance,
        )


def report(
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    by: Annotated[By, typer.Option(help="What a row stands for.")] = By.AGENT,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only what began since then: 2026-11-22, 2026-11-22T08:30, 24h, 7d."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only what began before then; written as --since is.")
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Only this run and everything nested in it.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="Only this agent's own calls.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only calls of this model.")] = None,
    format_: Annotated[
        ReportFormat, typer.Option("--format", help="How to print; html is a page with all of it, whatever --by says.")
    ] = ReportFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE, not stdout.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Print what breaks [tool.agentcache.alerts], and exit with 1 if anything.")
    ] = False,
    reprice: Annotated[
        bool, typer.Option("--reprice", help="Print what today's prices of each call's day change in its row.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="With --reprice: change the rows.")] = False,
) -> None:
    """Sum the ledger up per agent, run, model, day (UTC), layer of the prompts, or tool.

    Prints calls, tokens, what they cost, and what they would have cost without caching. By tool: how its calls were
    answered, how long they took, and what the memo saved. By layer: what each layer of an agent's prompts was billed.
    """
    _check_modes(format_, check=check, reprice=reprice, write=write)
    folder, now = Path.cwd(), time.time()
    settings = read_settings(environment=os.environ, folder=folder).overridden(db_url=db)
    thresholds = read_thresholds(folder) if check else None
    end = None if until is None else moment(until, now=now, option="--until")
    question = _Question(
        url=settings.db_url,
        run=run,
        since=None if since is None else moment(since, now=now),
        only=Selection(agent=agent, model=model, until=end),
    )
    if reprice:
        repricing, written = asyncio.run(_repriced(question, write=write))
        told = repricing_json if format_ is ReportFormat.JSON else repricing_text
        _put(told(repricing, written), output)
        return
    with _uncollected():
        rows = asyncio.run(_rows(question, places=format_ is ReportFormat.HTML))
        if thresholds is not None:
            _check(rows, thresholds, output)
            return
        if format_ is ReportFormat.HTML:
            _put(rows.html(now), output)
            return
        summary = rows.summary(by)
    if output is None and format_ is ReportFormat.TABLE:
        console().print(_table(summary, table_width()))
    else:
        _put(_text(summary, format_, REPORT_WIDTH), output)


def _check(rows: _Rows, thresholds: Thresholds, output: Path | None) -> None:
    """Tell what is broken, a sentence a line, and exit with 1 if anything is; tell on stderr what was not checked."""
    by_agent, agents = rows.by("agent"), rows.days_of(thresholds.agents)
    broken = broken_thresholds(thresholds, by_agent=by_agent, by_day=rows.by("day"), agents=agents)
    for sentence in unchecked_agents(agents, {row.agent for row in by_agent.rows if row.agent}):
        typer.echo(f"warning: {sentence}", err=True)
    _put("".join(f"{sentence}\n" for sentence in broken), output)
    if broken:
        raise typer.Exit(BROKEN)


def _check_modes(format_: ReportFormat, *, check: bool, reprice: bool, write: bool) -> None:
    if check and reprice:
        raise TargetError("--check and --reprice exclude each other; give one of them")
    if write and not reprice:
        raise TargetError("--write writes what --reprice found; give both, or neither")
    if reprice and format_ not in {ReportFormat.TABLE, ReportFormat.JSON}:
        raise TargetError(f"--reprice has no format {format_.value!r}; there are table and json")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the garbage collector out: it would look again and again through rows that all stay, for no cycle.

    That is a third of the time of a report on many rows.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _put(text: str, output: Path | None) -> None:
    if output is not None:
        write_file(output, text)
    else:
        typer.echo(text, nl=False)


def _text(summary: _Summed, format_: ReportFormat, width: int) -> str:
    """Return the summary in a format of its own; the page is none, for it has all summaries."""
    match format_:
        case ReportFormat.JSON:
            return f"{to_json(summary)}\n"
        case ReportFormat.CSV:
            return to_csv(summary)
        case ReportFormat.MARKDOWN:
            return to_markdown(summary)
        case _:
            return text_of(_table(summary, width))


def _table(summary: _Summed, width: int) -> Table:
    if isinstance(summary, ToolSummary):
        return to_tool_table(summary, width=width)
    if isinstance(summary, LayerSummary):
        return to_layer_table(summary, width=width)
    return to_table(summary, width=width)


async def _rows(question: _Question, *, places: bool) -> _Rows:
    # Start-up time: the database is not needed for `--help`.
    from agentcache.stores.opening import open_ledger

    refuse_absent(question.url)
    run, since = question.run, question.since
    ledger = await open_ledger(question.url)
    try:
        runs = await ledger.runs(run_id=run)
        if run is not None and not runs:
            raise TargetError(f"the ledger has no run {run!r}; `agentcache report --by run` lists their ids")
        calls = await ledger.calls(run_id=run, since=since, text=False)
        missed = misses(calls) if places else ()
        return _Rows(
            runs=runs,
            calls=calls,
            tool_calls=await ledger.tool_calls(run_id=run, since=since),
            only=question.only,
            missed=missed,
            provenance=await ledger.provenance(provenance_of(missed)),
        )
    finally:
        await ledger.close()


async def _repriced(question: _Question, *, write: bool) -> tuple[Repricing, int | None]:
    # Start-up time, as above.
    from agentcache.stores.opening import open_ledger

    refuse_absent(question.url)
    ledger = await open_ledger(question.url)
    try:
        calls = await ledger.calls(run_id=question.run, since=question.since, text=False)
        repricing = reprice_calls(call for call in calls if question.only.has_call(call))
        return repricing, await ledger.reprice_calls(repricing.calls) if write else None
    finally:
        await ledger.close()


def refuse_absent(url: str | None, what: str = "ledger") -> None:
    """Refuse a file that is not there, or empty: opening would make it, and tell that nothing was ever spent."""
    # Start-up time, as above.
    from agentcache.stores.opening import normal_url

    place = normal_url(url)
    path = Path(place.database or "")
    if place.get_backend_name() == "sqlite" and not (path.is_file() and path.stat().st_size):
        raise StoreError(f"there is no {what} at {path}; run something first, or name another database")
