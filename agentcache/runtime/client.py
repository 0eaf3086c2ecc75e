"""The one place that knows the Anthropic SDK: sends a request, reads its stream, says what every failure means.

The SDK does authentication, headers and connections, over its `aiohttp` transport. Its typed models, its reading of
events and its retries are not used: events pass through as plain JSON so that content survives byte for byte, and one
loop (`retrying.py`) counts every request that may have been billed. Knows nothing of agents, prompts, plans or the
ledger.
"""

from __future__ import annotations

import asyncio
import random as randomness
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import TypeAlias, TypeVar
from urllib.request import getproxies

import aiohttp
import anthropic
import httpx2
from anthropic import AsyncStream

from agentcache.errors import ReplyMalformed, SettingsError, Unauthenticated
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.strict_json import parsed_json
from agentcache.runtime.attempt import Attempt, Sending
from agentcache.runtime.credentials import find_credentials
from agentcache.runtime.event_stream import EventDecoder
from agentcache.runtime.replies import CallObserver, Reply, json_object
from agentcache.runtime.request_body import body_of, written
from agentcache.runtime.retrying import (
    DEFAULT_WAITS,
    Failure,
    Waits,
    excerpt,
    malformed,
    refused,
    refused_in_stream,
    run_attempts,
    unanswered,
)

DEFAULT_MAX_ATTEMPTS = 5
DEFAULT_TIMEOUT_S = 600.0
CONNECT_TIMEOUT_S = 5.0
"""The SDK's own bounds (`_constants.py`): ten minutes of silence, five seconds to connect."""

_PATH = "/v1/messages"
_LIMITS = httpx2.Limits(max_connections=0, keepalive_expiry=5.0)
"""No bound (`aiohttp`'s zero): whoever wants fewer calls at once bounds them. Idle ones live 5 s, as the SDK has it."""

_AnswerT = TypeVar("_AnswerT")


_Read: TypeAlias = Callable[[Sending, Attempt], Awaitable[Reply | Failure]]


class MessagesClient:
    """Sends requests to a Messages API. Use it as an async context manager, or call `aclose`.

    `api_key` and `base_url` go before the environment (`credentials.py` says which variables); without any of them
    construction raises `Unauthenticated`. `timeout_s` bounds the silence on an open connection (`None`: no bound), so
    that a long answer is never cut while it flows. An `http_client` that is passed in is left open on closing.

    `sleep` (seconds), `random` (0 to 1) and `clock` (Unix seconds) are there for tests and simulations.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        http_client: httpx2.AsyncClient | None = None,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
        waits: Waits = DEFAULT_WAITS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = randomness.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_attempts < 1:
            raise SettingsError(f"max_attempts is {max_attempts}, but a call takes at least one; 1 means no retry")
        credentials = find_credentials(api_key=api_key, base_url=base_url)
        self._base_url, self._hidden_in = credentials.shown_url, credentials.hidden_in
        self._max_attempts, self._waits = max_attempts, waits
        self._sleep, self._random, self._clock = sleep, random, clock
        self._owns_connections = http_client is None
        self._sdk = anthropic.AsyncAnthropic(
            api_key=credentials.api_key,
            auth_token=credentials.auth_token,
            base_url=credentials.base_url,
            http_client=http_client or _connections(),
            timeout=anthropic.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            max_retries=0,
        )

    async def __aenter__(self) -> MessagesClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that this client opened."""
        if self._owns_connections:
            await self._sdk.close()

    async def send(
        self, request: JsonObject, *, observer: CallObserver, extra_headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request, again where that may help, and return its reply.

        `request` is a Messages body in the order of keys that the wire shall see; `stream` is ours to set. It is
        streamed unless `max_tokens` is 0, which the API answers in one piece. `extra_headers` carries beta features.

        Raises a `CallError` (its kind says why, its `attempts` how often it was tried) or `SettingsError` when the
        request holds what JSON cannot say. Cancelled half-way, it tells the observer what is known and lets go.
        """
        streamed = request.get("max_tokens") != 0
        sending = Sending(content=body_of(request, stream=streamed), headers=extra_headers or {}, observer=observer)

        async def attempt(number: int) -> Reply | Failure:
            if number > 1:
                await observer.may_retry(number)
            begun = Attempt(number=number, sent_at=self._clock())
            outcome = await self._made(sending, begun, self._read_stream if streamed else self._answer)
            if isinstance(outcome, Failure) and outcome.status is not None:
                observer.responded(outcome.status, outcome.headers)
            return outcome

        return await run_attempts(
            attempt,
            max_attempts=self._max_attempts,
            waits=self._waits,
            sleep=self._sleep,
            random=self._random,
            on_retry=observer.retrying,
        )

    async def _made(self, sending: Sending, attempt: Attempt, read: _Read) -> Reply | Failure:
        """Make one attempt; whatever ends one that was accepted, the observer hears what is known of it."""
        try:
            outcome = await read(sending, attempt)
        except BaseException as error:
            self._tell_interrupted(sending, attempt, error)
            raise
        if isinstance(outcome, Failure):
            outcome = self._without_key(outcome)
            self._tell_interrupted(sending, attempt, outcome.error)
        return outcome

    async def _read_stream(self, sending: Sending, attempt: Attempt) -> Reply | Failure:
        response = await self._guarded(self._posted(sending, stream=True), attempt)
        if isinstance(response, Failure):
            return response
        async with aclosing(response):
            attempt.request_id = response.headers.get("request-id")
            sending.observer.responded(response.status_code, response.headers)
            broken = self._not_events(response, attempt) or await self._take_events(response, sending, attempt)
        if broken is not None:
            return broken
        try:
            ended_at = attempt.ended_at or self._clock()
            return attempt.reply(attempt.builder.message(), ended_at=ended_at, usage_told=attempt.builder.usage_told)
        except ReplyMalformed as error:
            return malformed(
                str(error), attempts=attempt.number, request_id=attempt.request_id, retry=True, cause=error.__cause__
            )

    def _not_events(self, response: httpx2.Response, attempt: Attempt) -> Failure | None:
        kind = response.headers.get("content-type", "text/event-stream")
        if kind.startswith("text/event-stream"):
            attempt.accepted = True
            return None
        told = f"{self._base_url} answered a streamed request with {kind!r}; is it a Messages API server?"
        return malformed(told, attempts=attempt.number, request_id=attempt.request_id, retry=False)

    async def _posted(self, sending: Sending, *, stream: bool) -> httpx2.Response:
        """Send the request and return what came back; with `stream` as soon as its headers are here."""
        length, content = written(sending.content)
        response = await self._sdk.post(
            _PATH,
            cast_to=httpx2.Response,
            content=content,
            options={"headers": {**sending.headers, **length}},
            stream=stream,
            stream_cls=AsyncStream[object],  # it is asked for, and given only to who wants no response
        )
        if not isinstance(response, httpx2.Response):
            raise TypeError(f"the SDK gave a {type(response).__name__} where a response was asked for")
        return response

    async def _take_events(self, response: httpx2.Response, sending: Sending, attempt: Attempt) -> Failure | None:
        """Take events to the end of the stream; return why the reply is not whole, or `None` when it is.

        Reading on after the last event returns the connection to the pool; a failure there takes nothing away.
        """
        builder, decoder = attempt.builder, EventDecoder()
        async with aclosing(response.aiter_bytes()) as pieces:
            while True:
                piece = await self._guarded(anext(pieces, None), attempt)
                if piece is None:
                    break
                if isinstance(piece, Failure):
                    return None if builder.stopped else piece
                for name, data in decoder.feed(piece):
                    failure = self._take_event(name, data, response, sending.observer, attempt)
                    if failure is not None:
                        return None if builder.stopped else failure
        if builder.stopped:
            return None
        told = f"the stream from {self._base_url} ended without message_stop"
        return unanswered(told, attempts=attempt.number, request_id=attempt.request_id)

    def _take_event(
        self, name: bytes, data: bytes, response: httpx2.Response, observer: CallObserver, attempt: Attempt
    ) -> Failure | None:
        """Take one event and tell what it shows; return why it cannot be taken."""
        if name == b"ping" or not data:
            return None
        if name == b"error":
            return refused_in_stream(data, response.headers, attempts=attempt.number, now=self._clock())
        try:
            event = json_object(parsed_json(data), "an event")
        except (ValueError, ReplyMalformed) as error:
            told = f"the stream from {self._base_url} is damaged: {error}"
            return malformed(told, attempts=attempt.number, request_id=attempt.request_id, retry=True, cause=error)
        builder = attempt.builder
        try:
            shown = builder.add(event)
        except ReplyMalformed as error:
            return malformed(str(error), attempts=attempt.number, request_id=attempt.request_id, retry=False)
        if shown is not None:
            (observer.text if shown[0] == "text" else observer.thinking)(shown[1])
        elif builder.started and attempt.first_token_at is None:
            attempt.first_token_at = self._clock()
            observer.first_token(attempt.first_token_at)
        elif builder.stopped and attempt.ended_at is None:
            attempt.ended_at = self._clock()
        return None

    async def _answer(self, sending: Sending, attempt: Attempt) -> Reply | Failure:
        """Make one attempt that is answered in one piece; its beginning shows only when all of it is here."""
        response = await self._guarded(self._posted(sending, stream=False), attempt)
        if isinstance(response, Failure):
            return response
        attempt.accepted = True
        attempt.request_id = response.headers.get("request-id")
        sending.observer.responded(response.status_code, response.headers)
        attempt.first_token_at = self._clock()
        try:
            message = json_object(parsed_json(response.content), "the answer")
            reply = attempt.reply(message, ended_at=attempt.first_token_at)
        except (ReplyMalformed, ValueError) as error:
            damaged = isinstance(error, ValueError)
            told = f"the answer of {self._base_url} is no JSON: {error}" if damaged else str(error)
            return malformed(told, attempts=attempt.number, request_id=attempt.request_id, retry=damaged, cause=error)
        sending.observer.first_token(attempt.first_token_at)
        return reply

    async def _guarded(self, work: Awaitable[_AnswerT], attempt: Attempt) -> _AnswerT | Failure:
        """Await what the network does; only here do exceptions become failures, so that an observer's never do."""
        try:
            return await work
        except Exception as error:
            failure = failure_of(
                error,
                base_url=self._base_url,
                attempts=attempt.number,
                request_id=attempt.request_id,
                now=self._clock(),
            )
            if failure is None:
                raise
            return failure

    def _without_key(self, failure: Failure) -> Failure:
        """Return a failure that quotes no key: some gateways answer with the headers that they were sent."""
        told = str(failure.error)
        hidden = self._hidden_in(told)
        if hidden == told:
            return failure
        failure.error.args = (hidden,)
        return replace(failure, cause=None)  # which quotes it too

    def _tell_interrupted(self, sending: Sending, attempt: Attempt, error: BaseException) -> None:
        if not attempt.accepted:
            return
        told = "cancelled" if isinstance(error, asyncio.CancelledError) else f"{type(error).__name__}: {error}"
        partial = None
        if attempt.builder.started:
            ended_at = attempt.ended_at or self._clock()
            partial = attempt.reply(attempt.builder.partial(), ended_at=ended_at, usage_told=False)
        sending.observer.interrupted(partial, told)


def _connections() -> httpx2.AsyncClient:
    if any(address.startswith("socks") for address in getproxies().values()):
        return anthropic.DefaultAsyncHttpxClient()  # aiohttp knows no such proxies
    return anthropic.DefaultAioHttpClient(limits=_LIMITS)


def failure_of(error: Exception, *, base_url: str, attempts: int, request_id: str | None, now: float) -> Failure | None:
    """Return what an exception of the SDK, or of the HTTP library below it, means; `None` for any other exception.

    `attempts` counts the requests sent so far, `request_id` is that of the stream that was being read, `now` is Unix
    seconds.
    """
    match error:
        case anthropic.APIStatusError():
            return _refused(error, attempts=attempts, now=now)
        case anthropic.APIConnectionError():
            return _unanswered(error.__cause__ or error, base_url, attempts=attempts, request_id=request_id)
        case anthropic.RetryableError() | httpx2.HTTPError() | httpx2.StreamError() | aiohttp.ClientError():
            return _unanswered(error, base_url, attempts=attempts, request_id=request_id)
        case anthropic.CredentialsError():
            message = f"no usable credentials: {error}; set ANTHROPIC_API_KEY"
            return Failure(error=Unauthenticated(message, attempts=attempts), retry=False, cause=error)
        case anthropic.AnthropicError():
            told = f"the SDK cannot read the answer of {base_url}: {error}"
            return malformed(told, attempts=attempts, request_id=request_id, retry=False, cause=error)
        case _:
            return None


def _refused(error: anthropic.APIStatusError, *, attempts: int, now: float) -> Failure:
    headers = error.response.headers
    if error.response.is_redirect:
        told = f"the server redirects to {headers.get('location')!r}; set base_url to where it really is"
        return malformed(told, attempts=attempts, request_id=error.request_id, retry=False, cause=error)
    return refused(
        error.status_code,
        error_type=error.type,
        told=error.api_message or excerpt(error.body),
        headers=headers,
        attempts=attempts,
        now=now,
        cause=error,
    )


def _unanswered(cause: BaseException, base_url: str, *, attempts: int, request_id: str | None) -> Failure:
    # What is wrong before a byte is sent, or after we closed the connection ourselves, is wrong again next time.
    hopeless = not isinstance(cause, _WORTH_ANOTHER) or isinstance(cause, _WRONG_HERE)
    # The text of a protocol error of our own may quote a header, and the key is one.
    told = type(cause).__name__ if isinstance(cause, httpx2.LocalProtocolError) else _named(cause)
    return unanswered(
        f"the connection to {base_url} failed: {told}",
        attempts=attempts,
        request_id=request_id,
        retry=not hopeless,
        cause=cause,
    )


_WORTH_ANOTHER = (
    httpx2.TransportError,
    httpx2.DecodingError,
    aiohttp.ClientError,
    anthropic.APIConnectionError,
    anthropic.RetryableError,
    OSError,
)
_WRONG_HERE = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, aiohttp.InvalidURL)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
