"""Plays conversations through Strands Agents: one agent object a conversation, as its users keep histories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import playing
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.models.anthropic import AnthropicModel
from strands.models.model import CacheConfig
from strands.tools.tools import PythonAgentTool

SETTINGS = {
    "5m": CacheConfig(ttl="5m", system_prompt_ttl=True, tools_ttl=True),
    "1h": CacheConfig(ttl="1h", system_prompt_ttl=True, tools_ttl=True),
    "1h prefix": CacheConfig(ttl="5m", system_prompt_ttl="1h", tools_ttl="1h"),
}
"""Last tool, end of the system prompt, last user message."""


class Talk(playing.Conversation):
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def say(self, text: str) -> None:
        await self._agent.invoke_async(text)


@asynccontextmanager
async def start(scenario: playing.Scenario, settings: str) -> AsyncIterator[playing.Opened]:
    tools = [_tool(scenario, described) for described in scenario.tools]

    model = AnthropicModel(
        client_args={"api_key": playing.API_KEY, "base_url": scenario.base_url},
        model_id=scenario.model,
        max_tokens=playing.MAX_TOKENS,
        cache_config=SETTINGS[settings],
    )

    def opened(number: int) -> playing.Conversation:
        agent = Agent(
            model=model,
            tools=tools,
            system_prompt=scenario.system,
            callback_handler=None,
            conversation_manager=NullConversationManager(),  # its default forgets after 40 messages
        )
        return Talk(agent)

    yield opened


def _tool(scenario: playing.Scenario, described: dict[str, Any]) -> PythonAgentTool:
    name = described["name"]

    async def answer(tool: dict[str, Any], **invocation: Any) -> dict[str, Any]:
        text = scenario.result(name, tool["input"])
        return {"toolUseId": tool["toolUseId"], "status": "success", "content": [{"text": text}]}

    spec = {"name": name, "description": described["description"], "inputSchema": {"json": described["input_schema"]}}
    return PythonAgentTool(name, spec, answer)


if __name__ == "__main__":
    playing.main(start, ["strands-agents", "anthropic"])
