"""Images and documents that tools return, as they are sent in every later turn."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from agentcache import Tool, document, image, tool
from agentcache.prompt.canonical import json_text
from tests.workflow.conftest import Request, agent, staged

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PDF = b"%PDF-1.7\n" + bytes(range(256))


@tool
def chart(year: int) -> list[Any]:
    """Draw a chart."""
    return [f"Sales of {year}:", image(PNG)]


@tool
def contract(number: int) -> dict[str, Any]:
    """Fetch a contract."""
    return document(PDF, title=f"Contract {number}")


@tool
async def letter(number: int) -> list[dict[str, Any]]:
    """Fetch a letter and what belongs to it."""
    return [document(f"Dear customer {number}", context="scanned"), image(PNG)]


def asks(name: str, arguments: dict[str, int]) -> Any:
    """Answer a question with a call of the tool, and a result with words."""

    def reply(request: Request) -> Any:
        last = request["messages"][-1]["content"][-1]
        if last["type"] == "tool_result":
            return "seen"
        return [{"type": "tool_use", "name": name, "input": arguments}]

    return reply


def results(request: Request) -> list[str]:
    """Return the contents of a request's tool results as the bytes that were sent."""
    blocks = [block for message in request["messages"] for block in message["content"]]
    return [json_text(block["content"]) for block in blocks if block["type"] == "tool_result"]


@pytest.mark.parametrize(
    ("returning", "arguments"), [(chart, {"year": 2026}), (contract, {"number": 17}), (letter, {"number": 3})]
)
async def test_they_are_sent_to_the_byte_as_before_in_every_later_turn(returning: Tool, arguments: dict[str, int]):
    async with staged(asks(returning.name, arguments)) as on:
        clerk = agent(tools=[returning])
        await on.runtime.run(clerk, "show me", conversation="c")
        await on.runtime.run(clerk, "again", conversation="c")
        calls = await on.runtime.ledger.calls()
        tool_calls = await on.runtime.ledger.tool_calls()

    sent = [results(request) for request in on.emulator.requests]
    assert [len(contents) for contents in sent] == [0, 1, 1, 2]
    assert len({content for contents in sent for content in contents}) == 1
    assert all(call.usage is not None and call.usage.cache_read_tokens > 0 for call in calls[1:])
    assert len({call.result_digest for call in tool_calls}) == 1
    assert {call.result_bytes for call in tool_calls} == {len(sent[1][0].encode())}
    assert all((call.result_tokens or 0) > 1_000 for call in tool_calls)


async def test_a_kept_one_is_sent_to_the_byte_as_the_first():
    ran: Counter[int] = Counter()

    @tool(deterministic=True, version="1")
    def photo(number: int) -> list[Any]:
        """Fetch a photo."""
        ran[number] += 1
        return [f"Photo {number}, taken {ran[number]} times:", image(PNG)]

    async with staged(asks("photo", {"number": 1})) as on:
        for question in ("show me", "me too"):
            await on.runtime.run(agent(tools=[photo]), question)
        tool_calls = await on.runtime.ledger.tool_calls()

    first, second = (results(request) for request in on.emulator.requests if results(request))
    assert first == second
    assert ran == {1: 1}
    assert [call.memo_tier for call in tool_calls] == ["executed", "memory"]
    assert tool_calls[0].result_tokens == tool_calls[1].result_tokens
