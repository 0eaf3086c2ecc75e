"""The emulator on a socket: `serve` runs it in the running event loop.

It owns what needs the world: the socket, the server, the randomness in ids. It binds 127.0.0.1 unless told otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Collection, Iterable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agentcache.emulator.clock import Clock, RealClock, VirtualClock
from agentcache.emulator.faults import Faults, NoFaults
from agentcache.emulator.http_app import EmulatorApp
from agentcache.emulator.json_values import JsonObject
from agentcache.emulator.latency import Latency
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.positions import PromptReader
from agentcache.emulator.replies import Replies, Script, ScriptedReply, replies_from
from agentcache.emulator.statement import Statement
from agentcache.errors import EmulatorError, SettingsError
from agentcache.prompt import token_estimate
from agentcache.prompt.exact_tokens import ExactTokens

HEAD_S = 20.0
"""How long the head of a request may take to come, in seconds; then its connection ends."""


class Emulator:
    """A running emulator, as `serve` and `emulated` yield it.

    base_url: what clients are given; app: the door that serves it.
    """

    def __init__(self, app: EmulatorApp, base_url: str) -> None:
        """Wrap `app`, which listens at `base_url`."""
        self._app = app
        self.base_url = base_url

    @property
    def api(self) -> MessagesApi:
        """The emulated account."""
        return self._app.api

    @property
    def clock(self) -> Clock:
        """The clock that it bills by."""
        return self._app.clock

    @property
    def requests(self) -> list[JsonObject]:
        """The bodies of the newest accepted calls to the model, oldest first."""
        return list(self._app.requests)

    @property
    def statement(self) -> Statement:
        """What was charged."""
        return self._app.api.statement

    def reset(self) -> None:
        """Forget cache, bill and kept requests."""
        self._app.api.reset()
        self._app.requests.clear()

    async def advance(self, seconds: float) -> None:
        """Move the virtual clock by so many `seconds`; raises `EmulatorError` when the clock is the real one."""
        if not isinstance(self._app.clock, VirtualClock):
            raise EmulatorError("the emulator runs on the real clock; pass clock=VirtualClock() to serve()")
        await self._app.clock.advance(seconds)


@contextlib.asynccontextmanager
async def serve(
    replies: Replies | Script | Iterable[ScriptedReply | Script] | None = None,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    allow_hosts: Collection[str] = (),
    api: MessagesApi | None = None,
    clock: Clock | None = None,
    latency: Latency | None = None,
    faults: Faults | None = None,
    keep_requests: int = 1000,
    exact_tokens: bool = False,
) -> AsyncIterator[Emulator]:
    """Run an emulator in this event loop until the block ends.

    `replies` is a script function, a list of replies (strict: a call too many and a reply too many are errors), an
    object with `reply`, or `None` for an echo. `port` 0 takes a free one. `host` is the address to listen on; requests
    whose `Host` is a name other than it, `localhost` or one of `allow_hosts` are refused, as are those of other sites'
    pages: a browser on this machine asks whatever a page tells it to. `api` defaults to a fresh account that
    accepts any key, `clock` to the real one, `latency` and `faults` to none. With `exact_tokens` the fresh account
    counts prompts with Claude's vocabularies (`prompt.exact_tokens`) instead of estimating them.

    Raises `SettingsError` when exact counts are wanted of a given `api` or cannot be had here, `EmulatorError` when the
    address cannot be bound and, at the end of a block that did not raise itself, what a script raised, `UnexpectedCall`
    or `UnusedReply`.
    """
    answering = replies_from(replies)
    app = EmulatorApp(
        answering,
        api=_account(api, exact_tokens=exact_tokens),
        clock=clock or RealClock(),
        latency=latency or Latency(),
        faults=faults or NoFaults(),
        keep_requests=keep_requests,
        names=frozenset(name.lower() for name in (host, *allow_hosts)),
    )
    listener = _bind(host, port)
    server = _LoopServer(app)
    app.reset_connection = server.reset_connection
    app.refuse_connections = server.refuse_connections
    running = asyncio.create_task(server.run_on(listener))
    try:
        await server.ready.wait()
        bound_port = listener.getsockname()[1]
        shown_host = f"[{host}]" if ":" in host else host
        yield Emulator(app, f"http://{shown_host}:{bound_port}")
    finally:
        server.stop.set()
        await running
    if app.failures:
        raise app.failures[0]
    answering.finish()


def _account(given: MessagesApi | None, *, exact_tokens: bool) -> MessagesApi:
    if given is None:
        counter = ExactTokens() if exact_tokens else token_estimate
        return MessagesApi(seed=secrets.token_hex(8), reader=PromptReader(counter=counter))
    if exact_tokens:
        raise SettingsError(
            "`exact_tokens` is for a fresh account; give `api` a reader=PromptReader(counter=ExactTokens())"
        )
    return given


class _Connection(H11Protocol):
    """uvicorn's, with a bound on how long the head of a request may take: it has none of its own."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_expecting()
        elif self._due is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._due = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop_expecting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class _LoopServer(uvicorn.Server):
    """uvicorn without signal handlers and without its polling: it stops when `stop` is set."""

    def __init__(self, app: EmulatorApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                http=_Connection,
                ws="none",
                log_config=None,
                access_log=False,
                date_header=False,
                server_header=False,
                timeout_keep_alive=60,
            )
        )
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()
        self._clock = app.clock
        self._reopening: asyncio.Task[None] | None = None

    async def run_on(self, listener: socket.socket) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        self.ready.set()
        await self.stop.wait()
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.gather(self._reopening, return_exceptions=True)
        for server in self.servers:
            server.close()
        # Calls that still run see their clients go away, and end as they would then.
        tasks = list(self.server_state.tasks)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self.servers:
            await server.wait_closed()
        listener.close()

    def reset_connection(self, client: object) -> None:
        """Send the client a reset instead of an orderly end."""
        for connection in list(self.server_state.connections):
            peer = connection.transport.get_extra_info("peername")
            if isinstance(client, (tuple, list)) and peer is not None and tuple(peer[:2]) == tuple(client[:2]):
                raw = connection.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.transport.abort()

    def refuse_connections(self, seconds: float) -> None:
        """Refuse whoever connects within the next `seconds`; open connections are served on."""
        if self._reopening is not None and not self._reopening.done():
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        for server in self.servers:
            server.close()
        self._reopening = asyncio.get_running_loop().create_task(self._reopen(host, port, seconds))

    async def _reopen(self, host: str, port: int, seconds: float) -> None:
        await self._clock.sleep(seconds)
        # Somebody who was refused may have come to sit on the port itself: it is one of those given out.
        while (listener := _bound_again(host, port)) is None:  # noqa: ASYNC110  # no event tells when it is free
            await asyncio.sleep(0.01)
        await self.startup(sockets=[listener])


def _bound_again(host: str, port: int) -> socket.socket | None:
    try:
        return _bind(host, port)
    except EmulatorError:
        return None


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off; without it each small answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise EmulatorError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
    return listener
