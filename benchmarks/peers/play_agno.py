"""Plays conversations through Agno: one agent, histories in its in-memory database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import playing
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.anthropic import Claude
from agno.tools.function import Function

SETTINGS: dict[str, dict[str, Any]] = {
    "5m": {"cache_system_prompt": True, "cache_tools": True},
    "1h": {"cache_system_prompt": True, "extended_cache_time": True},
    "5m, tail by hand": {
        "cache_system_prompt": True,
        "cache_tools": True,
        "request_params": {"cache_control": {"type": "ephemeral"}},
    },
    "1h, tail by hand": {
        "cache_system_prompt": True,
        "extended_cache_time": True,
        "request_params": {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    },
}
"""Its own settings mark tools and system prompt. Tools cannot have an hour, and an hour may not follow 5 minutes, so
`1h` leaves them to the system prompt's breakpoint. The tail can be marked through `request_params` only."""

HISTORY_RUNS = 1000


class Talk(playing.Conversation):
    def __init__(self, agent: Agent, number: int) -> None:
        self._agent, self._session = agent, str(number)

    async def say(self, text: str) -> None:
        result = await self._agent.arun(text, session_id=self._session)
        if result.status != "COMPLETED":
            raise RuntimeError(f"the run ended {result.status}: {result.content}")


@asynccontextmanager
async def start(scenario: playing.Scenario, settings: str) -> AsyncIterator[playing.Opened]:
    model = Claude(
        id=scenario.model,
        api_key=playing.API_KEY,
        max_tokens=playing.MAX_TOKENS,
        client_params={"base_url": scenario.base_url},
        **SETTINGS[settings],
    )
    agent = Agent(
        model=model,
        system_message=scenario.system,
        tools=[_tool(scenario, described) for described in scenario.tools],
        db=InMemoryDb(),
        add_history_to_context=True,
        num_history_runs=HISTORY_RUNS,
        telemetry=False,
    )
    yield lambda number: Talk(agent, number)


def _tool(scenario: playing.Scenario, described: dict[str, Any]) -> Function:
    name = described["name"]

    async def answer(**arguments: Any) -> str:
        return scenario.result(name, arguments)

    return Function(
        name=name,
        description=described["description"],
        parameters=described["input_schema"],
        entrypoint=answer,
        skip_entrypoint_processing=True,
    )


if __name__ == "__main__":
    playing.main(start, ["agno", "anthropic"])
