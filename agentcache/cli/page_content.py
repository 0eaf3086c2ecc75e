"""What the page of a ledger shows, asked for piece by piece: of a million calls, few are read as whole rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentcache.accounting.run_trees import RunTree, dearest_runs, run_trees
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import summary_of
from agentcache.accounting.tool_summary import summarise_tools
from agentcache.report.page_content import (
    PAGE_GROUPINGS,
    SHOWN_TREES,
    PageContent,
    PromptSums,
    prompt_sums,
    sent_sums,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentcache.accounting.billed_calls import SentCall
    from agentcache.accounting.usage import RunRecord
    from agentcache.stores.protocols import Ledger

PROMPTS_LOOKED_AT = 20_000
"""Calls whose prompts are looked at, the newest: to split one over its layers costs ten times what a sum does."""


async def ledger_content(ledger: Ledger, only: Selection, *, prompts_looked_at: int = PROMPTS_LOOKED_AT) -> PageContent:
    """Return what the page shows of a ledger: what counts of all of it, but for prompts."""
    rollup = await ledger.rollup(only=only, by_run=True)
    runs = await ledger.runs()
    by_agent, by_model, by_run = (summary_of(rollup, by=by, runs=runs) for by in PAGE_GROUPINGS)
    dearest = dearest_runs(runs, ((key.run_id, sums.priced_usd) for key, sums in rollup.calls.items() if sums.calls))
    sent = await ledger.sent_calls(since=only.since, until=only.until)
    return PageContent(
        by_agent=by_agent,
        by_model=by_model,
        by_run=by_run,
        tools=summarise_tools(await ledger.tool_results(only=only)),
        sent=sent_sums([call for call in sent if only.has(call.agent, call.model, call.sent_at)]),
        prompts=await _prompts(ledger, sent, only, prompts_looked_at),
        trees=tuple([tree for run in dearest[:SHOWN_TREES] for tree in await _tree(ledger, run, only)]),
        all_runs=len(dearest),
    )


async def _tree(ledger: Ledger, run: RunRecord, only: Selection) -> Sequence[RunTree]:
    calls = await ledger.calls(run_id=run.run_id, text=False)
    return run_trees(await ledger.runs(run_id=run.run_id), [call for call in calls if only.has_call(call)])


async def _prompts(ledger: Ledger, sent: Sequence[SentCall], only: Selection, most: int) -> PromptSums:
    """Return what is told of prompts: of all calls that `sent` has or, if those are too many, of the newest."""
    if len(sent) <= most:
        return prompt_sums(await ledger.calls(since=only.since, text=False), only)
    calls = await ledger.calls(since=sent[-most].sent_at, text=False)
    return prompt_sums(calls, only, newest=most)
