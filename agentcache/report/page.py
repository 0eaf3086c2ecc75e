"""A report as one HTML page that needs no server, no network and no script.

Values in, text out. All text is escaped, whoever chose it; the page forbids itself to load anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from heapq import nsmallest

from jinja2 import Environment, PackageLoader

from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.run_trees import RunTree
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.summary import Summary, SummaryRow
from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.report.cache_panels import layer_panel, miss_panel, miss_place_panel
from agentcache.report.drawing import NARROW, WIDE, Bars, draw
from agentcache.report.formats import notes
from agentcache.report.page_content import PageContent, PromptSums, content_of
from agentcache.report.panels import Panel, dollars, percent
from agentcache.report.usage_panels import usage_panels
from agentcache.visible import visible, visible_json

_RUNS_OF_TREE, _CALLS_OF_RUN, _DEPTH = 120, 20, 12
"""How many of the dearest are shown: runs of a top-level one, calls of each run; and how deep runs nest."""


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
    drawn: Callable[[Bars, int], str] = draw,
) -> str:
    """Return the page.

    made_at: Unix seconds; the page says when it was made.
    only: what is counted of the rows; the others tell still what was read again, and why calls missed.
    further: panels that come before the runs.
    drawn: draws a chart as SVG of a width. The default raises `TargetError` where the extra `html` is not installed.

    The page holds what it shows as JSON, in the element of the id `report`: under `agent`, `model`, `run`, `tool`
    and `layer` what `agentcache report --by` each of them prints as JSON.
    """
    content = content_of(calls, tool_calls, runs, only=only)
    return drawn_page(content, made_at=made_at, further=further, drawn=drawn)


def drawn_page(
    content: PageContent,
    *,
    made_at: float,
    further: Sequence[Panel] = (),
    drawn: Callable[[Bars, int], str] = draw,
) -> str:
    """Return the page of what it shall show; arguments are those of `to_html`."""
    by_agent, prompts = content.by_agent, content.prompts
    told: JsonObject = {
        "agent": by_agent.to_json(),
        "model": content.by_model.to_json(),
        "run": content.by_run.to_json(),
        "tool": content.tools.to_json(),
        "layer": prompts.layers.to_json(),
    }
    panels = (
        *usage_panels(by_agent, content.tools, content.sent.series, content.sent.gaps),
        *_cache_panels(prompts),
        *further,
    )
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            made_at=_time(made_at),
            span=_span(content.sent.span),
            figures=_figures(by_agent),
            notes=notes(by_agent),
            panels=panels,
            charts={panel.key: _charts(panel.bars, drawn) for panel in panels if panel.bars and panel.bars.bars},
            runs=[shown_run(tree) for tree in content.trees],
            all_runs=content.all_runs,
            report=_embedded(told),
        )
    )


def _cache_panels(prompts: PromptSums) -> tuple[Panel, ...]:
    """Return the panels on layers and misses; none where no row says what its prompt was made of."""
    if not prompts.layers.rows:
        return ()
    places = (miss_place_panel(prompts.misses, prompts.provenance),) if prompts.misses else ()
    panels = (layer_panel(prompts.layers), miss_panel(prompts.misses), *places)
    if prompts.newest is None:
        return panels
    part = f"Of the newest {prompts.newest:,} calls. "
    return tuple(replace(panel, caption=part + panel.caption) for panel in panels)


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
    return visible_json(json.dumps(told, ensure_ascii=False, allow_nan=False)).replace("<", "\\u003c")


def _span(span: tuple[float, float] | None) -> str:
    return "no calls" if span is None else f"{_time(span[0])} to {_time(span[1])}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _readable(value: object) -> object:
    """Return a text with what would hide in it written out; what is marked as safe is ours."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("agentcache.report", ""),
        autoescape=True,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["time"] = _time
    environment.filters["tree_dollars"] = lambda tree: _at_least(tree.priced_usd, tree)
    environment.filters["call_dollars"] = lambda cost: dollars(None if cost is None else plain_usd(cost))
    return environment
