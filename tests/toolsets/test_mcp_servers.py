"""MCP servers in processes of their own: what they answer, and what becomes of a run when they do not."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from agentcache import McpServer, ToolServerUnavailable
from agentcache.testing import asks_for
from tests.toolsets.clerk import Office, clerk, names, notices, offer, results, serving
from tests.workflow.account import assert_counted_once
from tests.workflow.conftest import staged

BOTH = pytest.mark.parametrize("transport", ["stdio", "http"])


@BOTH
async def test_an_agent_uses_a_servers_tools_and_the_ledger_says_what_the_api_billed(
    transport: str, office: Office
) -> None:
    replies = [asks_for("office__echo", word="hi"), "done"]
    async with staged(replies) as stage:
        result = await stage.runtime.run(clerk(office.over(transport)), "Say hi.")
        assert result.output == "done"
        assert results(stage.emulator.requests[1]) == ['echo {"word": "hi"}']
        await assert_counted_once(stage.runtime, stage.emulator, result)
        [row] = await stage.runtime.ledger.tool_calls(run_id=result.run_id)
        assert (row.tool, row.outcome) == ("office__echo", "ok")


async def test_what_a_server_answers_becomes_a_result_whatever_kind_it_is(office: Office) -> None:
    office.list("show", "count", "refuse", "huge")
    asked = [call for name in ("show", "count", "refuse", "huge") for call in asks_for(f"office__{name}")]
    async with staged([asked, "done"]) as stage:
        await stage.runtime.run(clerk(office.http(max_result_chars=50)), "Go.")
        shown, counted, refused, huge = results(stage.emulator.requests[1])
    assert [block["type"] for block in shown] == ["text", "image"]
    assert counted == '{"a":[2],"b":1}'
    assert refused == "the office is closed"
    assert huge == f"{'x' * 50}\n[cut: 999950 more characters]"


@BOTH
async def test_a_slow_call_ends_in_words_and_the_server_is_still_there(transport: str, office: Office) -> None:
    office.list("slow", "echo")
    replies = [asks_for("office__slow"), asks_for("office__echo"), "done"]
    async with staged(replies) as stage:
        await stage.runtime.run(clerk(office.over(transport, timeout="0.5s")), "Go.")
        assert results(stage.emulator.requests[-1]) == ["office__slow gave no result within 0.5 seconds.", "echo {}"]


async def test_a_server_killed_in_the_middle_of_a_call_answers_in_words_and_is_started_anew(office: Office) -> None:
    office.list("crash", "pid")
    replies = [asks_for("office__pid"), asks_for("office__crash"), asks_for("office__pid"), "done"]
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with staged(replies, sleep=sleep) as stage:
        await stage.runtime.run(clerk(office.stdio()), "Go.")
        first, crashed, second = results(stage.emulator.requests[-1])
        assert crashed == (
            "the MCP server 'office' went away during the call of 'crash'; nobody knows whether it took effect"
        )
        assert first != second
        assert all(0 < wait <= 0.25 for wait in waits)
    assert not _lives(int(second))


async def test_an_http_server_that_is_gone_is_told_of_and_ends_no_run(office: Office) -> None:
    office.list("crash", "echo")
    replies = [asks_for("office__crash"), asks_for("office__echo"), "done"]
    with serving() as port:
        async with staged(replies) as stage:
            server = office.http(port, connect_timeout="2s", timeout="5s")
            result = await stage.runtime.run(clerk(server), "Go.")
            assert result.output == "done"
            crashed, gone = results(stage.emulator.requests[-1])
    assert "went away during the call" in crashed
    assert "cannot be reached" in gone


async def test_closing_the_runtime_leaves_no_process(office: Office) -> None:
    async with staged([asks_for("office__pid"), "done"]) as stage:
        await stage.runtime.run(clerk(office.stdio()), "Go.")
        [pid] = results(stage.emulator.requests[-1])
        assert _lives(int(pid))
    assert not _lives(int(pid))


async def test_a_malformed_schema_is_refused_by_name_and_the_rest_works(office: Office) -> None:
    office.list("echo", {**offer("wrong"), "inputSchema": {"type": "object", "properties": {"a": {"type": 3}}}})
    async with staged(["done"]) as stage:
        await stage.runtime.run(clerk(office.http()), "Go.")
        assert names(stage.emulator.requests[0]) == ["office__echo"]
        [told] = notices(stage, "mcp_tool_refused")
    assert told.startswith("MCP server 'office': tool 'wrong' is left out: its inputSchema is no JSON schema")


async def test_what_is_no_tool_at_all_spoils_no_listing(tmp_path: Path) -> None:
    """The SDK's server would not send this, and its client refuses the whole list for it."""
    script = tmp_path / "rough.py"
    tools = [offer("fine"), {"name": "text", "inputSchema": "none"}, "not even an object"]
    script.write_text(_ROUGH.format(tools=json.dumps(tools)))
    async with staged(["done"]) as stage:
        await stage.runtime.run(clerk(McpServer.stdio("rough", sys.executable, str(script))), "Go.")
        assert names(stage.emulator.requests[0]) == ["rough__fine"]
        assert len(notices(stage, "mcp_tool_refused")) == 2


_ROUGH = """
import json, sys
TOOLS = json.loads({tools!r})
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    if asked["method"] == "initialize":
        who = {{"name": "rough", "version": "1"}}
        answer = {{"result": {{"protocolVersion": "2025-06-18", "capabilities": {{"tools": {{}}}}, "serverInfo": who}}}}
    elif asked["method"] == "tools/list":
        answer = {{"result": {{"tools": TOOLS}}}}
    else:
        answer = {{"error": {{"code": -32601, "message": "no such method"}}}}
    print(json.dumps({{"jsonrpc": "2.0", "id": asked["id"], **answer}}), flush=True)
"""


async def test_a_server_that_cannot_be_started_ends_the_run_before_anything_is_sent() -> None:
    async with staged([]) as stage:
        with pytest.raises(ToolServerUnavailable, match="the MCP server 'gone' cannot be reached"):
            await stage.runtime.run(clerk(McpServer.stdio("gone", "/nowhere/at/all")), "Go.")
        assert not stage.emulator.requests


async def test_approval_by_pattern_holds_back_just_those_tools(office: Office) -> None:
    office.list("delete_order", "find_order")
    asked = [*asks_for("office__delete_order"), *asks_for("office__find_order")]
    async with staged([asked, "done"], approve=lambda request: False) as stage:
        await stage.runtime.run(clerk(office.http(approval={"delete_*": True})), "Go.")
        held_back, found = results(stage.emulator.requests[1])
    assert "declined" in held_back
    assert found == "find_order {}"


async def test_results_are_kept_only_where_the_author_says_so(office: Office) -> None:
    office.list({**offer("pid"), "annotations": {"readOnlyHint": True, "idempotentHint": True}}, "echo")
    asked = [*asks_for("office__echo"), *asks_for("office__pid")]
    async with staged([asked, asked, "done"]) as stage:
        result = await stage.runtime.run(clerk(office.http(keep_results={"e*": "1h"})), "Go.")
        rows = await stage.runtime.ledger.tool_calls(run_id=result.run_id)
    assert sorted((row.tool, row.memo_hit) for row in rows) == [
        ("office__echo", False),
        ("office__echo", True),
        ("office__pid", False),
        ("office__pid", False),
    ]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
