"""`agentcache worker`: perform items that durable runs in other processes hand out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentcache.cli.printing import console
from agentcache.cli.settings import Settings, read_settings
from agentcache.errors import TargetError

if TYPE_CHECKING:
    from agentcache.runtime.agent import Agent


def worker(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET", help="module:name or file.py:name of an Agent or a workflow.")
    ],
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The PostgreSQL database of ledger and durable runs.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="How many items to perform at once.")] = 16,
    keep_text: Annotated[bool | None, typer.Option(help="Keep requests and replies in the ledger.")] = None,
) -> None:
    """Serve the agents of durable runs.

    A durable run with `Durable(spread=True)` hands the items of `run.map` to workers that share its database and
    declare the agent as it does; for a workflow, the agents of its module are served. Runs until it is interrupted.
    When a worker dies, the run that handed out its items hands them out again, and they go on where they stopped.
    """
    # Start-up time: the runtime, its templates and its database are not needed for `--help`.
    from agentcache.cli.target import load_agents

    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db, keep_text=keep_text)
    if not (settings.db_url or "").startswith("postgres"):
        raise TargetError("workers share a PostgreSQL database with the runs that they serve; name it with --db URL")
    agents = {agent.name: agent for target in targets for agent in load_agents(target)}
    asyncio.run(_serve(list(agents.values()), settings, concurrency))


async def _serve(agents: Sequence[Agent[object]], settings: Settings, concurrency: int) -> None:
    # Start-up time, as above.
    from agentcache.workflow.durable_runs import Durable
    from agentcache.workflow.runtime import Runtime

    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    durable = Durable(serves=tuple(agents), concurrency=concurrency)
    async with Runtime(settings.db_url, durable=durable, keep_text=settings.keep_text, memo=settings.memo_url):
        names = ", ".join(agent.name for agent in agents)
        console(stderr=True).print(f"Serving {names}. Ctrl-C ends it.", soft_wrap=True)
        await ended.wait()
