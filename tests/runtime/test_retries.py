"""Which failures are worth another attempt, how long the pause is, and what the last one says."""

from __future__ import annotations

import asyncio
import email.utils

import pytest

from agentcache.errors import (
    CallError,
    CallRejected,
    RateLimited,
    ServerFailed,
)
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.retrying import Waits
from tests.runtime.loopback import (
    NOW,
    REQUEST,
    Answer,
    Bench,
    Listener,
    LoopbackApi,
    answering,
    refusing,
    start,
    streamed,
)


async def test_attempts_wait_longer_and_longer(bench: Bench) -> None:
    answers = [refusing(529, "overloaded_error"), refusing(500), refusing(503), refusing(502), answering("hi")]
    async with LoopbackApi(*answers) as api, bench.client(api.base_url) as client:
        reply = await client.send(REQUEST, observer=bench.listener)
    assert bench.pauses == [0.5, 1.0, 2.0, 4.0]
    assert (reply.attempts, len(api.received)) == (5, 5)
    assert [item[:3] for item in bench.listener.heard[:4]] == [
        ("retrying", number, pause) for number, pause in enumerate([0.5, 1.0, 2.0, 4.0], start=1)
    ]
    assert "overloaded_error" in str(bench.listener.heard[0][3])
    assert len({received.body for received in api.received}) == 1


async def test_the_observer_hears_what_the_server_says_of_its_limits_and_lets_each_retry_go(bench: Bench) -> None:
    answers = [refusing(429, "rate_limit_error", retry_after="3"), answering("hi")]
    async with LoopbackApi(*answers) as api, bench.client(api.base_url) as client:
        await client.send(REQUEST, observer=bench.listener)
    (refused, told), (status, _) = bench.listener.responses
    assert (refused, told["retry-after"], status) == (429, "3", 200)
    assert bench.listener.readmitted == [2]


async def test_an_error_inside_a_stream_is_heard_as_the_status_that_it_stands_for(bench: Bench) -> None:
    overloaded: JsonObject = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    async with (
        LoopbackApi(streamed(start(), overloaded), answering("hi")) as api,
        bench.client(api.base_url) as client,
    ):
        await client.send(REQUEST, observer=bench.listener)
    assert [status for status, _ in bench.listener.responses] == [200, 529, 200]


async def test_pauses_are_bounded_and_shortened_by_chance(bench: Bench) -> None:
    bench.luck, waits = 1.0, Waits(min_s=2.0, max_s=5.0)
    answers = [refusing(500)] * 4
    async with LoopbackApi(*answers) as api, bench.client(api.base_url, max_attempts=4, waits=waits) as client:
        with pytest.raises(ServerFailed):
            await client.send(REQUEST, observer=bench.listener)
    assert bench.pauses == [1.0, 2.0, 2.5]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after": email.utils.formatdate(NOW + 61, usegmt=True)}, 60.0),
        ({"retry_after": "0"}, 0.5),
        ({"retry_after": "-3"}, 0.5),
        ({"retry_after": "soon"}, 0.5),
        ({"retry_after": "nan"}, 0.5),
        ({"retry_after": email.utils.formatdate(NOW - 60, usegmt=True)}, 0.5),
    ],
)
async def test_the_server_says_how_long_to_wait(bench: Bench, headers: dict[str, str], pause: float) -> None:
    answers = [refusing(429, "rate_limit_error", **headers), answering("hi")]
    async with LoopbackApi(*answers) as api, bench.client(api.base_url) as client:
        await client.send(REQUEST, observer=bench.listener)
    assert bench.pauses == [pytest.approx(pause)]


async def test_calls_told_the_same_pause_come_back_spread_and_never_early(bench: Bench) -> None:
    bench.luck = 0.5
    answers = [refusing(429, retry_after="10"), answering("hi")]
    async with LoopbackApi(*answers) as api, bench.client(api.base_url) as client:
        await client.send(REQUEST, observer=bench.listener)
    assert bench.pauses == [pytest.approx(10.5)]


async def test_a_pause_that_is_too_long_is_not_slept_through(bench: Bench) -> None:
    async with (
        LoopbackApi(refusing(429, "rate_limit_error", retry_after="3600")) as api,
        bench.client(api.base_url) as client,
    ):
        with pytest.raises(RateLimited, match="told to wait 3600 s"):
            await client.send(REQUEST, observer=bench.listener)
    assert (bench.pauses, len(api.received)) == ([], 1)


async def test_the_last_failure_says_how_often_it_was_tried(bench: Bench) -> None:
    answers = [refusing(429, "rate_limit_error", "Number of tokens exceeded")] * 3
    async with LoopbackApi(*answers) as api, bench.client(api.base_url, max_attempts=3) as client:
        with pytest.raises(RateLimited, match=r"Number of tokens exceeded \(attempt 3, request req_1\)") as raised:
            await client.send(REQUEST, observer=bench.listener)
    error = raised.value
    assert (error.attempts, error.status, error.request_id) == (3, 429, "req_1")
    assert bench.pauses == [0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
async def test_a_request_that_would_be_refused_again_is_not_sent_again(bench: Bench, status: int) -> None:
    answer = refusing(status, "invalid_request_error", "max_tokens: bad")
    async with LoopbackApi(answer) as api, bench.client(api.base_url) as client:
        with pytest.raises(CallRejected, match="max_tokens: bad") as raised:
            await client.send(REQUEST, observer=bench.listener)
    assert (raised.value.status, raised.value.attempts, len(api.received)) == (status, 1, 1)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_passes_is_tried_again(bench: Bench, status: int) -> None:
    async with LoopbackApi(refusing(status), answering("hi")) as api, bench.client(api.base_url) as client:
        assert (await client.send(REQUEST, observer=bench.listener)).attempts == 2


@pytest.mark.parametrize(("status", "word", "requests"), [(400, "true", 2), (529, "false", 1)])
async def test_the_api_has_the_last_word_on_trying_again(bench: Bench, status: int, word: str, requests: int) -> None:
    answers = [refusing(status, x_should_retry=word)] * 2
    async with LoopbackApi(*answers) as api, bench.client(api.base_url, max_attempts=2) as client:
        with pytest.raises(CallError):
            await client.send(REQUEST, observer=bench.listener)
    assert len(api.received) == requests


async def test_a_gateways_page_is_quoted_in_one_short_line(bench: Bench) -> None:
    page = Answer(status=404, headers={"content-type": "text/html"}, pieces=[b"<html>\n <b>Not here</b>" + b"x" * 999])
    async with LoopbackApi(page) as api, bench.client(api.base_url) as client:
        with pytest.raises(CallRejected, match="<html> <b>Not here</b>") as raised:
            await client.send(REQUEST, observer=bench.listener)
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)


async def test_calls_that_share_a_client_retry_on_their_own(bench: Bench) -> None:
    answers = [refusing(500) if number % 2 else answering("hi") for number in range(8)] + [answering("hi")] * 8
    async with LoopbackApi(*answers) as api, bench.client(api.base_url) as client:
        replies = await asyncio.gather(*[client.send(REQUEST, observer=Listener()) for _ in range(8)])
    assert len(api.received) == sum(reply.attempts for reply in replies) == 12
