"""The API's own tools in an agent's run: what goes back, what is billed, and what switching them costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from agentcache import Toolset, tool, web_search
from agentcache.testing import asks_for
from tests.runtime.test_server_tools import many
from tests.toolsets.clerk import clerk, names, notices, results
from tests.workflow.account import assert_counted_once
from tests.workflow.conftest import staged

SEARCHED: list[Any] = [
    {"type": "text", "text": "Let me see."},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "harbour"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {"type": "web_search_result", "title": "T", "url": "https://a.example", "encrypted_content": "xyz"}
        ],
    },
]
FOUND: list[Any] = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_bm25", "input": {"query": "look"}},
    {
        "type": "tool_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {
            "type": "tool_search_tool_search_result",
            "tool_references": [{"type": "tool_reference", "tool_name": "look_007"}],
        },
    },
]


@tool
def note(text: str) -> str:
    """Write something down."""
    return "noted"


async def test_a_paused_turn_goes_on_and_its_blocks_go_back_as_they_came() -> None:
    paused = {"content": SEARCHED, "stop_reason": "pause_turn"}
    async with staged([paused, "It is in Vigo.", "Nothing else."], strict=True) as stage:
        agent = clerk(tools=[web_search(max_uses=2)])
        result = await stage.runtime.run(agent, "Where?", conversation="c")
        assert result.output == "It is in Vigo."
        await assert_counted_once(stage.runtime, stage.emulator, result)
        await stage.runtime.run(agent, "What else?", conversation="c")
        requests: list[Any] = stage.emulator.requests
        _, second, third = requests
        [assistant] = [message for message in second["messages"] if message["role"] == "assistant"]
        sent = [
            {key: value for key, value in block.items() if key != "cache_control"} for block in assistant["content"]
        ]
        assert [block["type"] for block in sent] == ["text", "server_tool_use", "web_search_tool_result"]
        assert sent[2] == SEARCHED[2]
        assert not notices(stage, "prefix_moved")
        assert [message["role"] for message in third["messages"]] == ["user", "assistant", "assistant", "user"]


async def test_searches_are_billed_beside_the_tokens_and_rounds_add_up() -> None:
    async with staged([[*SEARCHED, {"type": "text", "text": "Vigo."}]]) as stage:
        result = await stage.runtime.run(clerk(tools=[web_search()]), "Where?")
        [call] = await assert_counted_once(stage.runtime, stage.emulator, result)
        assert call.parts[0].web_searches == 1
        assert result.cost_usd is not None
        assert result.cost_usd > Decimal("0.01")  # a search is a cent, whatever it finds
        assert call.usage.cache_read_tokens > 0  # the second round read what the first one wrote


async def test_switching_web_search_loses_the_system_prompt_and_spares_the_tools() -> None:
    functions = Toolset(many(20), defer=False)
    async with staged(["1", "2"]) as stage:
        await stage.runtime.run(clerk(functions), "Go.", conversation="c")
        await stage.runtime.run(clerk(functions, tools=[web_search()]), "Go on.", conversation="c")
        first, second = (line.charge for line in stage.emulator.statement.lines)
        [told] = notices(stage, "prefix_moved")
    assert told.startswith("tools[20] (static layer) is not what this conversation sent before")
    assert 0 < second.read_tokens < first.write_5m_tokens + first.write_1h_tokens


async def test_a_found_tool_is_called_and_stays_found() -> None:
    calls = [*FOUND, *asks_for("look_007")]
    agent = clerk(Toolset(many(80)), tools=[note])
    async with staged([calls, asks_for("note", text="x"), "done", asks_for("look_007"), "2"], strict=True) as stage:
        result = await stage.runtime.run(agent, "Go.", conversation="c")
        await assert_counted_once(stage.runtime, stage.emulator, result)
        await stage.runtime.run(agent, "Go on.", conversation="c")
        requests: list[Any] = stage.emulator.requests
        assert len({str([tool["name"] for tool in request["tools"]]) for request in requests}) == 1
        assert names(requests[0])[:2] == ["note", "tool_search_tool_bm25"]
        assert not any("cache_control" in tool for tool in requests[0]["tools"] if tool.get("defer_loading"))
        assert len(results(requests[-1])) == 3
        lines = stage.emulator.statement.lines
        assert all(line.charge.plain_tokens < 50 for line in lines)
        assert lines[-1].charge.read_tokens > lines[0].charge.write_5m_tokens


async def test_the_prompt_of_a_large_toolset_is_as_short_as_the_tools_that_were_found() -> None:
    async with staged(["1", "2"]) as stage:
        await stage.runtime.run(clerk(Toolset(many(80), defer=False)), "Go.")
        await stage.runtime.run(clerk(Toolset(many(80))), "Go.")
        whole, deferred = (line.charge.write_5m_tokens for line in stage.emulator.statement.lines)
    assert deferred < whole / 5
