"""Sends a request to a Messages API, reads its stream, and tries again where that may help.

Events pass through as plain JSON, not as the SDK's models, so that content survives byte for byte, and one loop
(`retrying.py`) counts every request that may have been billed. The SDK and HTTP stand behind `api_connection.py`. Knows
nothing of agents, prompts, plans or the ledger.
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

import httpx2

from agentcache.errors import ReplyMalformed, SettingsError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.strict_json import parsed_json
from agentcache.runtime.api_connection import NETWORK_ERRORS, ApiConnection, failure_of, refusal_of
from agentcache.runtime.attempt import Attempt, Sending
from agentcache.runtime.credentials import find_credentials
from agentcache.runtime.event_stream import EventDecoder
from agentcache.runtime.replies import CallObserver, Reply, json_object
from agentcache.runtime.request_body import body_of
from agentcache.runtime.retrying import DEFAULT_WAITS, Failure, Waits, malformed, refused, run_attempts, unanswered

DEFAULT_MAX_ATTEMPTS = 5
DEFAULT_TIMEOUT_S = 600.0
"""The SDK's own bound on silence (`_constants.py`): ten minutes."""

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
        self._connection = ApiConnection(credentials, http_client=http_client, timeout_s=timeout_s)

    async def __aenter__(self) -> MessagesClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that this client opened."""
        await self._connection.close()

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
        response = await self._accepted(sending, attempt)
        if isinstance(response, Failure):
            return response
        async with aclosing(response):
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

    async def _accepted(self, sending: Sending, attempt: Attempt) -> httpx2.Response | Failure:
        """Send the request and return the response that begins to answer it, or why there is none."""
        try:
            response = await self._connection.post(sending.content, sending.headers, attempt=attempt.number)
        except Exception as error:  # noqa: BLE001  # nothing of ours runs in there
            return failure_of(error, base_url=self._base_url, attempts=attempt.number, request_id=None)
        request_id = response.headers.get("request-id")
        if response.is_success:
            attempt.request_id = request_id
            sending.observer.responded(response.status_code, response.headers)
            return response
        async with aclosing(response):
            try:
                await response.aread()
            except NETWORK_ERRORS as error:
                return failure_of(error, base_url=self._base_url, attempts=attempt.number, request_id=request_id)
            return refusal_of(response, attempts=attempt.number, now=self._clock())

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
            return refused(200, data, headers=response.headers, attempts=attempt.number, now=self._clock())
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
        response = await self._accepted(sending, attempt)
        if isinstance(response, Failure):
            return response
        attempt.accepted = True
        async with aclosing(response):
            content = await self._guarded(response.aread(), attempt)
        if isinstance(content, Failure):
            return content
        attempt.first_token_at = self._clock()
        try:
            message = json_object(parsed_json(content), "the answer")
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
        except NETWORK_ERRORS as error:
            return failure_of(error, base_url=self._base_url, attempts=attempt.number, request_id=attempt.request_id)

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
