"""Why calls of the ledger missed: the part of `agentcache explain` that works on `--run`, `--call` and `--db`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from agentcache.accounting.ledger_findings import explain_ledger
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject


async def ledger_findings(url: str | None, *, run: str | None = None, call: str | None = None) -> list[JsonObject]:
    """Return the findings on a ledger's calls: of a run and what is nested in it, of one call, or of all.

    Raises `TargetError` for a run or call that the ledger does not have, `StoreError` for a ledger that is not there.
    """
    # Start-up time: the database is not needed for `--help`.
    from agentcache.cli.report import refuse_absent
    from agentcache.stores.opening import open_ledger

    refuse_absent(url)
    ledger = await open_ledger(url)
    try:
        calls = await ledger.calls(text=False)
        of_run = None if run is None else {item.call_id for item in await ledger.calls(run_id=run, text=False)}
        if run is not None and not await ledger.runs(run_id=run):
            raise TargetError(f"the ledger has no run {run!r}; `agentcache report --by run` lists their ids")
    finally:
        await ledger.close()
    if call is not None and all(item.call_id != call for item in calls):
        raise TargetError(f"the ledger has no call {call!r}; `agentcache explain --run ID` names a run's calls")
    return explain_ledger(
        calls,
        only=lambda item: (of_run is None or item.call_id in of_run) and call in (None, item.call_id),
    )


def findings_text(findings: Sequence[JsonObject]) -> Text:
    """Return findings for a terminal, a paragraph each, and a sentence when there are none."""
    if not findings:
        return Text("No call read less than it could have, as far as the ledger tells.")
    return Text("\n\n").join(_paragraph(finding) for finding in findings)


def _paragraph(finding: JsonObject) -> Text:
    code = f" {finding['code']}" if finding["code"] else ""
    dollars = "unpriced" if finding["lost_usd"] is None else f"${finding['lost_usd']}"
    text = Text(
        f"{finding['call']} ({finding['agent']}, turn {finding['turn']}): {finding['cause']}{code}", style="bold"
    )
    text.append(f"\n  {finding['message']}", style="not bold")
    text.append(f"\n  lost: {finding['lost_tokens']:,} tokens, {dollars}", style="not bold")
    return text.append(f"\n  fix: {finding['fix']}", style="not bold")
