"""Plays conversations through agentcache: one runtime, conversations by id, and `map` for what comes together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import playing

from agentcache import Agent, Limits, Prompt, Runtime, Tool


class Talk(playing.Conversation):
    def __init__(self, runtime: Runtime, agent: Agent, conversation: str | None) -> None:
        self._runtime, self._agent, self._conversation = runtime, agent, conversation

    async def say(self, text: str) -> None:
        await self._runtime.run(self._agent, text, conversation=self._conversation)


@asynccontextmanager
async def start(scenario: playing.Scenario, settings: str) -> AsyncIterator[playing.Opened]:
    agent = Agent(
        name="agent",
        model=scenario.model,
        prompt=Prompt(static=scenario.system),
        tools=[_tool(scenario, described) for described in scenario.tools],
        max_tokens=playing.MAX_TOKENS,
        cache=settings,
        limits=Limits(),
    )
    clock = partial(scenario.advance, 0.0)
    alone = all(len(turns) == 1 for turns in scenario.conversations)
    async with Runtime("memory:", api_key=playing.API_KEY, base_url=scenario.base_url, clock=clock) as runtime:
        yield lambda number: Talk(runtime, agent, None if alone else str(number))


def _tool(scenario: playing.Scenario, described: dict[str, Any]) -> Tool:
    name = described["name"]

    async def answer(arguments: dict[str, Any]) -> str:
        return scenario.result(name, arguments)

    return Tool(
        name=name, description=described["description"], input_schema=described["input_schema"], function=answer
    )


if __name__ == "__main__":
    playing.main(start, ["anthropic"])
