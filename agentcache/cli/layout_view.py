"""What `agentcache show` shows: an agent's first call, laid out and planned, with the price of its prefix.

Several agents are shown with what they share, and with what they could share and do not.

Everything comes from the same functions that a run uses; nothing is sent. Variables that were not given are taken from
the examples that the prompt's author wrote down, and are named, so that a picture is never mistaken for a measurement.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

from agentcache.accounting.pricing import cost_usd
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.layout import Block, Layout
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.plans import Breakpoint, Plan, RefusedBreakpoint
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.sections import Stability
from agentcache.runtime.agent import Agent
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.requests import PreparedCall, prepare, render_system, render_turn
from agentcache.runtime.sharing import Unshared, unshared
from agentcache.runtime.snapshots import Snapshots

INPUT = "(the input)"
"""Stands in the user message when no input was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixCost:
    """What the prefix before the messages costs per call, in US dollars at today's list prices; `None` is unpriced."""

    tokens: int
    first_usd: Decimal | None
    """The call that writes it."""
    warm_usd: Decimal | None
    """Every later call that reads it in time."""
    uncached_usd: Decimal | None
    """Any call without caching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutView:
    """One agent's first call."""

    agent: Agent[object]
    layout: Layout
    plan: Plan
    cost: PrefixCost
    assumed: Mapping[str, JsonValue]
    """Variables whose values are the prompt's own examples."""

    def marks_on(self, block: int) -> list[Breakpoint | RefusedBreakpoint]:
        """Return the breakpoints asked for on the block of this index, kept ones first."""
        return [mark for mark in (*self.plan.kept, *self.plan.refused) if mark.block == block]

    def to_json(self) -> dict[str, object]:
        """Return the view as plain values: model, blocks, sections, plan, cost."""
        return {
            "agent": self.agent.name,
            "model": self.agent.model,
            "minimum_prefix_tokens": self.agent.facts.minimum_prefix_tokens,
            "blocks": [_block(block) for block in self.layout.blocks],
            "section_tokens": self.layout.section_tokens(),
            "plan": self.plan.to_json(),
            "prefix": {
                "tokens": self.cost.tokens,
                "first_usd": self.cost.first_usd,
                "warm_usd": self.cost.warm_usd,
                "uncached_usd": self.cost.uncached_usd,
            },
            "assumed": dict(self.assumed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamView:
    """The first calls of several agents. name: the team's; `None` for agents that belong to none."""

    name: str | None
    views: tuple[LayoutView, ...]
    unshared: tuple[Unshared, ...]

    @property
    def shared(self) -> tuple[Block, ...]:
        """The leading blocks of tools and system that all the agents send alike, as the first of them has them."""
        first = self.views[0].layout
        alike = (
            all(
                view.layout.model == first.model and _digest(view.layout, index) == block.prefix_digest
                for view in self.views
            )
            for index, block in enumerate(first.blocks[: first.messages_start])
        )
        return first.blocks[: sum(takewhile(bool, alike))]

    def to_json(self) -> dict[str, object]:
        """Return the view as plain values: every agent's own, what a team shares, what is not shared."""
        shown: dict[str, object] = {
            "agents": [view.to_json() for view in self.views],
            "unshared": [finding.to_json() for finding in self.unshared],
        }
        if self.name is not None:
            tokens = self.shared[-1].prefix_tokens if self.shared else 0
            shown["team"] = {"name": self.name, "shared_blocks": len(self.shared), "shared_tokens": tokens}
        return shown


def _digest(layout: Layout, index: int) -> str | None:
    return layout.blocks[index].prefix_digest if index < layout.messages_start else None


def _block(block: Block) -> dict[str, object]:
    return {
        "where": block.where,
        "kind": block.kind,
        "section": block.section,
        "stability": block.stability.value,
        "tokens": block.tokens,
        "prefix_tokens": block.prefix_tokens,
        "digest": block.digest,
    }


async def view_all(
    agents: Sequence[Agent[object]],
    *,
    team: str | None,
    session: Mapping[str, object],
    turn: Mapping[str, object],
) -> TeamView:
    """Return the first calls of `agents`, at least one, and what they do not share; raises what `view` raises."""
    views = [await view(agent, session=session, turn=turn) for agent in agents]
    return TeamView(name=team, views=tuple(views), unshared=tuple(unshared(agents)))


async def view(
    agent: Agent[object], *, session: Mapping[str, object], turn: Mapping[str, object], text: str = INPUT
) -> LayoutView:
    """Return the first call of a run of `agent`, its semi-static snapshot taken now.

    Raises what a run would raise before sending: a missing variable, a template that fails, a mark that cannot stand.
    """
    assumed: dict[str, JsonValue] = {}
    prepared = await _prepared(
        agent,
        session=_completed(agent, Stability.SESSION, session, assumed),
        turn=_completed(agent, Stability.TURN, turn, assumed),
        text=text,
    )
    return LayoutView(
        agent=agent,
        layout=prepared.layout,
        plan=prepared.plan,
        cost=prefix_cost(agent.model, prepared.layout, prepared.plan),
        assumed=assumed,
    )


def _completed(
    agent: Agent[object], layer: Stability, given: Mapping[str, object], assumed: dict[str, JsonValue]
) -> dict[str, JsonValue]:
    examples = agent.prompt.examples[layer]
    missing = {name: examples[name] for name in sorted(agent.needs[layer] - given.keys()) if name in examples}
    assumed.update(missing)
    return {**missing, **plain_variables(given)}


async def _prepared(
    agent: Agent[object], *, session: Mapping[str, JsonValue], turn: Mapping[str, JsonValue], text: str
) -> PreparedCall:
    static = plain_variables(agent.variables)
    semi_static = await Snapshots(clock=time.time).variables(agent)
    output = OutputSpec.of(agent.output)
    system = render_system(agent, output, static=static, semi_static=semi_static, session=session)
    opening = render_turn(agent, {**static, **semi_static, **session}, turn)
    return prepare(
        agent,
        system=system,
        messages=[{"role": "user", "content": [*opening, {"type": "text", "text": text}]}],
        settings=agent.settings(output),
        expect=lambda _: Reuse(tail_continues=bool(agent.toolbox)),
    )


def prefix_cost(model: str, layout: Layout, plan: Plan) -> PrefixCost:
    """Return what tools and system cost, as far as a kept breakpoint reaches; the rest is paid in full either way."""
    ahead = [block for block in layout.blocks if block.level != "messages"]
    tokens = ahead[-1].prefix_tokens if ahead else 0
    written = {"5m": 0, "1h": 0}
    reached = 0
    for mark in sorted(plan.kept, key=lambda mark: mark.block):
        if mark.block < len(ahead):
            written[mark.ttl] += mark.prefix_tokens - reached
            reached = mark.prefix_tokens
    rest = tokens - reached
    first = Usage(uncached_input_tokens=rest, cache_write_5m_tokens=written["5m"], cache_write_1h_tokens=written["1h"])
    return PrefixCost(
        tokens=tokens,
        first_usd=_usd(model, first),
        warm_usd=_usd(model, Usage(uncached_input_tokens=rest, cache_read_tokens=reached)),
        uncached_usd=_usd(model, Usage(uncached_input_tokens=tokens)),
    )


def _usd(model: str, usage: Usage) -> Decimal | None:
    return cost_usd(BilledPart(model=model, usage=usage))
