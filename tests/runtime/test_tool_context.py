"""A tool knows which call it runs for, in a thread as on the loop."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache import SettingsError, ToolCall, current_tool_call, tool
from tests.workflow.conftest import agent, staged


async def test_a_tool_finds_its_call_and_every_call_has_a_key_of_its_own():
    seen: list[ToolCall] = []

    @tool
    def blocking() -> str:
        """Look, in a thread."""
        seen.append(current_tool_call())
        return "ok"

    @tool
    async def here() -> str:
        """Look, on the loop."""
        seen.append(current_tool_call())
        return "ok"

    uses: Any = [{"type": "tool_use", "name": name, "input": {}} for name in ("blocking", "here", "here")]
    async with staged([uses, "done"]) as on:
        result = await on.runtime.run(agent(tools=[blocking, here]), "go")
    assert {call.tool for call in seen} == {"blocking", "here"}
    assert {(call.run_id, call.agent) for call in seen} == {(result.run_id, "clerk")}
    assert len({call.idempotency_key for call in seen}) == 3


def test_outside_a_tool_there_is_no_call():
    with pytest.raises(SettingsError, match="runs inside a tool"):
        current_tool_call()
