"""Plays conversations through pydantic-ai: one agent, the history handed on by its user from run to run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import playing
from pydantic_ai import Agent, Tool, UsageLimits
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider

SETTINGS: dict[str, dict[str, Any]] = {
    "5m": {"cache": "5m"},
    "5m, prefix only": {"cache": {"retention": "5m", "messages": False}},
    "1h": {"cache": "1h"},
    "1h prefix": {
        "anthropic_cache_tool_definitions": "1h",
        "anthropic_cache_instructions": "1h",
        "anthropic_cache": "5m",
    },
}
"""The unified setting marks last tool, instructions and the moving tail; `messages: False` leaves out the tail."""


class Talk(playing.Conversation):
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._history: list[ModelMessage] = []

    async def say(self, text: str) -> None:
        limits = UsageLimits(request_limit=None)
        result = await self._agent.run(text, message_history=self._history, usage_limits=limits)
        self._history = result.all_messages()


@asynccontextmanager
async def start(scenario: playing.Scenario, settings: str) -> AsyncIterator[playing.Opened]:
    provider = AnthropicProvider(api_key=playing.API_KEY, base_url=scenario.base_url)
    agent = Agent(
        AnthropicModel(scenario.model, provider=provider),
        instructions=scenario.system,
        tools=[_tool(scenario, described) for described in scenario.tools],
        model_settings=AnthropicModelSettings(max_tokens=playing.MAX_TOKENS, **SETTINGS[settings]),
    )
    yield lambda number: Talk(agent)


def _tool(scenario: playing.Scenario, described: dict[str, Any]) -> Tool:
    name = described["name"]

    async def answer(**arguments: Any) -> str:
        return scenario.result(name, arguments)

    return Tool.from_schema(answer, name, described["description"], described["input_schema"])


if __name__ == "__main__":
    playing.main(start, ["pydantic-ai-slim", "anthropic"])
