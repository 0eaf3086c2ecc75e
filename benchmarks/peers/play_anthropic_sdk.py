"""Plays conversations through the Anthropic SDK's tool runner with automatic caching; the caller keeps the messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import playing
from anthropic import AsyncAnthropic, beta_async_tool

SETTINGS: dict[str, tuple[str, bool]] = {
    "5m": ("5m", False),
    "1h": ("1h", False),
    "5m, system by hand": ("5m", True),
    "1h, system by hand": ("1h", True),
}
"""Lifetime of the automatic breakpoint, and whether the caller marks the system prompt as well."""


class Talk(playing.Conversation):
    def __init__(self, client: AsyncAnthropic, **options: Any) -> None:
        self._client, self._options = client, options
        self._messages: list[Any] = []

    async def say(self, text: str) -> None:
        self._messages.append({"role": "user", "content": text})
        runner = self._client.beta.messages.tool_runner(messages=self._messages, **self._options)
        async for message in runner:
            self._messages.append({"role": message.role, "content": message.content})
            answer = await runner.generate_tool_call_response()
            if answer is not None:
                self._messages.append(answer)


@asynccontextmanager
async def start(scenario: playing.Scenario, settings: str) -> AsyncIterator[playing.Opened]:
    client = AsyncAnthropic(api_key=playing.API_KEY, base_url=scenario.base_url)
    ttl, marks_system = SETTINGS[settings]
    mark = {"type": "ephemeral", "ttl": ttl}
    system: dict[str, Any] = {"type": "text", "text": scenario.system}
    options = {
        "model": scenario.model,
        "max_tokens": playing.MAX_TOKENS,
        "system": [{**system, "cache_control": mark} if marks_system else system],
        "tools": [_tool(scenario, described) for described in scenario.tools],
        "cache_control": mark,
        "thread": False,  # the emulator keeps no conversations for clients
    }
    yield lambda number: Talk(client, **options)


def _tool(scenario: playing.Scenario, described: dict[str, Any]) -> Any:
    name = described["name"]

    async def answer(**arguments: Any) -> str:
        return scenario.result(name, arguments)

    declare = beta_async_tool(name=name, description=described["description"], input_schema=described["input_schema"])
    return declare(answer)


if __name__ == "__main__":
    playing.main(start, ["anthropic"])
