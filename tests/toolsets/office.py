"""An MCP server made with the official SDK, run in a process of its own: `office.py LIST [PORT]`.

LIST is a JSON file with the tools that it lists, read anew each time, so that a test can change them under it. Without
PORT it speaks over standard input and output, with it streamable HTTP on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

LIST = Path(sys.argv[1])
BUS = InMemorySubscriptionBus()
PIXEL = base64.b64encode(b"not really a picture").decode()


def listed() -> list[Any]:
    tools: list[Any] = json.loads(LIST.read_text())
    return tools


def hire(tool: Any) -> None:
    LIST.write_text(json.dumps([*listed(), tool]))


async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in listed()])


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    given = params.arguments or {}
    if params.name == "slow":
        await asyncio.sleep(60)
    if params.name == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if params.name == "hire":
        hire(given["tool"])
        await BUS.publish(ToolsListChanged())
    if params.name == "pid":
        return says(str(os.getpid()))
    if params.name == "huge":
        return says("x" * 1_000_000)
    if params.name == "refuse":
        return types.CallToolResult(content=[types.TextContent(text="the office is closed")], is_error=True)
    if params.name == "show":
        return types.CallToolResult(
            content=[types.TextContent(text="a picture"), types.ImageContent(data=PIXEL, mime_type="image/png")]
        )
    if params.name == "count":
        return types.CallToolResult(content=[], structured_content={"b": 1, "a": [2]})
    return says(f"{params.name} {json.dumps(given, sort_keys=True)}")


def says(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


SERVER: Any = Server(
    "office", on_list_tools=list_tools, on_call_tool=call_tool, on_subscriptions_listen=ListenHandler(BUS)
)


async def over_stdio() -> None:
    async with stdio_server() as (read, write):
        await SERVER.run(read, write, SERVER.create_initialization_options())


if __name__ == "__main__":
    if len(sys.argv) > 2:
        uvicorn.run(SERVER.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
    else:
        asyncio.run(over_stdio())
