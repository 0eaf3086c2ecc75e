"""A report as one HTML page that needs no server, no network and no script.

Values in, text out. All text is escaped, whoever chose it; the page forbids itself to load anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from heapq import nsmallest

from jinja2 import Environment, PackageLoader

from agentcache.accounting.layers import LayerSummary, summarise_layers
from agentcache.accounting.misses import Miss, misses
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.run_trees import RunTree, run_trees
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.summary import Grouping, Summary, SummaryRow, summarise
from agentcache.accounting.tool_summary import summarise_tools
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.provenance import Provenance
from agentcache.report.cache_panels import NO_PROVENANCE, layer_panel, miss_panel, miss_place_panel
from agentcache.report.drawing import NARROW, WIDE, Bars, draw
from agentcache.report.formats import notes
from agentcache.report.panels import Panel, dollars, percent
from agentcache.report.usage_panels import usage_panels

_TREES, _RUNS_OF_TREE, _CALLS_OF_RUN, _DEPTH = 10, 120, 20, 12
"""How many of the dearest are shown: top-level runs, runs of each, calls of each run; and how deep runs nest."""

_GROUPINGS: tuple[Grouping, ...] = ("agent", "model", "run")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run as the page shows it. `more_calls` and `more_runs` count what is left out, however deep it is nested."""

    tree: RunTree
    calls: tuple[CallRecord, ...]
    below: tuple[ShownRun, ...]
    more_calls: int
    more_runs: int


def to_html(
    calls: Sequence[CallRecord],
    tool_calls: Sequence[ToolCallRecord],
    runs: Sequence[RunRecord],
    *,
    made_at: float,
    only: Selection = EVERYTHING,
    further: Sequence[Panel] = (),
    missed: Sequence[Miss] | None = None,
    provenance: Mapping[str, Provenance] = NO_PROVENANCE,
    drawn: Callable[[Bars, int], str] = draw,
) -> str:
    """Return the page.

    made_at: Unix seconds; the page says when it was made.
    only: what is counted of the rows; the others tell still what was read again, and why calls missed.
    further: panels that come before the runs.
    missed: what `misses(calls)` told; `None` asks it.
    provenance: what sections of calls that missed are made of, by digest; it names templates, lines and variables.
    drawn: draws a chart as SVG of a width. The default raises `TargetError` where the extra `html` is not installed.

    The page holds what it shows as JSON, in the element of the id `report`: under `agent`, `model`, `run`, `tool`
    and `layer` what `agentcache report --by` each of them prints as JSON.
    """
    known = {call.call_id: call for call in calls}
    counted = [call for call in calls if only.has_call(call)]
    tools = summarise_tools(call for call in tool_calls if only.has_tool_call(call, known))
    by_agent, by_model, by_run = (summarise(calls, tool_calls, by=by, runs=runs, only=only) for by in _GROUPINGS)
    layers = summarise_layers(calls, only=only)
    told: JsonObject = {
        "agent": by_agent.to_json(),
        "model": by_model.to_json(),
        "run": by_run.to_json(),
        "tool": tools.to_json(),
        "layer": layers.to_json(),
    }
    missed = [miss for miss in (misses(calls) if missed is None else missed) if only.has_call(miss.call)]
    panels = (*usage_panels(by_agent, tools, counted), *_cache_panels(layers, missed, provenance), *further)
    trees = run_trees(runs, counted)
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            made_at=_time(made_at),
            span=_span(counted),
            figures=_figures(by_agent),
            notes=notes(by_agent),
            panels=panels,
            charts={panel.key: _charts(panel.bars, drawn) for panel in panels if panel.bars and panel.bars.bars},
            runs=[shown_run(tree) for tree in trees[:_TREES]],
            all_runs=len(trees),
            report=_embedded(told),
        )
    )


def _cache_panels(
    layers: LayerSummary, missed: Sequence[Miss], provenance: Mapping[str, Provenance]
) -> tuple[Panel, ...]:
    """Return the panels on layers and misses; none where no row says what its prompt was made of."""
    if not layers.rows:
        return ()
    places = (miss_place_panel(missed, provenance),) if missed else ()
    return (layer_panel(layers), miss_panel(missed), *places)


def shown_run(tree: RunTree, *, most: int = _RUNS_OF_TREE) -> ShownRun:
    """Return what the page shows of a run: the `most` dearest of it and those nested in it, and their dearest calls."""
    found = [(tree, 0)]
    for node, depth in found:
        if depth < _DEPTH:
            found.extend((child, depth + 1) for child in node.below)
    places = {id(node): place for place, (node, _) in enumerate(found)}
    # No run costs more than the one that it is nested in, which also stands before it: what is chosen hangs together.
    chosen = nsmallest(most, found, key=lambda item: (-item[0].priced_usd, places[id(item[0])]))
    return _shown(tree, {id(node) for node, _ in chosen})


def _shown(tree: RunTree, chosen: set[int]) -> ShownRun:
    below = tuple(_shown(child, chosen) for child in tree.below if id(child) in chosen)
    calls = nsmallest(_CALLS_OF_RUN, tree.calls, key=lambda call: -(call.cost_usd or 0))
    return ShownRun(
        tree=tree,
        calls=tuple(sorted(calls, key=lambda call: call.sent_at)),
        below=below,
        more_calls=len(tree.calls) - len(calls),
        more_runs=len(tree.below) - len(below),
    )


def _charts(bars: Bars, drawn: Callable[[Bars, int], str]) -> dict[str, str]:
    return {name: drawn(bars, width) for name, width in (("wide", WIDE), ("narrow", NARROW))}


def _figures(summary: Summary) -> list[tuple[str, str, str]]:
    """Return what the page says first: what, how much, and what that lacks."""
    total = summary.total
    lacking = f"{total.unpriced_calls:,} of {total.calls:,} calls have no known price" if total.unpriced_calls else ""
    return [
        ("Cost", _at_least(total.priced_usd, total), lacking),
        ("Without caching", _at_least(total.priced_counterfactual_usd, total), lacking),
        ("Saved", dollars(total.to_json()["saved_usd"]), lacking),
        ("Read share", percent(total.usage.read_share), "of prompt tokens"),
        ("Calls", f"{total.calls:,}", f"{total.errors:,} ended in an error"),
        ("Tool calls", f"{total.tool_calls:,}", f"{total.memo_hits:,} from the memo"),
    ]


def _at_least(priced: Decimal, row: SummaryRow | RunTree) -> str:
    """Return a sum of dollars; with `≥` where it lacks a call."""
    return f"{'≥' if row.unpriced_calls else ''}{dollars(plain_usd(priced))}"


def _embedded(told: JsonObject) -> str:
    """Return JSON that no text in it can end early: `<` is written as an escape, which JSON reads as `<`."""
    return json.dumps(told, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _span(calls: Sequence[CallRecord]) -> str:
    times = [call.sent_at for call in calls]
    return f"{_time(min(times))} to {_time(max(times))}" if times else "no calls"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("agentcache.report", ""), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["time"] = _time
    environment.filters["tree_dollars"] = lambda tree: _at_least(tree.priced_usd, tree)
    environment.filters["call_dollars"] = lambda cost: dollars(None if cost is None else plain_usd(cost))
    return environment
