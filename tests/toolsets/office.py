"""An MCP server made with the official SDK, run in a process of its own: `office.py LIST`, or `office.py --port PORT`.

LIST is a JSON file with the tools that it lists, read anew each time, so that a test can change them under it. With
a port it speaks streamable HTTP on 127.0.0.1, and the header `x-list` names the file; else standard input and output.
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

BUS = InMemorySubscriptionBus()
LISTENED_TO = ListenHandler(BUS)
PIXEL = base64.b64encode(b"not really a picture").decode()


def list_of(context: Any) -> Path:
    return Path(sys.argv[1] if context.request is None else context.request.headers["x-list"])


def listed(path: Path) -> list[Any]:
    tools: list[Any] = json.loads(path.read_text())
    return tools


def hire(path: Path, tool: Any) -> None:
    path.write_text(json.dumps([*listed(path), tool]))


async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in listed(list_of(context))])


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    given = params.arguments or {}
    if params.name == "slow":
        await asyncio.sleep(60)
    if params.name == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if params.name == "hire":
        hire(list_of(context), given["tool"])
        await BUS.publish(ToolsListChanged())
    if params.name == "hang_up":
        LISTENED_TO.close()
        hire(list_of(context), given["tool"])
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


async def listen(context: Any, params: Any) -> Any:
    if any(tool["name"] == "dawdle" for tool in listed(list_of(context))):
        await asyncio.sleep(0.5)
    return await LISTENED_TO(context, params)


SERVER: Any = Server("office", on_list_tools=list_tools, on_call_tool=call_tool, on_subscriptions_listen=listen)


async def over_stdio() -> None:
    async with stdio_server() as (read, write):
        await SERVER.run(read, write, SERVER.create_initialization_options())


if __name__ == "__main__":
    if sys.argv[1] == "--port":
        uvicorn.run(SERVER.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
    else:
        asyncio.run(over_stdio())
