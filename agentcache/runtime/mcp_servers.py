"""Connections to MCP servers: the only place that knows the MCP SDK (extra `mcp`, written for 2.3.0).

A connection is opened when it is first needed, by a task of its own that holds it to the end, since the SDK wants
its task groups left by the task that entered them. When it breaks, calls under way fail in words, and the next one
opens it anew, later each time. Which tools an agent gets of what is listed is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING

import httpx2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp import types as mcp_types
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from agentcache.errors import ToolFailed, ToolServerUnavailable
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.despite_cancellation import despite_cancellation
from agentcache.runtime.mcp_results import result_from
from agentcache.runtime.tool_results import ToolResult
from agentcache.runtime.toolsets import HttpTransport, McpServer, StdioTransport
from agentcache.shown_url import shown_url

if TYPE_CHECKING:  # names that the SDK keeps to itself, needed for types only
    from mcp.client._transport import ReadStream, TransportStreams

FIRST_WAIT_S = 0.25
"""How long a connection that broke is left alone; twice as long after each further failure."""
LONGEST_WAIT_S = 8.0
HEARING_S = 2.0
"""How long a server may take to say that it will tell of changes, before its tools are listed without."""
CLOSING_S = 10.0
"""How long closing may take: the SDK gives a process two seconds to leave, two to obey, and then kills it."""
MOST_PAGES = 100


class McpConnection:
    """One server, connected when needed. `changed`: it said that its list of tools changed since it was last listed."""

    def __init__(
        self, server: McpServer, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self.server = server
        self.changed = False
        self._clock, self._sleep = clock, sleep
        self._slots = nullcontext() if server.concurrency is None else asyncio.Semaphore(server.concurrency)
        self._opening, self._listing = asyncio.Lock(), asyncio.Lock()
        self._held: _Held | None = None
        self._failures, self._not_before_s = 0, 0.0

    async def listed(self) -> Sequence[JsonValue]:
        """Return the tools that the server lists, as they came. Raises `ToolServerUnavailable` when it does not."""
        async with self._listing:
            held = await self._connected()
            self.changed = False
            held.unreadable.clear()
            try:
                async with asyncio.timeout(self.server.connect_timeout_s):
                    tools = await _all_tools(held.client)
            except (MCPError, TimeoutError, ValidationError) as error:
                if not isinstance(error, MCPError) or error.code == mcp_types.CONNECTION_CLOSED:
                    await self._broke(held)
                raise ToolServerUnavailable(f"{self._name} does not list its tools: {self._words(error)}") from error
            self._failures = 0
            return [*tools, *held.unreadable]

    async def call(self, tool: str, arguments: JsonObject) -> ToolResult:
        """Return what the server answers. Raises `ToolFailed` in words for the model, whatever went wrong."""
        async with self._slots:
            try:
                held = await self._connected()
            except ToolServerUnavailable as error:
                raise ToolFailed(f"{error}; the call was not made") from error
            try:
                answer = await held.client.call_tool(tool, dict(arguments))
            except MCPError as error:
                if error.code != mcp_types.CONNECTION_CLOSED:
                    raise ToolFailed(f"{self._name} answered: {error.message}") from error
                await self._broke(held)
                raise ToolFailed(
                    f"{self._name} went away during the call of {tool!r}; nobody knows whether it took effect"
                ) from error
            except (RuntimeError, ValidationError) as error:
                raise ToolFailed(f"{self._name} gave an answer that does not fit: {self._words(error)}") from error
            self._failures = 0
            try:
                return result_from(answer.model_dump(mode="json", by_alias=True, exclude_none=True))
            except (RecursionError, ValueError) as error:  # endless nesting, numbers that are none
                raise ToolFailed(f"{self._name} gave an answer that is no plain JSON") from error

    def why_invalid(self, schema: JsonObject) -> str | None:
        """Return what is wrong with a JSON schema (draft 2020-12, as the API wants it), `None` for nothing."""
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            return f"its inputSchema is no JSON schema: {error.message[:200]}"
        return None

    async def aclose(self) -> None:
        """End the connection, and the process behind it."""
        held, self._held = self._held, None
        if held is not None:
            await held.aclose()

    def _words(self, error: BaseException) -> str:
        """Return an error in words. What HTTP clients say may quote the address, and a key stands in some."""
        transport, told = self.server.transport, _words(error)
        return told.replace(transport.url, shown_url(transport.url)) if isinstance(transport, HttpTransport) else told

    @property
    def _name(self) -> str:
        return f"the MCP server {self.server.name!r}"

    async def _connected(self) -> _Held:
        async with self._opening:
            if self._held is not None and not self._held.gone:
                return self._held
            await self.aclose()
            if (wait_s := self._not_before_s - self._clock()) > 0:
                await self._sleep(wait_s)
            held = _Held(self.server, self._list_changed)
            try:
                await held.open()
            except Exception as error:
                self._failed()
                raise ToolServerUnavailable(f"{self._name} cannot be reached: {self._words(error)}") from error
            self._held = held
            return held

    async def _broke(self, held: _Held) -> None:
        self._failed()
        if self._held is held:
            self._held = None
        await held.aclose()

    def _failed(self) -> None:
        wait_s = min(FIRST_WAIT_S * 2.0**self._failures, LONGEST_WAIT_S)
        self._failures, self._not_before_s = self._failures + 1, self._clock() + wait_s

    def _list_changed(self) -> None:
        self.changed = True


class _Held:
    """A client in the task that entered it.

    gone: the server's side ended. unreadable: tools for which the SDK would refuse a whole listing.
    """

    def __init__(self, server: McpServer, list_changed: Callable[[], None]) -> None:
        self.gone = False
        self.unreadable: list[JsonValue] = []
        self._server, self._list_changed = server, list_changed
        self._opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._leave, self._asked = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def client(self) -> Client:
        return self._opened.result()

    async def open(self) -> None:
        """Connect. Raises what the SDK raises, and `TimeoutError` when it takes too long."""
        self._task = asyncio.create_task(self._hold(), name=f"mcp {self._server.name}")
        try:
            async with asyncio.timeout(self._server.connect_timeout_s):
                await asyncio.shield(self._opened)
        except BaseException:
            await despite_cancellation(self.aclose())
            raise

    async def aclose(self) -> None:
        if self._task is None:
            return
        self._leave.set()
        if not self._opened.done():
            self._task.cancel()
        _, late = await asyncio.wait([self._task], timeout=CLOSING_S)
        if late:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._opened.done() and not self._opened.cancelled():
            self._opened.exception()  # it was told to whoever opened

    async def _hold(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                transport = _watched(await _transport(stack, self._server.transport), self)
                client = Client(transport, message_handler=self._heard, cache=None)
                await stack.enter_async_context(client)
                listening = asyncio.create_task(self._listen(client))
                stack.push_async_callback(_ended, listening)
                with suppress(TimeoutError):  # a change after the listing and before this would be missed
                    async with asyncio.timeout(HEARING_S):
                        await self._asked.wait()
                self._opened.set_result(client)
                await self._leave.wait()
        except Exception as error:  # noqa: BLE001  # told to whoever waits for the client
            # Once the client is there, each call was told what became of it.
            if not self._opened.done():
                self._opened.set_exception(error)
        finally:
            self.gone = True
            self._opened.cancel()

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._list_changed()

    async def _listen(self, client: Client) -> None:
        """Hear of changes from a server of the 2026 protocol, which tells them to those who ask, as long as they ask.

        Such a server may end what it tells at any time, and forgets what changed until it is asked again.
        """
        wait_s = FIRST_WAIT_S
        while True:
            try:
                with suppress(SubscriptionLost, TimeoutError):
                    async with client.listen(tools_list_changed=True) as events:
                        if self._opened.done():
                            self._list_changed()  # nobody was told of what changed meanwhile
                        self._asked.set()
                        async for _ in events:
                            self._list_changed()
                            wait_s = FIRST_WAIT_S
            except (ListenNotSupportedError, MCPError):
                return
            finally:
                self._asked.set()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def saw(self, item: SessionMessage | Exception) -> None:
        """Take out of a listing what the SDK would refuse the whole listing for."""
        message = item.message if isinstance(item, SessionMessage) else None
        result = message.result if isinstance(message, mcp_types.JSONRPCResponse) else None
        tools = result.get("tools") if isinstance(result, dict) else None
        if isinstance(result, dict) and isinstance(tools, list):
            self.unreadable.extend(tool for tool in tools if not _readable(tool))
            result["tools"] = [tool for tool in tools if _readable(tool)]


class _WatchedRead:
    """A transport's incoming side; says when it ends, and shows each message first."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], held: _Held) -> None:
        self._inner, self._held = inner, held

    async def receive(self) -> SessionMessage | Exception:
        try:
            item = await self._inner.receive()
        except BaseException:
            self._held.gone = True
            raise
        self._held.saw(item)
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> _WatchedRead:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            item = await self._inner.__anext__()
        except BaseException:
            self._held.gone = True
            raise
        self._held.saw(item)
        return item

    async def __aenter__(self) -> _WatchedRead:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)


@asynccontextmanager
async def _watched(streams: TransportStreams, held: _Held) -> AsyncIterator[TransportStreams]:
    read, write = streams
    yield _WatchedRead(read, held), write


async def _transport(stack: AsyncExitStack, transport: StdioTransport | HttpTransport) -> TransportStreams:
    if isinstance(transport, HttpTransport):
        # As the SDK's own client: a server may hold a stream open for long.
        timeout = httpx2.Timeout(30.0, read=300.0)
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=dict(transport.headers), timeout=timeout))
        return await stack.enter_async_context(streamable_http_client(transport.url, http_client=http))
    parameters = StdioServerParameters(
        command=transport.command, args=list(transport.args), env=dict(transport.env), cwd=transport.cwd
    )
    return await stack.enter_async_context(stdio_client(parameters))


async def _all_tools(client: Client) -> list[JsonValue]:
    tools: list[JsonValue] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools.extend(_plain(tool) for tool in page.tools)
        cursor = page.next_cursor
        if cursor is None:
            break
    return tools


def _plain(tool: mcp_types.Tool) -> JsonObject:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
    }


def _readable(tool: JsonValue) -> bool:
    if not isinstance(tool, dict):
        return False
    schema = tool.get("inputSchema")
    try:
        mcp_types.Tool.model_validate(tool, by_name=False)
    except ValidationError:
        return False
    return isinstance(schema, dict) and schema.get("type") == "object"


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _words(error: BaseException) -> str:
    """Return an error in words; of a group, that of its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError) and not str(error):
        return "it took too long"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
