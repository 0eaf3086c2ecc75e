"""`agentcache warm`: write agents' shared prefixes to the cache before traffic comes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from agentcache.cli.arguments import pairs
from agentcache.cli.printing import console, hand_over_json
from agentcache.cli.settings import Settings, read_settings
from agentcache.errors import DeclarationError

if TYPE_CHECKING:
    from agentcache.runtime.agent import Agent
    from agentcache.runtime.warm_calls import Warmed

Refused = tuple[str, DeclarationError]
"""An agent's name, and why it cannot be warmed."""


def warm(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="module:name or file.py:name of an Agent or a workflow.")
    ],
    session: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A session variable; may be repeated.")
    ] = None,
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    emulate: Annotated[bool, typer.Option("--emulate", help="Warm a loopback emulator instead of Claude.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object: warmed, refused.")] = False,
) -> None:
    """Write what an agent's calls share to the cache.

    Tools and system prompt are written once, so that the first real calls read them. Without session variables a
    session layer that needs some is left out. For a workflow, the agents of its module are warmed; one that cannot be
    is told, and is an error if it is the only one.
    """
    # Start-up time: the runtime, its templates and its database are not needed for `--help`.
    from agentcache.cli.target import load_agents

    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db)
    agents = load_agents(target)
    if emulate:
        console(stderr=True).print("Not Claude: a loopback emulator is warmed.", soft_wrap=True)
    warmed, refused = asyncio.run(_warm(agents, pairs(session or [], "--session"), settings, emulate=emulate))
    if refused and not warmed:
        raise refused[0][1]
    if json_:
        reasons = [{"agent": name, "reason": str(error)} for name, error in refused]
        hand_over_json({"warmed": [_as_object(each) for each in warmed], "refused": reasons})
        return
    console().print(_table(warmed))
    for _, error in refused:
        console(stderr=True).print(str(error), soft_wrap=True)


async def _warm(
    agents: Sequence[Agent[object]], session: Mapping[str, object], settings: Settings, *, emulate: bool
) -> tuple[list[Warmed], list[Refused]]:
    # Start-up time, as above.
    from agentcache.workflow.runtime import Runtime

    warmed: list[Warmed] = []
    refused: list[Refused] = []
    async with (
        _emulator(emulate) as base_url,
        Runtime(settings.db_url, api_key="emulated" if emulate else None, base_url=base_url) as runtime,
    ):
        for agent in agents:
            try:
                warmed.append(await runtime.warm(agent, session=session or None))
            except DeclarationError as error:
                refused.append((agent.name, error))
    return warmed, refused


@asynccontextmanager
async def _emulator(wanted: bool) -> AsyncIterator[str | None]:
    if not wanted:
        yield None
        return
    # Start-up time: the emulator's web server is of no use to Claude.
    from agentcache.emulator.server import serve

    async with serve() as emulator:
        yield emulator.base_url


def _as_object(warmed: Warmed) -> dict[str, object]:
    usage = warmed.usage
    return {
        "agent": warmed.agent,
        "model": warmed.model,
        "run_id": warmed.run_id,
        "uncached_input_tokens": usage.uncached_input_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cost_usd": warmed.cost_usd,
    }


def _table(warmed: Sequence[Warmed]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("agent")
    table.add_column("model")
    for heading in ("written 5m", "written 1h", "read", "cost $"):
        table.add_column(heading, justify="right")
    for each in warmed:
        usage = each.usage
        counts = (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens, usage.cache_read_tokens)
        cost = "?" if each.cost_usd is None else f"{each.cost_usd:.6f}"
        table.add_row(each.agent, each.model, *(f"{count:,}" for count in counts), cost)
    return table
