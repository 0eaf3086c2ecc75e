"""The Anthropic SDK called directly: a loop by hand, as its documentation shows it.

Variants: `default`, `aiohttp` (the SDK's other transport), and of its two ways to stream `events`, which is the one
without accumulated snapshots. All send the same requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
from playing import API_KEY, MAX_TOKENS, MODEL, Ask, Cell, described, result

PACKAGES = ("anthropic", "httpx2", "aiohttp", "pydantic")
MARK = {"type": "ephemeral"}


@asynccontextmanager
async def opened(variant: str, address: str, cell: Cell, stream: bool) -> AsyncIterator[Ask]:
    http_client = anthropic.DefaultAioHttpClient() if variant == "aiohttp" else None
    async with anthropic.AsyncAnthropic(api_key=API_KEY, base_url=address, http_client=http_client) as client:
        answered = _created if not stream else _events if variant == "events" else _streamed
        tools = [described(tool) for tool in cell.tools]
        system: Any = cell.system
        if cell.marks:
            tools[-1] = {**tools[-1], "cache_control": MARK}
            system = [{"type": "text", "text": cell.system, "cache_control": MARK}]

        async def ask(number: int) -> None:
            messages: list[dict[str, Any]] = [{"role": "user", "content": cell.question(number)}]
            while True:
                sent = {"model": MODEL, "max_tokens": MAX_TOKENS, "tools": tools, "system": system}
                content, stop_reason = await answered(client, {**sent, "messages": _marked(messages, cell)})
                if stop_reason != "tool_use":
                    return
                messages.append({"role": "assistant", "content": content})
                results = [
                    {"type": "tool_result", "tool_use_id": block.id, "content": result(block.input)}
                    for block in content
                    if block.type == "tool_use"
                ]
                messages.append({"role": "user", "content": results})

        yield ask


def _marked(messages: list[dict[str, Any]], cell: Cell) -> list[dict[str, Any]]:
    """Return the messages with a breakpoint on the last block, where the cell asks for them."""
    if not cell.marks:
        return messages
    *before, last = messages
    content = last["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [*before, {**last, "content": [*blocks[:-1], {**blocks[-1], "cache_control": MARK}]}]


async def _created(client: anthropic.AsyncAnthropic, sent: dict[str, Any]) -> tuple[Any, str | None]:
    message = await client.messages.create(**sent)
    return message.content, message.stop_reason


async def _streamed(client: anthropic.AsyncAnthropic, sent: dict[str, Any]) -> tuple[Any, str | None]:
    async with client.messages.stream(**sent) as stream:
        async for text in stream.text_stream:
            _look_at(text)
        message = await stream.get_final_message()
    return message.content, message.stop_reason


async def _events(client: anthropic.AsyncAnthropic, sent: dict[str, Any]) -> tuple[Any, str | None]:
    async for event in await client.messages.create(**sent, stream=True):
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            _look_at(event.delta.text)
    return [], None  # whoever wants the message joins it: this way is measured where no tool is called


def _look_at(text: str) -> None:
    if not text:
        raise RuntimeError("an empty piece of text")
