"""agentcache with all it has: planning, prefix guard, ledger in an SQLite file, scheduler, a listener to its events.

Variants: `all`; and to tell what a part costs `no ledger` (in memory), `no plan` (`cache="off"`), `no scheduler`,
`no events`, and `bare`, which is all four.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playing import API_KEY, MAX_TOKENS, MODEL, Ask, Cell, described, result

from agentcache import Agent, Prompt, Runtime, Tool

PACKAGES = ("agentcache-claude", "anthropic", "httpx2", "aiohttp", "SQLAlchemy", "pydantic")


@asynccontextmanager
async def opened(variant: str, address: str, cell: Cell, stream: bool) -> AsyncIterator[Ask]:
    def off(part: str) -> bool:
        return variant in {f"no {part}", "bare"}

    agent = Agent(
        name="adder",
        model=MODEL,
        prompt=Prompt(static=cell.system),
        tools=[_tool(name) for name in cell.tools],
        max_tokens=MAX_TOKENS,
        cache="off" if off("plan") else "auto",
    )
    heard: dict[str, int] = {}

    def listen(event: Any) -> None:
        name = type(event).__name__
        heard[name] = heard.get(name, 0) + 1

    settings: dict[str, Any] = {} if off("events") else {"on_event": listen}
    if off("scheduler"):
        settings["scheduling"] = None
    with tempfile.TemporaryDirectory() as folder:
        store = "memory:" if off("ledger") else f"sqlite:///{Path(folder) / 'ledger.db'}"
        async with Runtime(store, api_key=API_KEY, base_url=address, **settings) as runtime:

            async def ask(number: int) -> None:
                await runtime.run(agent, cell.question(number))

            async def follow(number: int) -> None:
                async for event in runtime.stream(agent, cell.question(number)):
                    if type(event).__name__ == "TextDelta" and not event.text:
                        raise RuntimeError("an empty piece of text")

            yield follow if stream else ask


def _tool(name: str) -> Tool:
    about = described(name)

    async def answer(arguments: dict[str, Any]) -> str:
        return result(arguments)

    return Tool(name=name, description=about["description"], input_schema=about["input_schema"], function=answer)
