"""A conversation keeps its servers' lists: the same bytes in every run and process, and news of what changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agentcache.runtime import mcp_servers
from agentcache.testing import asks_for
from tests.toolsets.clerk import Office, clerk, names, notices, offer, results
from tests.workflow.conftest import staged

ECHO = offer("echo", word={"type": "string"}, times={"type": "integer"})
MOST_ROUNDS = 60
MIXED_UP = {
    "inputSchema": {
        "properties": {"times": {"type": "integer"}, "word": {"type": "string"}},
        "type": "object",
    },
    "description": "Does echo.",
    "name": "echo",
}


async def test_two_conversations_send_the_same_bytes_whatever_order_a_reconnected_server_lists_in(
    office: Office,
) -> None:
    office.list(ECHO, "pid", "crash")
    replies = [asks_for("office__crash"), "done", "again"]
    async with staged(replies, strict=True) as stage:
        agent = clerk(office.stdio())
        await stage.runtime.run(agent, "Go.", conversation="one")
        office.list("crash", "pid", MIXED_UP)
        await stage.runtime.run(agent, "Go.", conversation="two")
        first, _, third = stage.emulator.requests
    assert str(first["tools"]) == str(third["tools"])
    assert stage.emulator.statement.lines[-1].charge.read_tokens > 1000


async def test_a_changed_list_is_told_and_waits_for_the_next_conversation(office: Office) -> None:
    async with staged(["1", "2", "3"], strict=True) as stage:
        agent = clerk(office.http())
        await stage.runtime.run(agent, "Go.", conversation="c")
        office.list("echo", {**offer("pid"), "description": "Else."}, "new")
        await stage.runtime.run(agent, "Go on.", conversation="c")
        await stage.runtime.run(agent, "Go.", conversation="d")
        one, two, three = stage.emulator.requests
        assert one["tools"] == two["tools"]
        assert names(three) == ["office__echo", "office__new", "office__pid"]
        [told] = notices(stage, "mcp_tools_changed")
    assert "(added office__new; changed office__pid): this conversation keeps the list it has" in told
    assert "cached tokens written again, $0.00" in told
    assert stage.emulator.statement.lines[1].charge.read_tokens > 1000


@pytest.mark.parametrize(
    ("transport", "tools", "does", "hearing_s"),
    [
        pytest.param("stdio", ["hire"], "hire", 10, id="announced-by-a-process"),
        pytest.param("http", ["hire"], "hire", 10, id="announced-by-a-server"),
        pytest.param("http", ["hire", "dawdle"], "hire", 10, id="waited-for-until-it-agreed-to"),
        pytest.param("http", ["hire", "dawdle"], "hire", 0.01, id="before-it-agreed-to"),
        pytest.param("http", ["hang_up"], "hang_up", 10, id="after-it-stopped-announcing"),
    ],
)
async def test_a_change_under_a_run_is_told_while_it_is_under_way(
    office: Office, monkeypatch: pytest.MonkeyPatch, transport: str, tools: list[str], does: str, hearing_s: float
) -> None:
    monkeypatch.setattr(mcp_servers, "HEARING_S", hearing_s)
    office.list(*tools, "echo")

    async def replies(request: dict[str, Any]) -> Any:
        rounds = len(request["messages"]) // 2
        if rounds == 0:
            return asks_for(f"office__{does}", tool=offer("new"))
        if rounds == MOST_ROUNDS or notices(stage, "mcp_tools_changed"):
            return "done"
        await asyncio.sleep(0.1)  # an announcement comes on a way of its own, and is told after the next tool
        return asks_for("office__echo")

    async with staged(replies, strict=True) as stage:
        await stage.runtime.run(clerk(office.over(transport)), "Go.")
        [told] = notices(stage, "mcp_tools_changed")
        assert "added office__new" in told
        assert "office__new" not in names(stage.emulator.requests[-1])


async def test_a_tool_that_is_gone_answers_in_words(office: Office) -> None:
    async with staged(["1", asks_for("office__pid"), "2"], strict=True) as stage:
        agent = clerk(office.http())
        await stage.runtime.run(agent, "Go.", conversation="c")
        office.list("echo")
        await stage.runtime.run(agent, "Go on.", conversation="c")
        assert results(stage.emulator.requests[-1]) == ["the MCP server 'office' offers no tool 'pid' any more"]


async def test_an_author_may_take_the_new_list_at_once(office: Office) -> None:
    async with staged(["1", "2"]) as stage:
        agent = clerk(office.http(on_change="next_run"))
        await stage.runtime.run(agent, "Go.", conversation="c")
        office.list("echo", "new")
        await stage.runtime.run(agent, "Go on.", conversation="c")
        assert names(stage.emulator.requests[1]) == ["office__echo", "office__new"]
        [told] = notices(stage, "mcp_tools_changed")
    assert told.endswith("this conversation has it from now on")


async def test_another_process_goes_on_with_the_same_bytes_and_reads_the_cache(office: Office, tmp_path: Path) -> None:
    kept: Any = {"store": f"sqlite:///{tmp_path / 'ledger.db'}", "keep_text": True, "strict": True}
    async with staged(["1"], **kept) as stage:
        await stage.runtime.run(clerk(office.http()), "Go.", conversation="c")
        first = stage.emulator.requests[0]
    office.list("new", "pid", "echo")
    async with staged(["2"], **kept) as stage:
        await stage.runtime.run(clerk(office.http()), "Go on.", conversation="c")
        assert str(stage.emulator.requests[0]["tools"]) == str(first["tools"])


async def test_a_conversation_goes_on_with_the_tools_it_had_when_the_server_is_gone(
    office: Office, tmp_path: Path
) -> None:
    async with staged(["1", "2"], strict=True) as stage:
        await stage.runtime.run(clerk(office.http()), "Go.", conversation="c")
        office.path.unlink()
        await stage.runtime.run(clerk(office.http()), "Go on.", conversation="c")
        assert stage.emulator.requests[0]["tools"] == stage.emulator.requests[1]["tools"]
        [told] = notices(stage, "mcp_unreachable")
    assert "the run begins with the tools it had" in told


@pytest.mark.parametrize("defer", [True, False])
async def test_deferred_tools_are_added_in_mid_conversation_at_no_cost(office: Office, defer: bool) -> None:
    async with staged(["1", "2"], strict=True) as stage:
        agent = clerk(office.http(defer=defer))
        await stage.runtime.run(agent, "Go.", conversation="c")
        office.list("echo", "pid", "new")
        await stage.runtime.run(agent, "Go on.", conversation="c")
        assert ("office__new" in names(stage.emulator.requests[1])) is defer
        first, second = (line.charge for line in stage.emulator.statement.lines)
    assert second.read_tokens == first.write_5m_tokens + first.write_1h_tokens
