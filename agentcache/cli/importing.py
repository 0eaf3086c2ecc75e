"""`agentcache import`: other people's traffic into the ledger."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentcache.cli.saying import say
from agentcache.cli.settings import read_settings
from agentcache.errors import TargetError

if TYPE_CHECKING:
    from agentcache.accounting.claude_code import Transcripts
    from agentcache.accounting.imported import ImportedRows
    from agentcache.prompt.canonical import JsonObject
    from agentcache.simulate.log_rows import LoggedCalls, TracedCalls
    from agentcache.stores.protocols import Ledger, LedgerRow

_AT_ONCE = 1000
"""Rows that wait for one commit together."""


class LogFormat(StrEnum):
    """What the lines of a file are."""

    AUTO = "auto"
    REQUEST_LOG = "request-log"
    CLAUDE_CODE = "claude-code"
    TRACE = "trace"


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files of JSON lines (.gz, .xz), or directories of .jsonl.")
    ],
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    format_: Annotated[LogFormat, typer.Option("--format", help="What the lines are; `auto` looks at each.")] = (
        LogFormat.AUTO
    ),
    keep_text: Annotated[
        bool, typer.Option("--keep-text", help="Keep requests and replies of request logs; by default only counts.")
    ] = False,
) -> None:
    """Read request logs, Claude Code sessions and traces into the ledger.

    Each call counts once, however many files and lines tell of it; importing a file again changes nothing.
    """
    # Start-up time: readers and database are not needed for `--help`.
    from agentcache.simulate.traffic import text_lines

    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db)
    reading = ForeignLines.begin(format_, keep_text=keep_text)
    for path in files_of(files):
        for number, text in text_lines(path):
            reading.take(text, f"{path}, line {number}")
    rows = reading.rows()
    if not any(part.calls for part in rows):
        tell_left_out(reading)
        raise TargetError("there is no call in these files; give request logs, Claude Code sessions or traces")
    added = asyncio.run(_write(settings.db_url, rows))
    _tell(rows, added)
    tell_left_out(reading)


@dataclass(slots=True)
class ForeignLines:
    """What has been read of files that others wrote, and what could not be."""

    wanted: LogFormat
    transcripts: Transcripts
    logged: LoggedCalls
    traced: TracedCalls
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, wanted: LogFormat, *, keep_text: bool) -> ForeignLines:
        """Return a reading of nothing yet. keep_text: whether requests of request logs go into the rows."""
        from agentcache.accounting.claude_code import Transcripts  # start-up time, as above
        from agentcache.simulate.log_rows import LoggedCalls, TracedCalls

        return cls(wanted, Transcripts(), LoggedCalls(keep_text=keep_text), TracedCalls())

    def rows(self) -> list[ImportedRows]:
        """Return what was read, a part for each format."""
        return [self.transcripts.rows(), self.logged.rows(), self.traced.rows()]

    def take(self, text: str, where: str) -> None:
        """Take in a line; one that cannot be read is counted."""
        from agentcache.simulate.traffic import json_object  # start-up time, as above

        try:
            line = json_object(text, where=where)
        except TargetError as error:
            self._leave_out("is no JSON object", str(error))
            return
        match self._format_of(line):
            case LogFormat.CLAUDE_CODE:
                self._told("tells of no call that can be read", self.transcripts.take(line), where)
            case LogFormat.REQUEST_LOG:
                self._told("is no call of a request log", self.logged.take(line, where=where), "")
            case LogFormat.TRACE:
                self._told("is a trace that lacks times or is not sound", self.traced.take(line, where=where), "")
            case _:
                self._leave_out("is of no format known here", where)

    def _format_of(self, line: JsonObject) -> LogFormat:
        from agentcache.accounting.claude_code import is_transcript  # start-up time, as above
        from agentcache.simulate.traces import is_trace

        if self.wanted is not LogFormat.AUTO:
            return self.wanted
        if is_trace(line):
            return LogFormat.TRACE
        if "request" in line:
            return LogFormat.REQUEST_LOG
        return LogFormat.CLAUDE_CODE if is_transcript(line) else LogFormat.AUTO

    def _told(self, what: str, why: str | None, where: str) -> None:
        if why is not None:
            self._leave_out(what, f"{where}: {why}" if where else why)

    def _leave_out(self, what: str, example: str) -> None:
        self.left_out[what] += 1
        self.first.setdefault(what, example)


def files_of(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield files, and those of directories in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.jsonl"))
        else:
            yield path


async def _write(url: str | None, parts: Sequence[ImportedRows]) -> int:
    """Write what the ledger lacks and return how many calls that were."""
    from agentcache.stores.opening import open_ledger  # start-up time, as above

    ledger = await open_ledger(url)
    try:
        return sum([await _write_part(ledger, rows) for rows in parts if rows.calls])
    finally:
        await ledger.close()


async def _write_part(ledger: Ledger, rows: ImportedRows) -> int:
    from agentcache.accounting.imported import new_to  # start-up time, as above
    from agentcache.accounting.usage import CallRecord

    ids = {call.call_id for call in rows.calls} | {call.message_id for call in rows.calls if call.message_id}
    there: list[CallRecord] = []

    def take(row: LedgerRow) -> None:
        if isinstance(row, CallRecord) and (row.call_id in ids or row.message_id in ids):
            there.append(row)

    await ledger.visit(take)
    lacking = new_to(rows, runs={run.run_id: run for run in await ledger.runs()}, calls=there)
    for run in lacking.runs:
        await ledger.reopen_run(run)
    for start in range(0, len(lacking.calls), _AT_ONCE):
        await asyncio.gather(*map(ledger.put_call, lacking.calls[start : start + _AT_ONCE]))
    for start in range(0, len(lacking.tool_calls), _AT_ONCE):
        await asyncio.gather(*map(ledger.ensure_tool_call, lacking.tool_calls[start : start + _AT_ONCE]))
    return len(lacking.calls)


def _tell(parts: Sequence[ImportedRows], added: int) -> None:
    found = [call for rows in parts for call in rows.calls]
    unknown = sum(call.usage is None for call in found)
    runs = sum(len(rows.runs) for rows in parts)
    say(f"{len(found):,} calls in {runs:,} runs were read; {added:,} of them are new to the ledger.")
    if unknown:
        say(f"{unknown:,} calls have no recorded usage; reports show them as unattributed.")


def tell_left_out(reading: ForeignLines) -> None:
    """Say on stderr how many lines could not be read, by reason, each with the first."""
    for what, count in reading.left_out.items():
        lines = "1 line" if count == 1 else f"{count:,} lines"
        say(f"agentcache: {lines} left out: {what} (the first: {reading.first[what]})", err=True)
