"""Plays conversations through LangChain's agent with Anthropic's caching middleware; a checkpointer keeps histories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import playing
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver

RECURSION_LIMIT = 500
"""Steps of the graph in one run; the default stops long tool loops."""


class Talk(playing.Conversation):
    def __init__(self, agent: Any, number: int) -> None:
        self._agent = agent
        self._config = {"configurable": {"thread_id": str(number)}, "recursion_limit": RECURSION_LIMIT}

    async def say(self, text: str) -> None:
        await self._agent.ainvoke({"messages": [{"role": "user", "content": text}]}, config=self._config)


@asynccontextmanager
async def start(scenario: playing.Scenario, settings: str) -> AsyncIterator[playing.Opened]:
    model = ChatAnthropic(
        model=scenario.model, base_url=scenario.base_url, api_key=playing.API_KEY, max_tokens=playing.MAX_TOKENS
    )
    agent = create_agent(
        model,
        tools=[_tool(scenario, described) for described in scenario.tools],
        system_prompt=scenario.system,
        middleware=[AnthropicPromptCachingMiddleware(ttl=settings)],
        checkpointer=InMemorySaver(),
    )
    yield lambda number: Talk(agent, number)


def _tool(scenario: playing.Scenario, described: dict[str, Any]) -> StructuredTool:
    name = described["name"]

    async def answer(**arguments: Any) -> str:
        return scenario.result(name, arguments)

    return StructuredTool(
        name=name, description=described["description"], args_schema=described["input_schema"], coroutine=answer
    )


if __name__ == "__main__":
    playing.main(start, ["langchain", "langchain-anthropic", "langgraph", "anthropic"])
