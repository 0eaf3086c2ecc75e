"""Why calls of recorded sessions fell short: the part of `agentcache explain --log` for what has no requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from agentcache.accounting.shortfall_findings import explain_recorded, shares_by_cause
from agentcache.accounting.shortfalls import followed
from agentcache.cli.importing import ForeignLines, LogFormat, files_of, tell_left_out
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject
from agentcache.simulate.traces import is_trace
from agentcache.simulate.traffic import json_object, text_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Findings on recorded sessions, and how many calls there were and carried another one on."""

    findings: Sequence[JsonObject]
    calls: int
    followed: int

    def to_json(self) -> JsonObject:
        """Return what `--format json` prints."""
        shares: Sequence[JsonObject] = shares_by_cause(self.findings)
        return {
            "findings": list(self.findings),
            "calls": self.calls,
            "followed": self.followed,
            "shares": list(shares),
        }


def is_recorded(log: Path) -> bool:
    """Tell whether a file holds traces or a Claude Code session, by its first line, or a directory those.

    Raises `TargetError` for a file that cannot be read.
    """
    if log.is_dir():
        return True
    for number, text in text_lines(log):
        line = json_object(text, where=f"{log}, line {number}")
        return is_trace(line) or (isinstance(line.get("type"), str) and "request" not in line)
    return False


def recorded_findings(log: Path) -> Recorded:
    """Return what the calls of recorded sessions lost. Lines that cannot be read are counted on stderr.

    Raises `TargetError` when no call has times and usage, which is all that there is to go by.
    """
    reading = ForeignLines.begin(LogFormat.AUTO, keep_text=False)
    for path in files_of([log]):
        for number, text in text_lines(path):
            reading.take(text, f"{path}, line {number}")
    tell_left_out(reading)
    calls = [call for part in reading.rows() for call in part.calls]
    if not any(call.usage for call in calls):
        raise TargetError(
            f"no call in {log} has a time and usage; without requests, nothing else tells why calls missed"
        )
    findings: list[JsonObject] = [
        {**each, "path": str(log), "line": None, "column": None} for each in explain_recorded(calls)
    ]
    return Recorded(findings=findings, calls=len(calls), followed=followed(calls))


def shares_table(told: Recorded) -> Table:
    """Return the findings counted by cause, for a terminal."""
    table = Table(
        title=f"{told.calls:,} calls; {told.followed:,} carry another one on; {len(told.findings):,} fell short"
    )
    table.add_column("cause")
    table.add_column("known")
    table.add_column("code")
    table.add_column("calls", justify="right")
    table.add_column("lost tokens", justify="right")
    for share in shares_by_cause(told.findings):
        table.add_row(
            str(share["cause"]),
            str(share["certainty"]),
            Text(str(share["code"] or "")),
            f"{share['calls']:,}",
            f"{share['lost_tokens']:,}",
        )
    return table
