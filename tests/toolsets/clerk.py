"""An office of tools in a process of its own, and a clerk who uses it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Where a server reads its list, and how it is started. `shared`: the port of one that all tests may use."""

    path: Path
    shared: int

    def list(self, *tools: Any) -> None:
        self.path.write_text(json.dumps([offer(tool) if isinstance(tool, str) else tool for tool in tools]))

    def stdio(self, **options: Any) -> McpServer:
        return McpServer.stdio("office", sys.executable, str(OFFICE), str(self.path), **options)

    def http(self, port: int | None = None, **options: Any) -> McpServer:
        url = f"http://127.0.0.1:{port or self.shared}/mcp"
        return McpServer.http("office", url, headers={"x-list": str(self.path)}, **options)

    def over(self, transport: str, **options: Any) -> McpServer:
        return self.stdio(**options) if transport == "stdio" else self.http(**options)


@contextmanager
def serving() -> Iterator[int]:
    """Run an office that speaks HTTP, and return its port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(OFFICE), "--port", str(port)], stdin=subprocess.DEVNULL)
    try:
        while not _answers(port):
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


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
