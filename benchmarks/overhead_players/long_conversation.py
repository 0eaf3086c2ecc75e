"""A conversation of 200 turns that grows to 500 kB: processor time of each turn, ours and what the wire alone costs.

    python long_conversation.py PLAYER ADDRESS

PLAYER is `agentcache`, `agentcache, kept in the ledger` (`keep_text`), `SDK` (a list of messages and `create`), or
`wire`: the same bodies encoded once and written to a bare connection. Prints the milliseconds of each turn as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playing import API_KEY, BIG, MAX_TOKENS, MODEL, SENTENCES, described

Say = Callable[[str], Awaitable[None]]

TURNS = 200
TOOLS = BIG["tools"]


def words(turn: int) -> str:
    """Return what the user says: about 2 kB, different each time."""
    return "\n".join(f"{turn}.{place}: {SENTENCES[(turn + place) % len(SENTENCES)]}" for place in range(22))


@asynccontextmanager
async def ours(address: str, *, keep_text: bool) -> AsyncIterator[Say]:
    # Here, as the other players are not to import it.
    from play_agentcache import _tool

    from agentcache import Agent, Prompt, Runtime

    agent = Agent(
        name="adder",
        model=MODEL,
        prompt=Prompt(static=BIG["system"]),
        tools=[_tool(name) for name in TOOLS],
        max_tokens=MAX_TOKENS,
    )
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'ledger.db'}"
        async with Runtime(store, api_key=API_KEY, base_url=address, keep_text=keep_text) as runtime:

            async def say(text: str) -> None:
                await runtime.run(agent, text, conversation="long")

            yield say


@asynccontextmanager
async def sdk(address: str) -> AsyncIterator[Say]:
    import anthropic

    messages: list[dict[str, Any]] = []
    async with anthropic.AsyncAnthropic(api_key=API_KEY, base_url=address) as client:

        async def say(text: str) -> None:
            messages.append({"role": "user", "content": text})
            answer = await client.messages.create(**_body(messages))
            messages.append({"role": "assistant", "content": answer.content})

        yield say


@asynccontextmanager
async def wire(address: str) -> AsyncIterator[Say]:
    place, messages = urlsplit(address), []
    reader, writer = await asyncio.open_connection(place.hostname, place.port)

    async def say(text: str) -> None:
        messages.append({"role": "user", "content": [{"type": "text", "text": text}]})
        body = json.dumps(_body(messages), ensure_ascii=False, separators=(",", ":")).encode()
        head = f"POST /v1/messages HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.writelines((head.encode(), body))
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = answer.decode().split("\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
        message = json.loads(await reader.readexactly(length))
        messages.append({"role": "assistant", "content": message["content"]})

    yield say
    writer.close()


def _body(messages: list[dict[str, Any]]) -> dict[str, Any]:
    system = [{"type": "text", "text": BIG["system"]}]
    tools = [described(tool) for tool in TOOLS]
    return {"model": MODEL, "max_tokens": MAX_TOKENS, "tools": tools, "system": system, "messages": messages}


def player(name: str, address: str) -> Any:
    if name.startswith("agentcache"):
        return ours(address, keep_text=name != "agentcache")
    return sdk(address) if name == "SDK" else wire(address)


async def main(name: str, address: str) -> None:
    took_ms = []
    async with player(name, address) as say:
        gc.freeze()  # modules are not looked through again
        for turn in range(TURNS):
            text = words(turn)
            gc.collect()  # so that no turn pays for the garbage of those before it
            before = time.process_time()
            await say(text)
            took_ms.append(1000 * (time.process_time() - before))
    print(json.dumps(took_ms))


if __name__ == "__main__":
    os.environ["ANTHROPIC_API_KEY"] = API_KEY
    asyncio.run(main(*sys.argv[1:]))
