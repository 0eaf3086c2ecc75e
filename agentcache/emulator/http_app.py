"""The emulator as an ASGI application: HTTP in, the pure API in the middle, bytes and faults out.

It decides nothing about billing. It gives the pure parts what they lack: the time of a request's arrival and of its
first byte, the wait between them, the wire. A client that goes away before its first byte is billed nothing and writes
nothing. Which socket it listens on, `server` decides.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping

from agentcache.emulator.callers import why_foreign
from agentcache.emulator.clock import Clock, VirtualClock
from agentcache.emulator.faults import Fault, Faults
from agentcache.emulator.json_values import JsonObject, JsonValue, UnreadableJson, compact, read_json
from agentcache.emulator.latency import Latency
from agentcache.emulator.messages_api import MAX_BODY_BYTES, HttpAnswer, HttpCall, MessagesApi, Moment, PendingCall
from agentcache.emulator.refusals import OWN_WORDS, ApiError
from agentcache.emulator.replies import Replies
from agentcache.emulator.stream_faults import play
from agentcache.errors import EmulatorError

AsgiScope = MutableMapping[str, object]
AsgiMessage = MutableMapping[str, object]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
Reset = Callable[[object], None]
"""Cuts the connection of one client, named by the address that its ASGI scope gives."""
Refuse = Callable[[float], None]
"""Refuses new connections for so many seconds."""

BODY_S = 60.0
"""How long the body of a request may take to come, in seconds of the real clock."""

_CLOSE = (("connection", "close"),)
_JSON = (("content-type", "application/json"),)
_STREAM = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_NO_RETRY = (("x-should-retry", "false"),)
_PAGE = b"<html><body><h1>Please log in to the network</h1></body></html>"


class _ConnectionEnded(Exception):
    """The fault of this call ends its connection here."""


class EmulatorApp:
    """The ASGI application: one emulated account behind HTTP."""

    def __init__(
        self,
        replies: Replies,
        *,
        api: MessagesApi,
        clock: Clock,
        latency: Latency,
        faults: Faults,
        keep_requests: int,
        names: Collection[str] = (),
    ) -> None:
        """Answer with `replies`; `keep_requests` is how many of the newest accepted bodies are kept for tests.

        names: hosts that lead here, beside addresses and `localhost` (callers.py); in lower case.
        """
        self.api = api
        self.clock = clock
        self.requests: deque[JsonObject] = deque(maxlen=keep_requests)
        self.failures: list[Exception] = []
        """What the replies raised; the first is raised again when `serve` ends."""
        self._replies = replies
        self._latency = latency
        self._faults = faults
        self._names = names
        self.reset_connection: Reset = _cannot_reset
        self.refuse_connections: Refuse = _cannot_refuse

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise EmulatorError(f"the emulator speaks HTTP, not {scope['type']!r}")
        arrived = self.api.moment(self.clock.now())
        call = await self._admitted(scope, receive, send)
        if call is None:
            return
        if call.path.startswith("/emulator/"):
            await _send_json(send, await self._control(call))
            return
        fault = self._faults.next_fault(call.body) if _asks_model(call) else None
        if fault is not None and fault.kind in {"reset", "down"}:
            if fault.kind == "down":
                self.refuse_connections(fault.delay_s)
            await self._end_connection(scope, receive)
            return
        if fault is not None and fault.kind == "no_stream":
            await _send_page(send)
            return
        refusal = fault.refusal() if fault is not None else None
        begun = self.api.refuse(refusal, arrived.at) if refusal is not None else self.api.begin(call, arrived)
        if isinstance(begun, HttpAnswer):
            await _send_json(send, begun)
            return
        self.requests.append(begun.request.body)
        try:
            await _while_connected(self._answer(begun, fault, arrived, send), receive)
        except _ConnectionEnded:
            await self._end_connection(scope, receive)

    async def _admitted(self, scope: AsgiScope, receive: Receive, send: Send) -> HttpCall | None:
        """Return the call, read; `None` when it was refused, whose connection then ends."""
        headers = _headers(scope)
        refusal = ApiError(f"{OWN_WORDS}the body did not come within {BODY_S:.0f} seconds", status=408)
        if (why := why_foreign(headers, self._names)) is not None:
            refusal = ApiError(f"{OWN_WORDS}{why}", kind="permission_error")
        else:
            try:
                async with asyncio.timeout(BODY_S):
                    return await _read_call(scope, headers, receive)
            except TimeoutError:
                pass  # told below
        answer = self.api.refuse(refusal, self.clock.now())
        await _send_json(send, HttpAnswer(status=answer.status, headers=answer.headers + _CLOSE, body=answer.body))
        return None

    async def _end_connection(self, scope: AsgiScope, receive: Receive) -> None:
        """Reset the connection, and return when the server knows it: it complains about an answer left unsaid."""
        self.reset_connection(scope.get("client"))
        await _until_gone(receive)

    async def _answer(self, pending: PendingCall, fault: Fault | None, arrived: Moment, send: Send) -> None:
        try:
            answer = self.api.prewarms(pending)
            if answer is None:
                answer = self.api.answer_for(pending, await self._replies.reply(pending.request.body))
        except Exception as error:  # noqa: BLE001 - whatever a script raises is kept and raised again by `serve`
            await _send_json(send, self._failed(error, pending))
            return
        due = arrived.at + self._latency.first_token_s(pending.lookup.charge)
        due += fault.delay_s if fault is not None and fault.kind == "slow" else 0.0
        await self.clock.sleep(max(0.0, due - self.clock.now()))
        http = self.api.begin_answer(pending, answer, self.api.moment(self.clock.now()))
        if fault is not None and fault.kind == "no_usage":
            self.api.statement.mark_untold(pending.message_id)
        lasts_s = self._latency.output_s(answer.output_tokens)
        if http.events is not None:
            whole = await self._send_events(send, http, fault, lasts_s)
        else:
            whole = await self._send_body(send, http, fault, lasts_s)
        if whole:
            self.api.statement.mark_complete(pending.message_id)

    def _failed(self, error: Exception, pending: PendingCall) -> HttpAnswer:
        self.failures.append(error)
        refusal = ApiError(f"{OWN_WORDS}{type(error).__name__}: {error}")
        answer = self.api.refuse(refusal, self.clock.now(), request_id=pending.request_id)
        return HttpAnswer(status=answer.status, headers=answer.headers + _NO_RETRY, body=answer.body)

    async def _send_events(self, send: Send, http: HttpAnswer, fault: Fault | None, lasts_s: float) -> bool:
        """Send a stream; return whether all of it was sent."""
        played = play(http.events or (), fault)
        pause_s = lasts_s / max(1, len(played.pieces) - 1)
        await _send_start(send, http.status, http.headers + _STREAM)
        for index, piece in enumerate(played.pieces):
            if index:
                await self.clock.sleep(pause_s)
            if fault is not None and index == played.pauses_at:
                await self.clock.sleep(fault.delay_s)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if played.ending == "cut":
            raise _ConnectionEnded
        await send({"type": "http.response.body", "body": b""})
        return played.ending == "whole"

    async def _send_body(self, send: Send, http: HttpAnswer, fault: Fault | None, lasts_s: float) -> bool:
        """Send an answer in one piece; return whether all of it was sent."""
        await self.clock.sleep(lasts_s + (fault.delay_s if fault is not None and fault.kind == "stalled" else 0.0))
        await _send_json(send, http, fault)
        return fault is None or fault.kind in _HARMLESS_TO_A_BODY

    async def _control(self, call: HttpCall) -> HttpAnswer:
        if (call.method, call.path) == ("GET", "/emulator/statement"):
            return HttpAnswer(status=200, headers=(), body=self.api.statement.to_json())
        if (call.method, call.path) == ("POST", "/emulator/reset"):
            self.api.reset()
            return HttpAnswer(status=200, headers=(), body={"reset": True})
        if (call.method, call.path) == ("POST", "/emulator/clock"):
            return await self._advance_clock(call)
        return self.api.refuse(ApiError("Not Found", kind="not_found_error"), self.clock.now())

    async def _advance_clock(self, call: HttpCall) -> HttpAnswer:
        now = self.clock.now()
        try:
            body = read_json(call.body)
        except UnreadableJson as error:
            return self.api.refuse(ApiError(f"{OWN_WORDS}{error}"), now)
        seconds = body.get("advance_s") if isinstance(body, dict) else None
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or seconds < 0:
            return self.api.refuse(ApiError(f'{OWN_WORDS}send {{"advance_s": seconds}}, at least 0'), now)
        if not isinstance(self.clock, VirtualClock):
            return self.api.refuse(ApiError(f"{OWN_WORDS}its clock is the real one and cannot be moved"), now)
        await self.clock.advance(seconds)
        return HttpAnswer(status=200, headers=(), body={"now": self.clock.now()})


def _cannot_reset(client: object) -> None:
    raise EmulatorError(f"connection faults need serve(); nobody can cut the connection of {client!r} here")


def _cannot_refuse(seconds: float) -> None:
    raise EmulatorError(f"connection faults need serve(); nobody can refuse connections for {seconds:g} s here")


def _asks_model(call: HttpCall) -> bool:
    return call.method == "POST" and call.path == "/v1/messages"


async def _read_call(scope: AsgiScope, headers: Mapping[str, str], receive: Receive) -> HttpCall:
    body = bytearray()
    more = True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        part = message.get("body")
        body += part if isinstance(part, bytes) else b""
        more = message.get("more_body") is True
    query = scope.get("query_string")
    return HttpCall(
        method=str(scope["method"]),
        path=str(scope["path"]),
        query=query.decode("latin-1") if isinstance(query, bytes) else "",
        headers=headers,
        body=bytes(body),
    )


def _headers(scope: AsgiScope) -> Mapping[str, str]:
    """Return the headers by lower-case name; repeated ones are joined, as `anthropic-beta` may be."""
    merged: dict[str, str] = {}
    pairs = scope.get("headers")
    for name, value in pairs if isinstance(pairs, (list, tuple)) else ():
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        merged[key] = f"{merged[key]},{text}" if key in merged else text
    return merged


async def _while_connected(work: Awaitable[None], receive: Receive) -> None:
    """Await `work`, and cancel it when the client goes away first."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_start(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _send_page(send: Send) -> None:
    await _send_start(send, 200, (("content-type", "text/html"), ("content-length", str(len(_PAGE)))))
    await send({"type": "http.response.body", "body": _PAGE})


_HARMLESS_TO_A_BODY = frozenset({"slow", "stalled"})


async def _send_json(send: Send, http: HttpAnswer, fault: Fault | None = None) -> None:
    kind = None if fault is None else fault.kind
    value: JsonValue = http.body
    if kind == "no_usage" and isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != "usage"}
    body = compact(value).encode()
    if kind in {"malformed", "misplaced", "ended", "error"}:
        body = body[: len(body) // 2]
    cut = kind == "cut"
    await _send_start(send, http.status, (*http.headers, *_JSON, ("content-length", str(len(body)))))
    await send({"type": "http.response.body", "body": body[: len(body) // 2] if cut else body, "more_body": cut})
    if cut:
        raise _ConnectionEnded
