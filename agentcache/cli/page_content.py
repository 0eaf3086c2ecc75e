"""What the page of a ledger shows, asked for piece by piece: of a million calls, few are read as whole rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentcache.accounting.call_sums import HOUR_S, CallTable
from agentcache.accounting.cost_over_time import cost_of_hours, step_of
from agentcache.accounting.run_trees import RunTree, dearest_runs, run_trees
from agentcache.accounting.section_changes import provenance_of
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import summary_of
from agentcache.accounting.tool_summary import summarise_tools
from agentcache.report.page_content import (
    PAGE_GROUPINGS,
    SHOWN_TREES,
    PageContent,
    PromptSums,
    SentSums,
    prompt_sums,
    sent_sums,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentcache.accounting.usage import RunRecord
    from agentcache.stores.protocols import Ledger

PROMPTS_LOOKED_AT = 10_000
"""Calls whose prompts are looked at, the newest: to split one over its layers costs ten times what a sum does."""


async def ledger_content(ledger: Ledger, only: Selection, *, prompts_looked_at: int = PROMPTS_LOOKED_AT) -> PageContent:
    """Return what the page shows of a ledger: what counts of all of it, but for prompts."""
    rollup = await ledger.rollup(only=only, by_run=True)
    runs = await ledger.runs()
    by_agent, by_model, by_run = (summary_of(rollup, by=by, runs=runs) for by in PAGE_GROUPINGS)
    dearest = dearest_runs(runs, ((key.run_id, sums.priced_usd) for key, sums in rollup.calls.items() if sums.calls))
    content = PageContent(
        by_agent=by_agent,
        by_model=by_model,
        by_run=by_run,
        tools=summarise_tools(await ledger.tool_results(only=only)),
        sent=await _sent(ledger, rollup.calls, only),
        prompts=await _prompts(ledger, only, prompts_looked_at),
        trees=tuple([tree for run in dearest[:SHOWN_TREES] for tree in await _tree(ledger, run, only)]),
        all_runs=len(dearest),
    )
    return await with_provenance(content, ledger)


async def with_provenance(content: PageContent, ledger: Ledger) -> PageContent:
    """Return the content with what the ledger kept of the sections of calls that missed."""
    provenance = await ledger.provenance(provenance_of(content.prompts.misses))
    return replace(content, prompts=replace(content.prompts, provenance=provenance))


async def _sent(ledger: Ledger, sums: CallTable, only: Selection) -> SentSums:
    """Return what is told of when calls were sent; calls of less than half a day are read one by one."""
    span = await ledger.sent_span(only=only)
    if span is None or step_of(*span) % HOUR_S:
        sent = await ledger.sent_calls(since=only.since, until=only.until)
        return sent_sums([call for call in sent if only.has(call.agent, call.model, call.sent_at)])
    return SentSums(series=cost_of_hours(sums, *span), gaps=await ledger.pauses(only=only), span=span)


async def _tree(ledger: Ledger, run: RunRecord, only: Selection) -> Sequence[RunTree]:
    calls = await ledger.calls(run_id=run.run_id, text=False)
    return run_trees(await ledger.runs(run_id=run.run_id), [call for call in calls if only.has_call(call)])


async def _prompts(ledger: Ledger, only: Selection, most: int) -> PromptSums:
    """Return what is told of prompts: of all calls or, if those are too many, of the newest."""
    calls = await ledger.calls(since=only.since, text=False, newest=most + 1)
    return prompt_sums(calls[-most:], only, newest=most if len(calls) > most else None)
