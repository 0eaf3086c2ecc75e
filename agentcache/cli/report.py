"""`agentcache report`: the ledger summed up."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.table import Table

from agentcache.accounting.layers import LayerSummary, summarise_layers
from agentcache.accounting.repricing import Repricing
from agentcache.accounting.repricing import reprice as reprice_calls
from agentcache.accounting.rollup import Rollup, rollup_of
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import Grouping, Summary, summary_of
from agentcache.accounting.tool_summary import ToolSummary, summarise_tools
from agentcache.accounting.usage import RunRecord
from agentcache.cli.moments import moment
from agentcache.cli.page_content import ledger_content, with_provenance
from agentcache.cli.printing import REPORT_WIDTH, console, table_width, text_of, write_file
from agentcache.cli.reprice import repricing_json, repricing_text
from agentcache.cli.saying import hand_over, say
from agentcache.cli.settings import read_settings
from agentcache.errors import StoreError, TargetError
from agentcache.report.delimited import to_csv, to_markdown
from agentcache.report.formats import to_json
from agentcache.report.layer_tables import to_layer_table
from agentcache.report.tables import to_table
from agentcache.report.tool_tables import to_tool_table
from agentcache.visible import visible

if TYPE_CHECKING:
    from agentcache.accounting.alerts import Thresholds
    from agentcache.stores.protocols import Ledger

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
    thresholds = _thresholds(folder) if check else None
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
        if thresholds is not None:
            rollup, _ = asyncio.run(_rollup(question, now, by_run=False))
            _check(rollup, thresholds, question.only, output)
            return
        if format_ is ReportFormat.HTML:
            _put(asyncio.run(_page(question, now)), output)
            return
        summary = asyncio.run(_summary(question, by, now))
    if output is None and format_ is ReportFormat.TABLE:
        console().print(_table(summary, table_width()))
    else:
        _put(_text(summary, format_, REPORT_WIDTH), output)


def _thresholds(folder: Path) -> Thresholds:
    # Start-up time: thresholds are checked by pydantic, which no other report needs.
    from agentcache.cli.thresholds import read_thresholds

    return read_thresholds(folder)


def _check(rollup: Rollup, thresholds: Thresholds, only: Selection, output: Path | None) -> None:
    """Tell what is broken, a sentence a line, and exit with 1 if anything is; tell on stderr what was not checked."""
    from agentcache.accounting.alerts import broken_thresholds, unchecked_agents  # start-up time, as above

    by_agent, agents = summary_of(rollup), _days_of(rollup, thresholds.agents, only)
    broken = broken_thresholds(thresholds, by_agent=by_agent, by_day=summary_of(rollup, by="day"), agents=agents)
    for sentence in unchecked_agents(agents, {row.agent for row in by_agent.rows if row.agent}):
        say(f"warning: {sentence}", err=True)
    _put("".join(f"{visible(sentence)}\n" for sentence in broken), output)
    if broken:
        raise typer.Exit(BROKEN)


def _days_of(rollup: Rollup, agents: Iterable[str], only: Selection) -> dict[str, Summary]:
    """Return the calls of each of these agents that is asked about, by day."""
    asked = [name for name in agents if only.agent in {None, name}]
    own = {name: {key: sums for key, sums in rollup.calls.items() if key.agent == name} for name in asked}
    return {name: summary_of(Rollup(calls=calls), by="day") for name, calls in own.items()}


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
        hand_over(text)


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


async def _rollup(question: _Question, now: float, *, by_run: bool) -> tuple[Rollup, Sequence[RunRecord]]:
    """Return what a ledger comes to, and its runs if they are asked for.

    What is old enough is summed up for good first, so that the next report need not read it. One run is summed up from
    its rows: what others read of what it wrote is not looked at.
    """
    only = replace(question.only, since=question.since)
    async with _opened(question) as ledger:
        if question.run is not None:
            runs = await _runs(ledger, question)
            calls = await ledger.calls(run_id=question.run, text=False)
            return rollup_of(calls, await ledger.tool_calls(run_id=question.run), only=only), runs
        await ledger.seal(now=now)
        rollup = await ledger.rollup(only=only, by_run=by_run)
        return rollup, await ledger.runs() if by_run else ()


async def _runs(ledger: Ledger, question: _Question) -> Sequence[RunRecord]:
    runs = await ledger.runs(run_id=question.run)
    if question.run is not None and not runs:
        raise TargetError(f"the ledger has no run {question.run!r}; `agentcache report --by run` lists their ids")
    return runs


async def _summary(question: _Question, by: By, now: float) -> _Summed:
    """Return the ledger summed up: from what it has summed up itself or, by layer and by tool, from rows."""
    grouping = _GROUPINGS.get(by)
    if grouping is not None:
        rollup, runs = await _rollup(question, now, by_run=grouping == "run")
        return summary_of(rollup, by=grouping, runs=runs)
    async with _opened(question) as ledger:
        run, since = question.run, question.since
        if run is not None:
            await _runs(ledger, question)
        if by is By.LAYER:
            return summarise_layers(await ledger.calls(run_id=run, since=since, text=False), only=question.only)
        if run is None:
            return summarise_tools(await ledger.tool_results(only=replace(question.only, since=since)))
        known = {call.call_id: call for call in await ledger.calls(run_id=run, text=False)}
        tool_calls = await ledger.tool_calls(run_id=run, since=since)
        return summarise_tools(call for call in tool_calls if question.only.has_tool_call(call, known))


async def _page(question: _Question, now: float) -> str:
    """Return the page with everything. Of a ledger with many calls, the prompts of the newest are looked at."""
    # Start-up time: templates and pictures are for this format only.
    from agentcache.report.page import drawn_page
    from agentcache.report.page_content import content_of

    async with _opened(question) as ledger:
        if question.run is None:
            await ledger.seal(now=now)
            content = await ledger_content(ledger, replace(question.only, since=question.since))
            return drawn_page(content, made_at=now)
        runs, run, since = await _runs(ledger, question), question.run, question.since
        calls = await ledger.calls(run_id=run, since=since, text=False)
        tool_calls = await ledger.tool_calls(run_id=run, since=since)
        content = content_of(calls, tool_calls, runs, only=question.only)
        return drawn_page(await with_provenance(content, ledger), made_at=now)


@asynccontextmanager
async def _opened(question: _Question) -> AsyncIterator[Ledger]:
    # Start-up time: the database is not needed for `--help`.
    from agentcache.stores.opening import open_ledger

    refuse_absent(question.url)
    ledger = await open_ledger(question.url)
    try:
        yield ledger
    finally:
        await ledger.close()


async def _repriced(question: _Question, *, write: bool) -> tuple[Repricing, int | None]:
    async with _opened(question) as ledger:
        calls = await ledger.calls(run_id=question.run, since=question.since, text=False)
        repricing = reprice_calls(call for call in calls if question.only.has_call(call))
        return repricing, await ledger.reprice_calls(repricing.calls) if write else None


def refuse_absent(url: str | None, what: str = "ledger") -> None:
    """Refuse a file that is not there, or empty: opening would make it, and tell that nothing was ever spent."""
    # Start-up time, as above.
    from agentcache.stores.opening import normal_url

    place = normal_url(url)
    path = Path(place.database or "")
    if place.get_backend_name() == "sqlite" and not (path.is_file() and path.stat().st_size):
        raise StoreError(f"there is no {what} at {path}; run something first, or name another database")
