"""A server on a loopback socket that answers each request with the next of a list of prepared answers.

It speaks just enough HTTP to be a Messages API, and to be a broken one: it can cut the connection in the middle of a
reply, or fall silent. Bytes are kept as they arrive.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.client import MessagesClient
from agentcache.runtime.replies import Reply

NOW = 1_000_000_000.0

REQUEST: JsonObject = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Where is order 17?"}],
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one request gets: a status, headers, pieces of a body, and how it ends."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes] = ()
    end: Literal["whole", "cut", "silence"] = "whole"


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it came in; header names in lower case."""

    line: str
    headers: Mapping[str, str]
    body: bytes


def sse(event: JsonObject) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def streamed(*events: JsonObject, end: Literal["whole", "cut", "silence"] = "whole", **headers: str) -> Answer:
    """An event stream; each event is a piece of its own."""
    named = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_1"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(headers={**named, **given}, pieces=[sse(event) for event in events], end=end)


def refusing(status: int, kind: str = "api_error", message: str = "no", **headers: str) -> Answer:
    """An error as the API words it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {"content-type": "application/json", "request-id": "req_1"}
    return Answer(status=status, headers={**named, **given}, pieces=[json.dumps(body).encode()])


def start(**usage: int) -> JsonObject:
    told: JsonObject = {"input_tokens": 10, "output_tokens": 1, **usage}
    message: JsonObject = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": told,
    }
    return {"type": "message_start", "message": message}


def text(*pieces: str, index: int = 0) -> list[JsonObject]:
    opening: JsonObject = {
        "type": "content_block_start",
        "index": index,
        "content_block": {"type": "text", "text": ""},
    }
    deltas: list[JsonObject] = [
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}
        for piece in pieces
    ]
    return [opening, *deltas, {"type": "content_block_stop", "index": index}]


def end(reason: str = "end_turn", **usage: int) -> list[JsonObject]:
    told: JsonObject = {"output_tokens": 5, **usage}
    delta: JsonObject = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": told}, {"type": "message_stop"}]


def answering(*pieces: str) -> Answer:
    """A whole reply of one text block."""
    return streamed(start(), *text(*pieces), *end())


class Listener:
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.responses: list[tuple[int, Mapping[str, str]]] = []
        self.readmitted: list[int] = []
        self.broken: list[tuple[Reply | None, str]] = []
        self.began = asyncio.Event()

    def first_token(self, at: float) -> None:
        self.heard.append(("first_token", at))
        self.began.set()

    def text(self, text: str) -> None:
        self.heard.append(("text", text))

    def thinking(self, text: str) -> None:
        self.heard.append(("thinking", text))

    def retrying(self, attempt: int, wait_s: float, reason: str) -> None:
        self.heard.append(("retrying", attempt, wait_s, reason))

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        self.responses.append((status, headers))

    async def may_retry(self, attempt: int) -> None:
        self.readmitted.append(attempt)

    def interrupted(self, partial: Reply | None, error: str) -> None:
        self.heard.append(("interrupted",))
        self.broken.append((partial, error))

    def kinds(self) -> list[object]:
        return [item[0] for item in self.heard]


class Bench:
    """What a test hands to a client: pauses that are only counted, a clock that counts, luck that is known."""

    def __init__(self) -> None:
        self.luck = 0.0
        self.pauses: list[float] = []
        self.listener = Listener()
        self.ticks = itertools.count(NOW)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(float(seconds))

    def client(self, base_url: str, **options: object) -> MessagesClient:
        return MessagesClient(
            base_url=base_url,
            sleep=self.sleep,
            random=lambda: self.luck,
            clock=lambda: next(self.ticks),
            **{"api_key": "sk-test", **options},  # type: ignore[arg-type]  # each test passes one option
        )


class LoopbackApi:
    """The server. `received` grows as requests come in.

    `silent` is set when an answer has fallen silent, `left` when the client then lets go of it.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.received: list[Received] = []
        self.silent = asyncio.Event()
        self.left = asyncio.Event()
        self.base_url = ""
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            del self._connections[task]
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Received(line=head[0], headers=headers, body=body))
        answer = self._answers.pop(0) if self._answers else refusing(500, message="the test prepared no answer")
        return await self._play(answer, reader, writer)

    async def _play(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = [f"HTTP/1.1 {answer.status} X", "transfer-encoding: chunked"]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write("\r\n".join([*head, "", ""]).encode())
        for piece in answer.pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if answer.end == "silence":
            self.silent.set()
            await reader.read(1)  # returns when the client closes the connection
            self.left.set()
            return False
        if answer.end == "cut":
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
