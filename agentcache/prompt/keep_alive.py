"""Whether a prompt that has gone silent is worth a read now, so that it is still cached when its next call comes.

Puts the sum of payoff.py to one layout and its plan: which breakpoint a read renews, what it costs, what is lost
without it. Knows neither clocks nor budgets.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentcache.prompt.layout import Layout
from agentcache.prompt.lookback import deepest_written
from agentcache.prompt.model_facts import TTL_SECONDS, ModelFacts
from agentcache.prompt.payoff import KeepAliveChoice, Rates, choose_keep_alive, shared_share
from agentcache.prompt.plans import Breakpoint, Plan, wire_order
from agentcache.prompt.reuse import Reuse

AHEAD_S = 10.0
"""How long before its prefix expires a keep-alive is sent: it has to arrive, and clocks differ."""


def keep_alive_point(plan: Plan) -> Breakpoint | None:
    """Return the breakpoint that keep-alives renew, the last one; `None` when there is none, or it lives for an hour.

    An hour is as far as reuse is estimated, so nothing is known of who comes after it.
    """
    last = max(plan.kept, key=wire_order, default=None)
    return last if last is not None and last.ttl == "5m" else None


def due_after_s(point: Breakpoint) -> float:
    """Return how long after a call started that wrote or read `point` the next read of it is due."""
    return TTL_SECONDS[point.ttl] - AHEAD_S


def weigh_keep_alive(
    layout: Layout, point: Breakpoint, facts: ModelFacts, reuse: Reuse, *, chances: Sequence[float]
) -> KeepAliveChoice:
    """Return whether to read the prefix that ends at `point` once more.

    reuse: what is known now. chances: per lifetime from now on, as `ReuseHistory.return_chances` has them.
    """
    elsewhere = [
        shared_share(outlook) * layout.blocks[index].prefix_tokens
        for index, outlook in reuse.shared.items()
        if index <= point.block
    ]
    hour = deepest_written(layout, [digest for digest, ttl in reuse.live.items() if ttl == "1h"])
    elsewhere.append(0 if hour is None else layout.blocks[hour].prefix_tokens)
    return choose_keep_alive(
        read_tokens=point.prefix_tokens,
        own_tokens=max(0, point.prefix_tokens - round(max(elsewhere))),
        uncached_tokens=max(0, layout.total_tokens - point.prefix_tokens),
        chances=chances,
        rates=Rates.of(facts, prompt_tokens=layout.total_tokens),
    )
