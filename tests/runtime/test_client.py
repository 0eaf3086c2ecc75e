"""Requests over a real socket: what the server gets, what the caller gets back, and what happens when it goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from agentcache.errors import (
    ConnectionFailed,
    ReplyMalformed,
    SettingsError,
)
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.runtime.client import MessagesClient
from agentcache.runtime.credentials import PLACEHOLDER_KEY
from tests.runtime.loopback import (
    NOW,
    REQUEST,
    Answer,
    Bench,
    LoopbackApi,
    answering,
    end,
    refusing,
    start,
    streamed,
    text,
)


async def test_the_bytes_arrive_in_the_order_of_the_request(bench: Bench) -> None:
    request: JsonObject = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 5,
        "tools": [{"name": "t", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}}}],
        "messages": [{"role": "user", "content": "¿Où 17? 🙂 <&>"}],
    }
    async with LoopbackApi(answering("hi")) as api, bench.client(api.base_url) as client:
        await client.send(request, observer=bench.listener)
    [received] = api.received
    assert received.body == json_text({**request, "stream": True}).encode()
    assert received.line == "POST /v1/messages HTTP/1.1"


async def test_stream_is_not_the_callers_to_choose(bench: Bench) -> None:
    async with LoopbackApi(answering("hi")) as api, bench.client(api.base_url) as client:
        await client.send({"stream": False, **REQUEST}, observer=bench.listener)
    assert api.received[0].body == json_text({**REQUEST, "stream": True}).encode()


async def test_half_of_a_surrogate_pair_is_sent_as_the_escape_that_it_came_as(bench: Bench) -> None:
    request: JsonObject = {**REQUEST, "messages": [{"role": "user", "content": "cut \ud83d here, é whole"}]}
    async with LoopbackApi(answering("hi")) as api, bench.client(api.base_url) as client:
        await client.send(request, observer=bench.listener)
    assert '"cut \\ud83d here, é whole"'.encode() in api.received[0].body


@pytest.mark.parametrize("value", [float("nan"), object()], ids=["nan", "object"])
async def test_what_json_cannot_say_is_not_sent(bench: Bench, value: object) -> None:
    request: JsonObject = {**REQUEST, "metadata": value}  # type: ignore[dict-item]  # the mistake under test
    async with LoopbackApi() as api, bench.client(api.base_url) as client:
        with pytest.raises(SettingsError, match="JSON cannot say"):
            await client.send(request, observer=bench.listener)
    assert api.received == []


async def test_beta_headers_and_the_key_go_along(bench: Bench) -> None:
    async with LoopbackApi(answering("hi")) as api, bench.client(api.base_url, api_key=" sk-1\n") as client:
        await client.send(REQUEST, observer=bench.listener, extra_headers={"anthropic-beta": "one,two"})
    headers = api.received[0].headers
    assert headers["anthropic-beta"] == "one,two"
    assert headers["content-type"] == "application/json"
    assert "sk-1" in {headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")}


async def test_a_reply_is_what_the_wire_said(bench: Bench) -> None:
    first: JsonObject = {"type": "text", "text": "", "citations": None, "new_field": {"z": 1, "a": 2}}
    called: JsonObject = {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "find_order",
        "input": {},
        "caller": {"type": "direct"},
    }
    answer = streamed(
        start(cache_creation_input_tokens=0, cache_read_input_tokens=900),
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": first},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Looking."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": called},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"order": '},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "17}"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "some_future_event", "data": 1},
        *end("tool_use"),
    )
    async with LoopbackApi(answer) as api, bench.client(api.base_url) as client:
        reply = await client.send(REQUEST, observer=bench.listener)
    expected = [{**first, "text": "Looking."}, {**called, "input": {"order": 17}}]
    assert json_text(reply.content) == json_text(expected)
    assert (reply.message_id, reply.model, reply.request_id) == ("msg_1", "claude-sonnet-5-5", "req_1")
    assert (reply.stop_reason, reply.stop_details, reply.attempts) == ("tool_use", None, 1)
    assert reply.usage == {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 900,
    }
    assert reply.raw["content"] == reply.content
    assert (reply.sent_at, reply.first_token_at, reply.ended_at) == (NOW, NOW + 1, NOW + 2)
    assert bench.listener.heard == [("first_token", NOW + 1), ("text", "Looking.")]


async def test_the_first_token_is_told_while_the_reply_is_still_under_way(bench: Bench) -> None:
    async with LoopbackApi(streamed(start(), end="silence")) as api, bench.client(api.base_url) as client:
        sending = asyncio.create_task(client.send(REQUEST, observer=bench.listener))
        await bench.listener.began.wait()
        assert not sending.done()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_thinking_is_told_apart_from_text(bench: Bench) -> None:
    block: JsonObject = {"type": "thinking", "thinking": "", "signature": ""}
    answer = streamed(
        start(),
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        *text("Yes.", index=1),
        *end(),
    )
    async with LoopbackApi(answer) as api, bench.client(api.base_url) as client:
        await client.send(REQUEST, observer=bench.listener)
    assert bench.listener.heard[1:] == [("thinking", "Hm."), ("text", "Yes.")]


WARM_ANSWER: JsonObject = {
    "id": "msg_w",
    "type": "message",
    "model": "claude-sonnet-5-5",
    "content": [],
    "stop_reason": "max_tokens",
    "usage": {"input_tokens": 8, "cache_creation_input_tokens": 5120, "output_tokens": 0},
}


def plain(message: object) -> Answer:
    body = json_text(message).encode()
    return Answer(headers={"content-type": "application/json", "request-id": "req_w"}, pieces=[body])


async def test_a_warm_up_is_not_streamed(bench: Bench) -> None:
    request: JsonObject = {**REQUEST, "max_tokens": 0, "stream": True}
    async with LoopbackApi(plain(WARM_ANSWER)) as api, bench.client(api.base_url) as client:
        reply = await client.send(request, observer=bench.listener)
    assert api.received[0].body == json_text({**REQUEST, "max_tokens": 0}).encode()
    assert (reply.content, reply.stop_reason, reply.request_id) == ([], "max_tokens", "req_w")
    assert (reply.usage, reply.raw) == (WARM_ANSWER["usage"], WARM_ANSWER)
    assert bench.listener.heard == [("first_token", reply.ended_at)]


async def test_a_damaged_answer_to_a_warm_up_is_asked_for_again(bench: Bench) -> None:
    damaged = Answer(headers={"content-type": "application/json"}, pieces=[b'{"id": "ms'])
    async with LoopbackApi(damaged, plain(WARM_ANSWER)) as api, bench.client(api.base_url) as client:
        reply = await client.send({**REQUEST, "max_tokens": 0}, observer=bench.listener)
    assert (reply.attempts, bench.listener.kinds()) == (2, ["interrupted", "retrying", "first_token"])


async def test_a_warm_up_that_is_answered_with_something_else_fails_at_once(bench: Bench) -> None:
    async with LoopbackApi(plain({"ok": True})) as api, bench.client(api.base_url) as client:
        with pytest.raises(ReplyMalformed):
            await client.send({**REQUEST, "max_tokens": 0}, observer=bench.listener)
    assert len(api.received) == 1


async def test_no_server_is_a_connection_that_failed(bench: Bench) -> None:
    async with LoopbackApi() as gone:
        base_url = gone.base_url
    async with bench.client(base_url, max_attempts=2) as client:
        with pytest.raises(ConnectionFailed, match=f"connection to {base_url} failed: ConnectError") as raised:
            await client.send(REQUEST, observer=bench.listener)
    assert (raised.value.attempts, raised.value.status) == (2, None)


async def test_silence_has_a_bound(bench: Bench) -> None:
    answer = streamed(start(), end="silence")
    async with LoopbackApi(answer) as api, bench.client(api.base_url, timeout_s=0.5, max_attempts=1) as client:
        with pytest.raises(ConnectionFailed, match="ReadTimeout"):
            await client.send(REQUEST, observer=bench.listener)
    assert len(bench.listener.broken) == 1


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
async def test_an_answer_that_is_no_stream_comes_from_no_messages_api(bench: Bench, kind: str) -> None:
    answer = Answer(headers={"content-type": kind}, pieces=[b"<html>"])
    async with LoopbackApi(answer) as api, bench.client(api.base_url) as client:
        with pytest.raises(ReplyMalformed, match=f"{kind!r}; is it a Messages API server"):
            await client.send(REQUEST, observer=bench.listener)
    assert len(api.received) == 1


async def test_a_request_of_megabytes_arrives_whole_and_with_its_length(bench: Bench) -> None:
    request: JsonObject = {**REQUEST, "messages": [{"role": "user", "content": "é17 " * 400_000}]}
    async with LoopbackApi(refusing(500), answering("hi")) as api, bench.client(api.base_url) as client:
        await client.send(request, observer=bench.listener)
    body = json_text({**request, "stream": True}).encode()
    assert [(received.body == body, received.headers["content-length"]) for received in api.received] == [
        (True, str(len(body)))
    ] * 2


class CountingApi(LoopbackApi):
    """Counts its connections."""

    connections = 0

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await super()._connected(reader, writer)


async def test_connections_are_used_again(bench: Bench) -> None:
    async with CountingApi(*[answering("hi")] * 3) as api, bench.client(api.base_url) as client:
        for _ in range(3):
            await client.send(REQUEST, observer=bench.listener)
    assert api.connections == 1


async def test_no_request_waits_for_the_connection_of_another(bench: Bench) -> None:
    more_than_aiohttp_opens_unasked = 101
    answers = [answering("hi")] * more_than_aiohttp_opens_unasked
    async with CountingApi(*answers) as api, bench.client(api.base_url) as client:
        await asyncio.gather(*(client.send(REQUEST, observer=bench.listener) for _ in answers))
    assert api.connections == more_than_aiohttp_opens_unasked


async def test_requests_go_through_the_proxy_of_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with LoopbackApi(answering("hi")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        async with bench.client("http://api.test") as client:
            reply = await client.send(REQUEST, observer=bench.listener)
    assert reply.content == [{"type": "text", "text": "hi"}]
    assert proxy.received[0].line == "POST http://api.test/v1/messages HTTP/1.1"


def transport(answer: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))


async def test_an_http_client_of_the_callers_stays_open(bench: Bench) -> None:
    http_client = transport(lambda _: httpx2.Response(200, json=WARM_ANSWER))
    async with bench.client("http://api.test", http_client=http_client) as client:
        await client.send({**REQUEST, "max_tokens": 0}, observer=bench.listener)
    assert not http_client.is_closed
    await http_client.aclose()


async def test_a_redirect_names_the_server_that_is_meant(bench: Bench) -> None:
    answer = httpx2.Response(307, headers={"location": "https://elsewhere.test/v1/messages"})
    async with transport(lambda _: answer) as http_client:
        client = bench.client("http://api.test", http_client=http_client)
        with pytest.raises(ReplyMalformed, match=r"redirects to 'https://elsewhere\.test"):
            await client.send(REQUEST, observer=bench.listener)


async def test_a_closed_client_fails_at_once_and_says_so(bench: Bench) -> None:
    async with LoopbackApi() as api:
        client = bench.client(api.base_url)
        await client.aclose()
        with pytest.raises(ConnectionFailed, match="closed"):
            await client.send(REQUEST, observer=bench.listener)
    assert bench.pauses == []


async def test_a_call_takes_at_least_one_attempt() -> None:
    with pytest.raises(SettingsError, match="max_attempts is 0"):
        MessagesClient(api_key="k", max_attempts=0)


def sent_headers(received: list[httpx2.Request]) -> httpx2.AsyncClient:
    def answer(request: httpx2.Request) -> httpx2.Response:
        received.append(request)
        return httpx2.Response(200, json=WARM_ANSWER)

    return transport(answer)


@pytest.fixture
async def recorded() -> AsyncIterator[tuple[httpx2.AsyncClient, list[httpx2.Request]]]:
    received: list[httpx2.Request] = []
    async with sent_headers(received) as http_client:
        yield http_client, received


@pytest.mark.parametrize(
    ("environment", "secret", "host"),
    [
        ({"ANTHROPIC_API_KEY": "sk-env"}, "sk-env", "api.anthropic.com"),
        ({"ANTHROPIC_AUTH_TOKEN": "tok"}, "tok", "api.anthropic.com"),
        ({"ANTHROPIC_API_KEY": "sk-env", "ANTHROPIC_AUTH_TOKEN": "tok"}, "sk-env", "api.anthropic.com"),
        ({"ANTHROPIC_BASE_URL": "http://api.test"}, PLACEHOLDER_KEY, "api.test"),
        ({"ANTHROPIC_BASE_URL": "http://api.test", "ANTHROPIC_API_KEY": "sk-env"}, "sk-env", "api.test"),
    ],
)
async def test_the_environment_says_who_and_where(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    recorded: tuple[httpx2.AsyncClient, list[httpx2.Request]],
    environment: dict[str, str],
    secret: str,
    host: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    http_client, received = recorded
    client = MessagesClient(http_client=http_client)
    await client.send({**REQUEST, "max_tokens": 0}, observer=bench.listener)
    [request] = received
    assert request.url.host == host
    assert secret in {
        request.headers.get("x-api-key"),
        request.headers.get("authorization", "").removeprefix("Bearer "),
    }
