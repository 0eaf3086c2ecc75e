"""The panels that every report has: what agents used and cost, when, how calls paused, and what the memo did.

Tables hold the rows of the report JSON as they are. Charts show the largest bars only, and captions say so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from agentcache.accounting.call_gaps import GapCount
from agentcache.accounting.cost_over_time import CostSeries
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.summary import Summary, SummaryRow
from agentcache.accounting.tool_summary import FAILED, TIERS, ToolRow, ToolSummary
from agentcache.prompt.canonical import JsonObject
from agentcache.report.drawing import COLOURS, Bars, Piece
from agentcache.report.panels import NOBODY, Column, DataTable, Panel, dollars, name, percent, summary_table

_MOST_BARS = 15
_DAY_S = 86_400

_NAMES = (Column(heading="Agent", field="agent", shown=name), Column(heading="Model", field="model", shown=name))
_CALLS = Column(heading="Calls", field="calls")
_BUCKETS = (
    Column(heading="Uncached input", field="uncached_input_tokens"),
    Column(heading="Written, 5m", field="cache_write_5m_tokens"),
    Column(heading="Written, 1h", field="cache_write_1h_tokens"),
    Column(heading="Read", field="cache_read_tokens"),
    Column(heading="Output", field="output_tokens"),
)
_COSTS = (
    Column(heading="Cost", field="cost_usd", shown=dollars),
    Column(heading="Without caching", field="counterfactual_usd", shown=dollars),
    Column(heading="Saved", field="saved_usd", shown=dollars),
)
_READ_SHARE = Column(heading="Read share", field="read_share", shown=percent)
_WASTED = Column(heading="Written, not read", field="wasted_write_tokens")


def usage_panels(
    agents: Summary, tools: ToolSummary, series: CostSeries, gaps: Sequence[GapCount]
) -> tuple[Panel, ...]:
    """Return the panels, in the order of the page. All are of the same calls; `agents` sums them up by agent."""
    panels = (
        _costs(agents),
        _over_time(series),
        _buckets(agents),
        _read_shares(agents),
        _waste(agents),
        _gaps(gaps),
    )
    return (*panels, _memo(tools)) if tools.total.calls else panels


def _costs(agents: Summary) -> Panel:
    return Panel(
        key="agents",
        heading="What each agent cost",
        caption="Every call counts once, in the row of its agent and model.",
        table=_agent_table(agents, _CALLS, *_COSTS, Column(heading="Errors", field="errors")),
        folded=False,
    )


def _over_time(series: CostSeries) -> Panel:
    label = {since: _time(since, series.step_s) for since in series.since}
    ranked = _ranked((spent.agent or NOBODY, float(spent.priced_usd)) for spent in series.spent)
    shown = ranked[: COLOURS - 1] if len(ranked) > COLOURS else ranked
    others = f"{len(ranked) - len(shown)} others"
    spent: dict[tuple[float, str], float] = defaultdict(float)
    for item in series.spent:
        agent = item.agent or NOBODY
        spent[item.since, agent if agent in shown else others] += float(item.priced_usd)
    bars = Bars(
        label="Stacked bars: dollars per span of time, one colour for each agent. The table below has the numbers.",
        bars=tuple(label.values()),
        series=(*shown, others) if len(shown) < len(ranked) else shown,
        pieces=[Piece(bar=label[since], series=agent, amount=amount) for (since, agent), amount in spent.items()],
        axis="dollars",
        form="$~g",
        upright=True,
    )
    columns = (
        Column(heading="From (UTC)", field="since", shown=name),
        _NAMES[0],
        _CALLS,
        _COSTS[0],
    )
    return Panel(
        key="time",
        heading="Cost over time",
        caption=f"Dollars per {_length(series.step_s)}, by the time (UTC) a call was sent. Calls whose price is not "
        "known are missing from the bars.",
        table=DataTable(columns=columns, rows=[item.to_json() for item in series.spent], total=_spent_total(series)),
        bars=bars,
    )


def _spent_total(series: CostSeries) -> JsonObject:
    known = sum((item.priced_usd for item in series.spent), Decimal(0))
    lacks = any(item.unpriced_calls for item in series.spent)
    calls = sum(item.calls for item in series.spent)
    return {"since": "Total", "agent": None, "calls": calls, "cost_usd": None if lacks else plain_usd(known)}


def _buckets(agents: Summary) -> Panel:
    return Panel(
        key="tokens",
        heading="Tokens by bucket",
        caption=f"Each token stands in one bucket: what it was billed as. {_left_out(agents)}",
        table=_agent_table(agents, *_BUCKETS),
        bars=_agent_bars(
            agents,
            label="Stacked bars: each agent's tokens, divided by how they were billed.",
            pieces={
                "uncached input": lambda row: row.usage.uncached_input_tokens,
                "written, 5m": lambda row: row.usage.cache_write_5m_tokens,
                "written, 1h": lambda row: row.usage.cache_write_1h_tokens,
                "read": lambda row: row.usage.cache_read_tokens,
                "output": lambda row: row.usage.output_tokens,
            },
        ),
    )


def _read_shares(agents: Summary) -> Panel:
    return Panel(
        key="read-share",
        heading="Read share",
        caption=f"How much of an agent's prompts was read from the cache. {_left_out(agents)}",
        table=_agent_table(agents, Column(heading="Read", field="cache_read_tokens"), _READ_SHARE),
        bars=_agent_bars(
            agents,
            label="Bars: read tokens as a share of each agent's prompts, from nothing to all.",
            pieces={"read share": lambda row: row.usage.read_share or 0.0},
            axis="share of prompt tokens",
            form=".0%",
            most=1.0,
        ),
    )


def _waste(agents: Summary) -> Panel:
    return Panel(
        key="waste",
        heading="Written to the cache, and read from it or not",
        caption="Writing costs more than plain input, and pays only when somebody reads. What nobody has read yet "
        f"counts as not read (estimate). {_left_out(agents)}",
        table=_agent_table(agents, *_BUCKETS[1:3], _WASTED),
        bars=_agent_bars(
            agents,
            label="Stacked bars: tokens that each agent wrote, divided by whether they were read again.",
            pieces={
                "read again": lambda row: row.usage.cache_write_tokens - row.wasted_write_tokens,
                "not read": lambda row: row.wasted_write_tokens,
            },
        ),
    )


def _gaps(counts: Sequence[GapCount]) -> Panel:
    series = {"5m": "a lifetime of 5m lasts", "1h": "only 1h lasts", None: "neither lasts"}
    columns = (
        Column(heading="Pause", field="span", shown=name),
        Column(heading="Outlasted by", field="outlasted_by", shown=name),
        Column(heading="Gaps", field="gaps"),
    )
    return Panel(
        key="gaps",
        heading="Pauses between calls, against the lifetimes of the cache",
        caption="From one call to the next of the same agent, model and conversation (or run). A pause longer than "
        "the lifetime loses the prefix; shorter ones renew it.",
        table=DataTable(columns=columns, rows=[count.to_json() for count in counts]),
        bars=Bars(
            label="Bars: how many pauses fell into each span, coloured by the lifetime that outlasts them.",
            bars=tuple(count.span for count in counts),
            series=tuple(series.values()),
            pieces=[
                Piece(bar=count.span, series=series[count.outlasted_by], amount=float(count.gaps)) for count in counts
            ],
            axis="pauses",
        ),
    )


def _memo(tools: ToolSummary) -> Panel:
    largest = sorted(tools.rows, key=lambda row: -row.calls)[:_MOST_BARS]
    pieces: dict[str, Callable[[ToolRow], int]] = {
        "executed": lambda row: row.executed,
        "from the memo": lambda row: row.kept.total(),
        "shared": lambda row: row.shared,
        "never reached the tool": lambda row: row.calls - row.executed - row.kept.total() - row.shared,
    }
    columns = (
        Column(heading="Tool", field="tool", shown=name),
        _NAMES[0],
        _CALLS,
        Column(heading="Executed", field="executed"),
        *(Column(heading=f"From {tier}", field=f"hits.{tier}") for tier in (*TIERS, "unknown")),
        Column(heading="Shared", field="shared"),
        *(Column(heading=outcome.replace("_", " ").capitalize(), field=f"errors.{outcome}") for outcome in FAILED),
        Column(heading="Seconds saved", field="saved_s"),
    )
    told = tools.to_json()
    return Panel(
        key="tools",
        heading="Tool calls and the memo",
        caption=f"How calls of tools were answered. {_most(len(tools.rows), 'tools')}",
        table=summary_table(columns, told, tools.unattributed.calls > 0),
        bars=Bars(
            label="Stacked bars: each tool's calls, divided by what answered them.",
            bars=tuple(f"{row.tool} ({row.agent})" for row in largest),
            series=tuple(pieces),
            pieces=[
                Piece(bar=f"{row.tool} ({row.agent})", series=series, amount=float(amount(row)))
                for row in largest
                for series, amount in pieces.items()
            ],
            axis="calls",
        ),
    )


def _agent_table(agents: Summary, *columns: Column) -> DataTable:
    return summary_table((*_NAMES, *columns), agents.to_json(), not agents.unattributed.is_empty)


def _agent_bars(
    agents: Summary,
    *,
    label: str,
    pieces: dict[str, Callable[[SummaryRow], float]],
    axis: str = "tokens",
    form: str = "~s",
    most: float | None = None,
) -> Bars:
    names = _bar_names(agents.rows)
    largest = sorted(agents.rows, key=lambda row: -row.usage.input_tokens)[:_MOST_BARS]
    return Bars(
        label=f"{label} The table below has the numbers.",
        bars=tuple(names[row.agent, row.model] for row in largest),
        series=tuple(pieces),
        pieces=[
            Piece(bar=names[row.agent, row.model], series=series, amount=float(amount(row)))
            for row in largest
            for series, amount in pieces.items()
        ],
        axis=axis,
        form=form,
        most=most,
    )


def _bar_names(rows: Sequence[SummaryRow]) -> dict[tuple[str | None, str | None], str]:
    """Return what a row's bar is called: by its agent, and by its model too where the agent has several."""
    models = Counter(row.agent for row in rows)
    return {
        (row.agent, row.model): f"{row.agent}" if models[row.agent] == 1 else f"{row.agent} ({row.model})"
        for row in rows
    }


def _left_out(agents: Summary) -> str:
    return _most(len(agents.rows), "agents")


def _most(number: int, what: str) -> str:
    return f"The chart has the largest {_MOST_BARS} of {number} {what}." if number > _MOST_BARS else ""


def _ranked(amounts: Iterable[tuple[str, float]]) -> tuple[str, ...]:
    """Return names by the sum of their amounts, the largest first."""
    sums: dict[str, float] = defaultdict(float)
    for each, amount in amounts:
        sums[each] += amount
    return tuple(sorted(sums, key=lambda each: (-sums[each], each)))


def _time(since: float, step_s: int) -> str:
    return datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d" if step_s >= _DAY_S else "%m-%d %H:%M")


def _length(step_s: int) -> str:
    lengths = {60: "minute", 3_600: "hour", _DAY_S: "day", 7 * _DAY_S: "week"}
    return lengths.get(step_s) or (f"{step_s // 60} minutes" if step_s < 3_600 else f"{step_s // 3_600} hours")
