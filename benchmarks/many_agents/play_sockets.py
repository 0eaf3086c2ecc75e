"""The floor: the same requests over bare sockets, encoded once, one connection an agent, nothing parsed but the end.

It says how fast the emulator is: what a framework cannot be faster than here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

TURNS = 5
MARK = {"type": "ephemeral"}


class Talk:
    def __init__(self, crowd: Any) -> None:
        self._crowd = crowd

    async def say(self, text: str) -> None:
        address = urlsplit(self._crowd.base_url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        for turn in range(TURNS):
            body = json.dumps(self._body(messages)).encode()
            head = f"POST /v1/messages HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-length: {len(body)}\r\n"
            head += "x-api-key: none\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n\r\n"
            writer.writelines((head.encode(), body))
            answer = json.loads(await _body_of(reader))
            messages.append({"role": "assistant", "content": answer["content"]})
            uses = [block for block in answer["content"] if block["type"] == "tool_use"]
            if not uses and turn + 1 < TURNS:
                raise RuntimeError(f"the answer came after {turn + 1} turns")
            if uses:
                found = self._crowd.result("look_up", uses[0]["input"])
                result = {"type": "tool_result", "tool_use_id": uses[0]["id"], "content": found}
                messages.append({"role": "user", "content": [result]})
        writer.close()
        await writer.wait_closed()

    def _body(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        system = [{"type": "text", "text": self._crowd.system, "cache_control": MARK}]
        *before, last = messages
        *content, tail = last["content"]
        marked = [*before, {**last, "content": [*content, {**tail, "cache_control": MARK}]}]
        return {
            "model": self._crowd.model,
            "max_tokens": 1000,
            "tools": self._crowd.tools,
            "system": system,
            "messages": marked,
        }


async def _body_of(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line.partition(":")[2] for line in head.splitlines() if line.startswith("content-length"))
    body = await reader.readexactly(int(length))
    if not head.startswith("http/1.1 200"):
        raise RuntimeError(body[:200].decode())
    return body


@asynccontextmanager
async def start(crowd: Any, settings: str) -> AsyncIterator[Any]:
    yield lambda number: Talk(crowd)
