"""Why calls of the ledger missed: the part of `agentcache explain` that works on `--run`, `--call` and `--db`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from agentcache.accounting.api_diagnosis import diagnosis_words
from agentcache.accounting.ledger_findings import Kept, explain_misses
from agentcache.accounting.misses import misses
from agentcache.accounting.observed import RECORDED
from agentcache.accounting.section_changes import EXPLAINED_BEFORE_S, provenance_of, requests_of
from agentcache.accounting.usage import CallRecord
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject

if TYPE_CHECKING:
    from agentcache.stores.protocols import Ledger


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
        return await _findings(ledger, run, call)
    finally:
        await ledger.close()


async def _findings(ledger: Ledger, run: str | None, call: str | None) -> list[JsonObject]:
    if run is None and call is None:
        calls = await ledger.calls(text=False)
    else:
        calls = await ledger.calls_to_explain(run_id=run, call_id=call, before_s=EXPLAINED_BEFORE_S)
    runs = None if run is None else {item.run_id for item in await ledger.runs(run_id=run)}
    if runs is not None and not runs:
        raise TargetError(f"the ledger has no run {run!r}; `agentcache report --by run` lists their ids")
    if call is not None and all(item.call_id != call for item in calls):
        raise TargetError(f"the ledger has no call {call!r}; `agentcache explain --run ID` names a run's calls")
    if any(RECORDED in item.plan for item in calls):
        # What sessions share shows by all of them, and an imported call may carry on one of long before.
        calls = await ledger.calls(text=False)

    def is_asked(item: CallRecord) -> bool:
        return (runs is None or item.run_id in runs) and call in (None, item.call_id)

    missed = [miss for miss in misses(calls) if is_asked(miss.call)]
    kept = Kept(
        provenance=await ledger.provenance(provenance_of(missed)),
        requests=await ledger.requests(requests_of(missed)),
    )
    return explain_misses(missed, calls, only=is_asked, kept=kept)


def findings_text(findings: Sequence[JsonObject]) -> Text:
    """Return findings for a terminal, a paragraph each, and a sentence when there are none."""
    if not findings:
        return Text("No call read less than it could have, as far as the ledger tells.")
    return Text("\n\n").join(_paragraph(each) for each in findings)


def _paragraph(found: JsonObject) -> Text:
    code = f" {found['code']}" if found["code"] else ""
    dollars = "unpriced" if found["lost_usd"] is None else f"${found['lost_usd']}"
    text = Text(f"{found['call']} ({found['agent']}, turn {found['turn']}): {found['cause']}{code}", style="bold")
    text.append(f"\n  {found['message']}", style="not bold")
    if found.get("before") or found.get("after"):
        text.append(f"\n  - {found['before']}\n  + {found['after']}", style="not bold")
    text.append(f"\n  lost: {found['lost_tokens']:,} tokens, {dollars}", style="not bold")
    if "api" in found:
        text.append(f"\n  API: {diagnosis_words(found['api'])}", style="not bold")
    return text.append(f"\n  fix: {found['fix']}", style="not bold")
