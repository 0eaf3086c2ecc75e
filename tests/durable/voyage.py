"""A durable workflow of 20 steps for a process of its own, and the script that answers it: twelve calls, eight tools.

Some calls run at once, two asks are equal, one workflow is nested, and agents and tools are made inside the workflow.
Its tools have side effects: rows in a database of their own, under their idempotency keys.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import agentcache.runtime.client
import agentcache.stores.sql
import agentcache.workflow.durable  # noqa: F401  # all three so that a process is forked with what it needs
from agentcache import Agent, Durable, Prompt, Run, Runtime, current_tool_call, tool, workflow

PORTS = ("north", "south")
ANSWER = "sailed north, south: aye aye"

STEPS = {("pilot", 1): 1, ("mate", 1): 2, ("captain", 1): 1}
STEPS |= {(f"booker_{port}", turn): 1 for port in PORTS for turn in (1, 2, 3, 4)}
"""How often each call is made: by agent and turn."""

EFFECTS = 8


def script(request: dict[str, Any]) -> Any:
    """Answer a call of the voyage."""
    agent, turn = key_of(request)
    if agent == "pilot":
        return ", ".join(PORTS)
    if agent == "mate":
        return "aye"
    if agent == "captain":
        return ANSWER
    berths = {1: 2, 2: 1, 3: 1, 4: 0}[turn]
    if not berths:
        return f"booked {agent.removeprefix('booker_')}"
    return [{"type": "tool_use", "name": "book", "input": {"berth": f"{turn}{side}"}} for side in "ab"[:berths]]


def key_of(request: dict[str, Any]) -> tuple[str, int]:
    """Return agent and turn of a call."""
    agent = str(request["system"][0]["text"]).split()[2].rstrip(".")
    return agent, 1 + sum(message["role"] == "assistant" for message in request["messages"])


def crew(name: str, *, tools: tuple[Any, ...] = ()) -> Agent[Any]:
    """Declare an agent."""
    return Agent(name=name, model="claude-sonnet-5-5", prompt=Prompt(static=f"You are {name}. " * 300), tools=tools)


@workflow
async def vote(run: Run, question: str) -> list[str]:
    return list(await run.gather(run.ask(crew("mate"), question), run.ask(crew("mate"), question)))


def voyage(effects: str) -> Any:
    @tool
    async def book(berth: str) -> str:
        """Book a berth."""
        key = current_tool_call().idempotency_key
        await asyncio.sleep(0.01)
        with sqlite3.connect(effects, timeout=30) as database:
            database.execute("INSERT INTO attempts VALUES (?)", (key,))
            database.execute("INSERT OR IGNORE INTO effects VALUES (?, ?)", (key, berth))
        await asyncio.sleep(0.01)
        return f"berth {berth} is yours"

    @workflow
    async def sail(run: Run, port: str) -> str:
        ports = (await run.ask(crew("pilot"), port)).split(", ")
        booked = await run.gather(*(run.ask(crew(f"booker_{to}", tools=(book,)), f"Book for {to}") for to in ports))
        votes = await vote(run, "; ".join(booked))
        return await run.ask(crew("captain"), f"{booked} {votes}")

    return sail


async def sail_as(durable_id: str, ledger_url: str, effects: str, **options: Any) -> Any:
    with sqlite3.connect(effects, timeout=30) as database:
        database.execute("CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, berth TEXT)")
        database.execute("CREATE TABLE IF NOT EXISTS attempts (key TEXT)")
    async with Runtime(ledger_url, durable=Durable(poll_s=0.05), **options) as runtime:
        return await runtime.run_as(durable_id, voyage(effects), "home")


def live(ledger_url: str, effects: str, base_url: str, log: str) -> None:
    """Be a process that sails: write the result as JSON to `log`."""
    result = asyncio.run(sail_as("voyage-1", ledger_url, effects, base_url=base_url, api_key="emulated"))
    told = {"output": result.output, "turns": result.turns, "cost_usd": str(result.cost_usd)}
    Path(log).write_text(json.dumps(told), encoding="utf-8")


carrier = crew("carrier")


@workflow
async def unload(run: Run, items: list[int]) -> list[str]:
    return await run.map(carrier, [f"item {item}" for item in items])


def work(ledger_url: str, base_url: str) -> None:
    """Be a worker that carries, four items at once, until it is killed."""

    async def serve() -> None:
        durable = Durable(poll_s=0.05, serves=(carrier,), concurrency=4)
        async with Runtime(ledger_url, durable=durable, base_url=base_url, api_key="emulated"):
            await asyncio.Event().wait()

    asyncio.run(serve())
