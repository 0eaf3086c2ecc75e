"""An office of tools in a process of its own, and a clerk who uses it."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentcache import Agent, McpServer, Notice, Prompt

OFFICE = Path(__file__).with_name("office.py")
RULES = "Answer briefly and say where you looked. " * 120


def offer(name: str, **parameters: Any) -> dict[str, Any]:
    """Return a tool as a server lists it."""
    return {
        "name": name,
        "description": f"Does {name}.",
        "inputSchema": {"type": "object", "properties": parameters},
    }


@dataclass
class Office:
    """Where the server reads its list, and how it is started."""

    path: Path

    def list(self, *tools: Any) -> None:
        self.path.write_text(json.dumps([offer(tool) if isinstance(tool, str) else tool for tool in tools]))

    def stdio(self, **options: Any) -> McpServer:
        return McpServer.stdio("office", sys.executable, str(OFFICE), str(self.path), **options)

    @asynccontextmanager
    async def http(self, **options: Any) -> AsyncIterator[McpServer]:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(sys.executable, str(OFFICE), str(self.path), str(port))
        try:
            await _answers(port)
            yield McpServer.http("office", f"http://127.0.0.1:{port}/mcp", **options)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @asynccontextmanager
    async def over(self, transport: str, **options: Any) -> AsyncIterator[McpServer]:
        if transport == "stdio":
            yield self.stdio(**options)
            return
        async with self.http(**options) as server:
            yield server


async def _answers(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return


def clerk(*toolsets: Any, **changes: Any) -> Agent[Any]:
    declared: dict[str, Any] = {"name": "clerk", "model": "claude-sonnet-5-5", "prompt": Prompt(static=RULES)}
    return Agent(**{**declared, "toolsets": toolsets, **changes})


def results(request: dict[str, Any]) -> list[Any]:
    """Return the contents of all tool results in a request, oldest first."""
    blocks = [block for message in request["messages"] for block in message["content"]]
    return [block["content"] for block in blocks if block["type"] == "tool_result"]


def names(request: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in request.get("tools", ())]


def notices(stage: Any, code: str) -> list[str]:
    return [event.message for event in stage.told(Notice) if event.code == code]
