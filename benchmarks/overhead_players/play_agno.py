"""Agno: one agent whose model is Claude; the marks of its own settings where the cell is about caching."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agno.agent import Agent
from agno.models.anthropic import Claude
from agno.tools.function import Function
from playing import API_KEY, MAX_TOKENS, MODEL, Ask, Cell, described, result

PACKAGES = ("agno", "anthropic")


@asynccontextmanager
async def opened(variant: str, address: str, cell: Cell, stream: bool) -> AsyncIterator[Ask]:
    del variant
    model = Claude(
        id=MODEL,
        api_key=API_KEY,
        max_tokens=MAX_TOKENS,
        client_params={"base_url": address},
        cache_system_prompt=cell.marks,
        cache_tools=cell.marks,
    )
    agent = Agent(model=model, system_message=cell.system, tools=[_tool(name) for name in cell.tools], telemetry=False)

    async def ask(number: int) -> None:
        answer = await agent.arun(cell.question(number))
        if answer.status != "COMPLETED":
            raise RuntimeError(f"the run ended {answer.status}: {answer.content}")

    async def follow(number: int) -> None:
        async for event in agent.arun(cell.question(number), stream=True):
            if not event.event:
                raise RuntimeError("an event without a name")

    # A client that nobody closed takes living connections with it when it is collected: the SDK closes its sockets from
    # `__del__`, by numbers that are others' by then, and runs at once hang.
    async with model.get_async_client():
        yield follow if stream else ask


def _tool(name: str) -> Function:
    about = described(name)

    async def answer(**arguments: Any) -> str:
        return result(arguments)

    return Function(
        name=name,
        description=about["description"],
        parameters=about["input_schema"],
        entrypoint=answer,
        skip_entrypoint_processing=True,
    )
