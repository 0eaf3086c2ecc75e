"""What a durable step costs: one agent that calls a tool in every turn, with its progress kept and without.

    python -m benchmarks.durable_overhead [--rounds 5] [--turns 20]

A turn is two steps, a model call and a tool call. The model is the emulator in this process without latency. Each round
measures every variant once, in turn; the table shows medians over the rounds, and what is added per step to the run
without a record on the same kind of ledger. PostgreSQL is taken from `AGENTCACHE_TEST_POSTGRES_URL`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from agentcache import Agent, Durable, Prompt, Runtime, tool
from agentcache.emulator.server import serve
from tests.stores.conftest import POSTGRES_URL, on_the_server


@tool
async def look(place: int) -> str:
    """Look at a place."""
    return f"nothing at {place}"


def agent_of(turns: int) -> tuple[Agent[str], Any]:
    def script(request: dict[str, Any]) -> Any:
        turn = 1 + sum(message["role"] == "assistant" for message in request["messages"])
        return "done" if turn == turns else [{"type": "tool_use", "name": "look", "input": {"place": turn}}]

    prompt = Prompt(static="You look at places. " * 200)
    return Agent(name="scout", model="claude-sonnet-5-5", prompt=prompt, tools=[look]), script


async def measured(url: str, turns: int, *, durable: bool) -> float:
    """Return the seconds of one run."""
    scout, script = agent_of(turns)
    async with (
        serve(script) as emulator,
        Runtime(url, durable=Durable() if durable else None, base_url=emulator.base_url, api_key="emulated") as runtime,
    ):
        await runtime.run(scout, "warm up")
        began = time.perf_counter()
        await runtime.run(scout, "look around")
        return time.perf_counter() - began


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    name = f"agentcache_{uuid.uuid4().hex}"
    await on_the_server(f"CREATE DATABASE {name}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            urls = {
                "sqlite": f"sqlite:///{Path(folder)}/ledger.db",
                "postgresql": make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False),
            }
            await compare(urls, options.rounds, options.turns)
    finally:
        await on_the_server(f"DROP DATABASE {name} WITH (FORCE)")


async def compare(urls: dict[str, str], rounds: int, turns: int) -> None:
    seconds: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for database, url in urls.items():
            for durable in (False, True):
                seconds.setdefault((database, durable), []).append(await measured(url, turns, durable=durable))
    steps = 2 * turns - 1
    print(f"{'ledger':12} {'plain ms/step':>14} {'durable ms/step':>16} {'added ms/step':>14}")
    for database in urls:
        plain, kept = (1000 * statistics.median(seconds[database, durable]) / steps for durable in (False, True))
        print(f"{database:12} {plain:14.2f} {kept:16.2f} {kept - plain:14.2f}")


if __name__ == "__main__":
    asyncio.run(main())
