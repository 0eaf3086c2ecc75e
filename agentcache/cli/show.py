"""`agentcache show`: the layout of an agent, or of a team, as a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentcache.cli.arguments import pairs
from agentcache.cli.printing import Format, console, hand_over_json
from agentcache.cli.saying import say

if TYPE_CHECKING:
    from agentcache.cli.layout_view import LayoutView, TeamView
    from agentcache.prompt.layout import Block

BAR_COLUMNS = 24
_COLOURS = {"static": "green", "semi_static": "cyan", "session": "yellow", "turn": "magenta"}


def show(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="module:name or file.py:name of an Agent, a Team or a workflow.")
    ],
    session: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A session variable; may be repeated.")
    ] = None,
    turn: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A turn variable; may be repeated.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """Show an agent's layout and breakpoints.

    Lays the agent's first call out as a run would and prints layers, tokens, breakpoints and what the prefix costs.
    Nothing is sent; token counts are estimates. For a workflow, the agents of its module are shown; for a Team what
    they share, and then what each adds; a function is called for the agent that it returns. Agents that could share a
    prefix and do not are told so.
    """
    # Start-up time: templates and the planner are not needed for `--help`.
    from agentcache.cli.layout_view import view_all
    from agentcache.cli.target import agents_of, load_target
    from agentcache.runtime.team import Team

    given = {"session": pairs(session or [], "--session"), "turn": pairs(turn or [], "--turn")}
    found = load_target(target)
    team = found.value.name if isinstance(found.value, Team) else None
    shown = asyncio.run(view_all(agents_of(found), team=team, **given))
    if format_ is Format.JSON:
        hand_over_json(shown.to_json())
        return
    for number, picture in enumerate(_pictures(shown)):
        if number:
            say()
        console().print(picture)


def _pictures(shown: TeamView) -> Iterator[RenderableType]:
    shared = 0
    if shown.name is not None:
        shared = len(shown.shared)
        yield _shared(shown)
    for view in shown.views:
        yield _picture(view, behind=shared)
    if shown.unshared:
        yield Group(*(Text(f"not shared: {finding.message}", style="red") for finding in shown.unshared))


def _shared(shown: TeamView) -> RenderableType:
    """Draw what all agents of a team send first, with the breakpoints of the first agent's plan."""
    blocks = shown.shared
    names = ", ".join(view.agent.name for view in shown.views)
    tokens = blocks[-1].prefix_tokens if blocks else 0
    head = Text.assemble((shown.name or "", "bold"), f"  {tokens:,} tokens shared by {names}")
    return Group(head, _blocks(shown.views[0], blocks)) if blocks else head


def _picture(shown: LayoutView, *, behind: int) -> RenderableType:
    """Draw one agent's request behind its first blocks, which stand elsewhere."""
    facts = shown.agent.facts
    known = "" if facts.known else " (unknown model: careful defaults)"
    head = Text.assemble(
        (shown.agent.name, "bold"),
        f"  {shown.agent.model}{known}",
        f"  cacheable from {facts.minimum_prefix_tokens:,} tokens on, policy {shown.plan.policy}",
    )
    parts: list[RenderableType] = [head, _blocks(shown, shown.layout.blocks[behind:])]
    parts.extend(Text(f"refused {mark.where}: {mark.detail}", style="red") for mark in shown.plan.refused)
    parts.append(Text(_cost(shown)))
    if shown.assumed:
        values = ", ".join(f"{name}={value!r}" for name, value in shown.assumed.items())
        parts.append(Text(f"examples stand in for: {values}", style="dim"))
    return Group(*parts)


def _blocks(shown: LayoutView, blocks: Sequence[Block]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("where", "layer", "section"):
        table.add_column(name, no_wrap=True)
    for name in ("tokens", "prefix"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_COLUMNS)
    table.add_column("breakpoint")
    longest = max((block.tokens for block in shown.layout.blocks), default=1)
    for block in blocks:
        kept = [mark for mark in shown.plan.kept if mark.where == block.where]
        marks = ", ".join(f"{mark.ttl} {mark.origin}: {mark.reason}" for mark in kept)
        table.add_row(
            block.where,
            Text(block.stability.value, style=_COLOURS[block.stability.value]),
            block.section or block.kind,
            f"{block.tokens:,}",
            f"{block.prefix_tokens:,}",
            Text(_bar(block, longest), style=_COLOURS[block.stability.value]),
            marks,
        )
    return table


def _bar(block: Block, longest: int) -> str:
    return "█" * max(1, round(BAR_COLUMNS * block.tokens / max(1, longest)))


def _cost(shown: LayoutView) -> str:
    cost = shown.cost
    return (
        f"prefix of {cost.tokens:,} tokens: first call ${_dollars(cost.first_usd)}, warm ${_dollars(cost.warm_usd)}, "
        f"without caching ${_dollars(cost.uncached_usd)}"
    )


def _dollars(amount: Decimal | None) -> str:
    return "?" if amount is None else f"{amount:.6f}"
