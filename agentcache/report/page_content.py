"""What the page of a report shows, before it is drawn: of records, or of a ledger that has summed itself up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agentcache.accounting.billed_calls import SentCall
from agentcache.accounting.call_gaps import GapCount, gap_histogram
from agentcache.accounting.cost_over_time import CostSeries, cost_over_time
from agentcache.accounting.layers import LayerSummary, summarise_layers
from agentcache.accounting.misses import Miss, misses
from agentcache.accounting.rollup import rollup_of
from agentcache.accounting.run_trees import RunTree, run_trees
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.summary import Grouping, Summary, summary_of
from agentcache.accounting.tool_summary import ToolSummary, summarise_tools
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord
from agentcache.prompt.provenance import Provenance

PAGE_GROUPINGS: tuple[Grouping, Grouping, Grouping] = ("agent", "model", "run")

SHOWN_TREES = 10
"""How many of the dearest top-level runs are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSums:
    """What is told of when calls were sent; `span` is the first time and the last (Unix seconds), `None` for none."""

    series: CostSeries
    gaps: Sequence[GapCount]
    span: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSums:
    """What is told of prompts. `newest` says of how many calls where it is not all of them.

    provenance: what sections of calls that missed are made of, by digest; it names templates, lines and variables.
    """

    layers: LayerSummary
    misses: Sequence[Miss]
    newest: int | None = None
    provenance: Mapping[str, Provenance] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """Everything on the page, of the same calls. `trees` are the dearest of `all_runs`, dearest first."""

    by_agent: Summary
    by_model: Summary
    by_run: Summary
    tools: ToolSummary
    sent: SentSums
    prompts: PromptSums
    trees: tuple[RunTree, ...]
    all_runs: int


def content_of(
    calls: Sequence[CallRecord],
    tool_calls: Sequence[ToolCallRecord],
    runs: Sequence[RunRecord],
    *,
    only: Selection = EVERYTHING,
) -> PageContent:
    """Return what the page shows of records. `only` is what counts of them; the others tell still what was read."""
    known = {call.call_id: call for call in calls}
    counted = [call for call in calls if only.has_call(call)]
    rollup = rollup_of(calls, tool_calls, only=only)
    by_agent, by_model, by_run = (summary_of(rollup, by=by, runs=runs) for by in PAGE_GROUPINGS)
    trees = run_trees(runs, counted)
    return PageContent(
        by_agent=by_agent,
        by_model=by_model,
        by_run=by_run,
        tools=summarise_tools(call for call in tool_calls if only.has_tool_call(call, known)),
        sent=sent_sums(counted),
        prompts=prompt_sums(calls, only),
        trees=trees[:SHOWN_TREES],
        all_runs=len(trees),
    )


def sent_sums(calls: Sequence[CallRecord] | Sequence[SentCall]) -> SentSums:
    """Return what is told of when these calls were sent."""
    times = [call.sent_at for call in calls]
    span = (min(times), max(times)) if times else None
    return SentSums(series=cost_over_time(calls), gaps=gap_histogram(calls), span=span)


def prompt_sums(calls: Iterable[CallRecord], only: Selection, *, newest: int | None = None) -> PromptSums:
    """Return what is told of the prompts of these calls, as far as they count."""
    calls = list(calls)
    missed = [miss for miss in misses(calls) if only.has_call(miss.call)]
    return PromptSums(layers=summarise_layers(calls, only=only), misses=missed, newest=newest)
