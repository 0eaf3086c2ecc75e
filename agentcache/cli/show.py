"""`agentcache show`: an agent's layout as a picture."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from agentcache.cli.arguments import pairs
from agentcache.cli.printing import Format, as_json, console

if TYPE_CHECKING:
    from agentcache.cli.layout_view import LayoutView
    from agentcache.prompt.layout import Block

BAR_COLUMNS = 24
_COLOURS = {"static": "green", "semi_static": "cyan", "session": "yellow", "turn": "magenta"}


def show(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="module:name or file.py:name of an Agent or a workflow.")
    ],
    session: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A session variable; may be repeated.")
    ] = None,
    turn: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A turn variable; may be repeated.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """Show an agent's layout and breakpoints.

    Lays the agent's first call out as a run would and prints layers, tokens, breakpoints and what the prefix costs.
    Nothing is sent; token counts are estimates. For a workflow, the agents of its module are shown; a function is
    called for the agent that it returns.
    """
    # Start-up time: templates and the planner are not needed for `--help`.
    from agentcache.cli.layout_view import view
    from agentcache.cli.target import load_agents

    layers = pairs(session or [], "--session"), pairs(turn or [], "--turn")
    shown = [asyncio.run(view(agent, session=layers[0], turn=layers[1])) for agent in load_agents(target)]
    if format_ is Format.JSON:
        typer.echo(as_json({"agents": [each.to_json() for each in shown]}))
        return
    for number, each in enumerate(shown):
        if number:
            typer.echo()
        console().print(_picture(each))


def _picture(shown: LayoutView) -> RenderableType:
    facts = shown.agent.facts
    known = "" if facts.known else " (unknown model: careful defaults)"
    head = Text.assemble(
        (shown.agent.name, "bold"),
        f"  {shown.agent.model}{known}",
        f"  cacheable from {facts.minimum_prefix_tokens:,} tokens on, policy {shown.plan.policy}",
    )
    parts: list[RenderableType] = [head, _blocks(shown)]
    parts.extend(Text(f"refused {mark.where}: {mark.detail}", style="red") for mark in shown.plan.refused)
    parts.append(Text(_cost(shown)))
    if shown.assumed:
        values = ", ".join(f"{name}={value!r}" for name, value in shown.assumed.items())
        parts.append(Text(f"examples stand in for: {values}", style="dim"))
    return Group(*parts)


def _blocks(shown: LayoutView) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("where", "layer", "section"):
        table.add_column(name, no_wrap=True)
    for name in ("tokens", "prefix"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_COLUMNS)
    table.add_column("breakpoint")
    longest = max((block.tokens for block in shown.layout.blocks), default=1)
    for number, block in enumerate(shown.layout.blocks):
        kept = [mark for mark in shown.plan.kept if mark.block == number]
        marks = ", ".join(f"{mark.ttl} {mark.origin}: {mark.reason}" for mark in kept)
        table.add_row(
            block.where,
            Text(block.stability.value, style=_COLOURS[block.stability.value]),
            escape(block.section or block.kind),
            f"{block.tokens:,}",
            f"{block.prefix_tokens:,}",
            Text(_bar(block, longest), style=_COLOURS[block.stability.value]),
            escape(marks),
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
