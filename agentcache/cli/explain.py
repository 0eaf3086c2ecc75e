"""`agentcache explain`: why the calls of a request log, or of the ledger, missed the cache."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentcache.accounting.pricing import plain_usd
from agentcache.cli.explain_ledger import findings_text, ledger_findings
from agentcache.cli.printing import console, hand_over_json
from agentcache.cli.saying import say
from agentcache.cli.settings import read_settings
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject
from agentcache.visible import visible

if TYPE_CHECKING:
    from agentcache.accounting.explaining.suspects import Explanation

FOUND = 1
"""Exit code when there is a finding; 0 when there is none, 2 when the log could not be read."""


class ExplainFormat(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"


def explain(
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A request log, a trace file, a Claude Code session or a directory of them; .gz and .xz.",
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="A run of the ledger, with all nested in it.")] = None,
    call: Annotated[str | None, typer.Option(metavar="ID", help="One call of the ledger.")] = None,
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    format_: Annotated[ExplainFormat, typer.Option("--format", help="How to print.")] = ExplainFormat.TEXT,
) -> None:
    """Tell why calls missed the cache: which call, which block, what changed, and the fix.

    Of a request log (`--log`), whoever wrote it: no conversation ids are needed, which earlier call each should have
    continued is found in it. Traces and Claude Code sessions have bills and no requests; what those prove is told, and
    what stays open is told as such. Or of the ledger: of all its calls, or of a run or a call (`--run`, `--call`). Exit
    code 0 without findings, 1 with, 2 when it could not be read.
    """
    if [log, run, call].count(None) < 2 or (log is not None and db is not None):
        raise TargetError("explain takes at most one of --log FILE, --run ID and --call ID, and --log without --db")
    found = _explain_ledger(run, call, db, format_) if log is None else _explain_log(log, format_)
    if found:
        raise typer.Exit(FOUND)


def _explain_log(log: Path, format_: ExplainFormat) -> bool:
    # Imported here, for the start-up of every other command.
    from agentcache.accounting.explaining.explanation import explain_calls
    from agentcache.cli.explain_recorded import is_recorded
    from agentcache.simulate.explained_logs import logged_calls

    if is_recorded(log):
        return _explain_sessions(log, format_)
    calls = logged_calls(log)
    findings = explain_calls(calls)
    if format_ is ExplainFormat.JSON:
        hand_over_json({"findings": [_finding(item, log) for item in findings], "calls": len(calls)})
    else:
        say(_text(findings, len(calls)), lines=True)
    return bool(findings)


def _explain_sessions(log: Path, format_: ExplainFormat) -> bool:
    from agentcache.cli.explain_recorded import recorded_findings, shares_table  # start-up time, as above

    told = recorded_findings(log)
    if format_ is ExplainFormat.JSON:
        hand_over_json(told.to_json())
    else:
        console().print(findings_text(told.findings))
        if told.findings:
            console().print(shares_table(told))
    return bool(told.findings)


def _explain_ledger(run: str | None, call: str | None, db: str | None, format_: ExplainFormat) -> bool:
    url = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db).db_url
    findings = asyncio.run(ledger_findings(url, run=run, call=call))
    if format_ is ExplainFormat.JSON:
        hand_over_json({"findings": findings})
    else:
        console().print(findings_text(findings))
    return bool(findings)


def _finding(item: Explanation, log: Path) -> JsonObject:
    change = item.change
    return {
        "code": item.code,
        "name": item.name,
        "severity": item.severity,
        "path": change.template if change else str(log),
        "line": change.line if change else item.call + 1,
        "column": None,
        "agent": item.agent,
        "layer": item.layer,
        "message": item.message,
        "fix": item.fix,
        "call": item.call,
        "continues": item.continues,
        "variables": list(change.variables) if change else [],
        "calls": item.calls,
        "where": item.where,
        "cause": item.cause,
        "before": item.before,
        "after": item.after,
        "lost_tokens": item.lost_tokens,
        "lost_usd": None if item.lost_usd is None else plain_usd(item.lost_usd),
    }


def _text(findings: Sequence[Explanation], calls: int) -> str:
    if not findings:
        return f"{calls} calls, nothing to explain: each read what it could."
    return "\n\n".join(_paragraph(item) for item in findings)


def _paragraph(item: Explanation) -> str:
    lines = [f"{item.code} {item.severity}: {item.message} ({item.cause})"]
    if item.before or item.after:
        lines += [f"  - {item.before}", f"  + {item.after}"]
    if item.lost_tokens is not None:
        usd = "" if item.lost_usd is None else f", ${plain_usd(item.lost_usd)}"
        lines.append(f"  lost: {item.lost_tokens:,} tokens{usd}")
    lines.append(f"  fix: {item.fix}")
    return "\n".join(map(visible, lines))
