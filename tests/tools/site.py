"""A web site on a loopback socket: what it answers by path, and what it was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer: its head, then the pieces of its body; `silent` leaves the connection open behind them."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})
    pieces: Sequence[bytes] = ()
    silent: bool = False


def text(body: str, kind: str = "text/plain") -> Answer:
    return Answer(headers={"Content-Type": kind}, pieces=[body.encode()])


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status=status, headers={"Location": location, "Set-Cookie": "session=1"})


@dataclass(kw_only=True)
class Site:
    """A running site. `received` holds each request as it came in, `connections` counts."""

    pages: Mapping[str, Answer]
    port: int = 0
    received: list[str] = field(default_factory=list)
    connections: int = 0
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.create_task(self.serve(reader, writer)))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError), closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.received.append(head)
            answer = self.pages.get(head.split(" ")[1], Answer(status=404))
            lines = [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
            writer.write(f"HTTP/1.1 {answer.status} X\r\n{''.join(lines)}Connection: close\r\n\r\n".encode())
            for piece in answer.pieces:
                writer.write(piece)
                await writer.drain()
            if answer.silent:
                await reader.read()  # until the other side gives up
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@asynccontextmanager
async def site(
    pages: Mapping[str, Answer], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Site]:
    running = Site(pages=pages)
    server = await asyncio.start_server(running.accept, host, port, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        await asyncio.gather(*running.serving)
