"""Replies that begin and do not end: cut, damaged, failed inside, cancelled. Their tokens may have been billed."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from agentcache.errors import (
    CallError,
    CallRejected,
    ConnectionFailed,
    Overloaded,
    RateLimited,
    ReplyMalformed,
    ServerFailed,
    Unauthenticated,
)
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.client import MessagesClient
from tests.runtime.loopback import (
    NOW,
    REQUEST,
    Answer,
    Bench,
    Listener,
    LoopbackApi,
    answering,
    end,
    refusing,
    sse,
    start,
    streamed,
    text,
)


def cut_in_the_middle() -> Answer:
    return streamed(start(cache_creation_input_tokens=4000), *text("Half a")[:2], end="cut")


async def test_a_reply_cut_in_the_middle_is_told_and_asked_for_again(bench: Bench) -> None:
    async with LoopbackApi(cut_in_the_middle(), answering("Whole.")) as api, bench.client(api.base_url) as client:
        reply = await client.send(REQUEST, observer=bench.listener)
    assert (reply.content, reply.attempts) == ([{"type": "text", "text": "Whole."}], 2)
    assert bench.listener.kinds() == ["first_token", "text", "interrupted", "retrying", "first_token", "text"]
    [(partial, error)] = bench.listener.broken
    assert partial is not None
    assert partial.usage == {"input_tokens": 10, "output_tokens": 1, "cache_creation_input_tokens": 4000}
    assert (partial.content, partial.stop_reason) == ([{"type": "text", "text": "Half a"}], None)
    assert (partial.attempts, partial.request_id, partial.first_token_at) == (1, "req_1", NOW + 1)
    assert error.startswith("ConnectionFailed: the connection to http://127.0.0.1:")


async def test_every_broken_attempt_is_told_the_last_one_too(bench: Bench) -> None:
    async with LoopbackApi(*[cut_in_the_middle()] * 2) as api, bench.client(api.base_url, max_attempts=2) as client:
        with pytest.raises(ConnectionFailed) as raised:
            await client.send(REQUEST, observer=bench.listener)
    assert [partial and partial.attempts for partial, _ in bench.listener.broken] == [1, 2]
    assert (raised.value.attempts, raised.value.status, raised.value.request_id) == (2, None, "req_1")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        pytest.param(
            b'event: content_block_delta\ndata: {"type": "content_blo\n\n', ReplyMalformed, id="half an event"
        ),
        pytest.param(b"event: content_block_delta\ndata: \xff\xfe\n\n", ReplyMalformed, id="no UTF-8"),
        pytest.param(b"", ConnectionFailed, id="no message_stop"),
        pytest.param(sse({"type": "message_stop"}), ReplyMalformed, id="no stop reason"),
        pytest.param(b"event: content_block_delta\ndata: null\n\n", ReplyMalformed, id="null"),
    ],
)
async def test_a_damaged_stream_is_asked_for_again(bench: Bench, damage: bytes, kind: type[CallError]) -> None:
    begun = streamed(start(), *text("Half"))
    answer = Answer(headers=begun.headers, pieces=[*begun.pieces, *([damage] if damage else [])])
    async with LoopbackApi(answer, answer) as api, bench.client(api.base_url, max_attempts=2) as client:
        with pytest.raises(kind) as raised:
            await client.send(REQUEST, observer=bench.listener)
    assert (raised.value.attempts, len(bench.listener.broken)) == (2, 2)


async def test_a_stream_that_was_accepted_and_never_began_may_be_billed(bench: Bench) -> None:
    async with LoopbackApi(streamed(end="cut"), answering("hi")) as api, bench.client(api.base_url) as client:
        await client.send(REQUEST, observer=bench.listener)
    assert bench.listener.kinds() == ["interrupted", "retrying", "first_token", "text"]
    [(partial, error)] = bench.listener.broken
    assert partial is None
    assert error.startswith("ConnectionFailed: the connection to http://127.0.0.1:")


async def test_a_protocol_that_nobody_knows_is_not_paid_for_twice(bench: Bench) -> None:
    strange: JsonObject = {"type": "content_block_delta", "index": 0, "delta": {"type": "audio_delta"}}
    async with (
        LoopbackApi(streamed(start(), *text("hi"), strange, *end())) as api,
        bench.client(api.base_url) as client,
    ):
        with pytest.raises(ReplyMalformed, match="audio_delta"):
            await client.send(REQUEST, observer=bench.listener)
    assert (len(api.received), len(bench.listener.broken)) == (1, 1)


async def test_a_break_after_the_last_event_takes_nothing_away(bench: Bench) -> None:
    answer = streamed(start(), *text("hi"), *end(), end="cut")
    async with LoopbackApi(answer) as api, bench.client(api.base_url) as client:
        reply = await client.send(REQUEST, observer=bench.listener)
    assert (reply.content, reply.attempts, bench.listener.broken) == ([{"type": "text", "text": "hi"}], 1, [])


def error_event(kind: str) -> JsonObject:
    return {"type": "error", "error": {"type": kind, "message": "in the middle"}}


@pytest.mark.parametrize(
    ("kind", "error", "requests"),
    [
        ("overloaded_error", Overloaded, 2),
        ("rate_limit_error", RateLimited, 2),
        ("api_error", ServerFailed, 2),
        ("timeout_error", ServerFailed, 2),
        ("never_heard_of", ServerFailed, 2),
        ("invalid_request_error", CallRejected, 1),
        ("authentication_error", Unauthenticated, 1),
        ("billing_error", CallRejected, 1),
    ],
)
async def test_an_error_inside_a_reply_means_what_its_status_would(
    bench: Bench, kind: str, error: type[CallError], requests: int
) -> None:
    answer = streamed(start(), *text("Half")[:2], error_event(kind))
    async with LoopbackApi(answer, answer) as api, bench.client(api.base_url, max_attempts=2) as client:
        with pytest.raises(error, match="in the middle of the reply") as raised:
            await client.send(REQUEST, observer=bench.listener)
    assert type(raised.value) is error
    assert (len(api.received), len(bench.listener.broken), raised.value.status) == (requests, requests, None)


async def test_an_error_event_that_is_no_json_is_a_server_that_failed(bench: Bench) -> None:
    begun = streamed(start())
    answer = Answer(headers=begun.headers, pieces=[*begun.pieces, b"event: error\ndata: upstream went away\n\n"])
    async with LoopbackApi(answer) as api, bench.client(api.base_url, max_attempts=1) as client:
        with pytest.raises(ServerFailed, match="upstream went away"):
            await client.send(REQUEST, observer=bench.listener)


async def test_cancelling_tells_what_is_known_and_lets_go_of_the_server(bench: Bench) -> None:
    answer = streamed(start(cache_creation_input_tokens=4000), *text("Half")[:2], end="silence")
    async with LoopbackApi(answer) as api, bench.client(api.base_url) as client:
        sending = asyncio.create_task(client.send(REQUEST, observer=bench.listener))
        await bench.listener.began.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await api.left.wait()
        [(partial, error)] = bench.listener.broken
        assert partial is not None
        assert (error, partial.usage["cache_creation_input_tokens"]) == ("cancelled", 4000)
        assert len(api.received) == 1


async def test_cancelling_before_the_reply_began_tells_no_reply(bench: Bench) -> None:
    async with LoopbackApi(streamed(end="silence")) as api, bench.client(api.base_url) as client:
        sending = asyncio.create_task(client.send(REQUEST, observer=bench.listener))
        await api.silent.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await api.left.wait()
    # It is one race whether the client had seen that it was accepted.
    assert bench.listener.broken in ([], [(None, "cancelled")])


async def test_cancelling_a_pause_ends_the_call(bench: Bench) -> None:
    pausing = asyncio.Event()

    async def never(_seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    answers = [refusing(500), answering("hi")]
    async with LoopbackApi(*answers) as api, MessagesClient(base_url=api.base_url, sleep=never) as client:
        sending = asyncio.create_task(client.send(REQUEST, observer=bench.listener))
        await pausing.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert len(api.received) == 1


@pytest.mark.parametrize("mistake", [ValueError("mine"), httpx2.ReadError("mine"), RateLimited("mine")])
async def test_what_an_observer_raises_is_its_own_affair(bench: Bench, mistake: Exception) -> None:
    class Clumsy(Listener):
        def text(self, text: str) -> None:
            raise mistake

    listener = Clumsy()
    async with LoopbackApi(answering("hi"), answering("hi")) as api, bench.client(api.base_url) as client:
        with pytest.raises(type(mistake)) as raised:
            await client.send(REQUEST, observer=listener)
    assert raised.value is mistake
    assert (len(api.received), listener.kinds()) == (1, ["first_token", "interrupted"])
