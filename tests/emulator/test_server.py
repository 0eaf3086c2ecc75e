"""The emulator on a socket, with the official SDK unmodified in front of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.latency import Latency
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.server import Emulator, serve
from agentcache.errors import EmulatorError, UnexpectedCall, UnusedReply

MODEL = "claude-sonnet-4-6"
LONG = "A sentence of the handbook. " * 400
SYSTEM: Any = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
HELLO: Any = [{"role": "user", "content": "hello"}]
LOOK: Any = {"name": "look", "description": "Look.", "input_schema": {"type": "object", "properties": {}}}


def client(emulator: Emulator, **options: Any) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=emulator.base_url, api_key="test", **{"max_retries": 0, **options})


async def ask(sdk: AsyncAnthropic, **fields: Any) -> anthropic.types.Message:
    asked = {"model": MODEL, "max_tokens": 500, "system": SYSTEM, "messages": HELLO, **fields}
    answer: anthropic.types.Message = await sdk.messages.create(**asked)
    return answer


async def test_the_async_sdk_writes_and_then_reads_the_cache() -> None:
    async with serve() as emulator, client(emulator) as sdk:
        first, second = await ask(sdk), await ask(sdk)
    assert first.content[0].type == "text"
    assert first.content[0].text == "hello"
    assert first.usage.cache_creation_input_tokens
    assert first.usage.cache_creation_input_tokens > 1024
    assert first.usage.cache_creation is not None
    assert first.usage.cache_creation.ephemeral_5m_input_tokens == first.usage.cache_creation_input_tokens
    assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
    assert first._request_id is not None


async def test_the_sync_sdk_works_as_well() -> None:
    async with serve() as emulator:

        def ask_in_a_thread() -> anthropic.types.Message:
            with Anthropic(base_url=emulator.base_url, api_key="test") as sdk:
                return sdk.messages.create(model=MODEL, max_tokens=50, messages=HELLO)

        answer = await asyncio.to_thread(ask_in_a_thread)
    assert answer.stop_reason == "end_turn"


async def test_a_stream_gives_the_same_message_and_usage() -> None:
    blocks: Any = [
        {"type": "thinking", "thinking": "I should look."},
        {"type": "text", "text": "Let me look it up for you."},
        {"type": "tool_use", "name": "look", "input": {"where": "under the table", "n": [1, 2]}},
    ]
    async with serve(lambda _: blocks) as emulator, client(emulator) as sdk:
        fields: Any = {"model": MODEL, "max_tokens": 500, "system": SYSTEM, "messages": HELLO, "tools": [LOOK]}
        async with sdk.messages.stream(**fields) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            streamed = await stream.get_final_message()
        plain = await ask(sdk, tools=[LOOK])
    assert text == "Let me look it up for you."
    assert streamed.stop_reason == plain.stop_reason == "tool_use"
    assert [block.type for block in streamed.content] == [block.type for block in plain.content]
    assert streamed.content[2].type == "tool_use"
    assert streamed.content[2].input == blocks[2]["input"]
    assert streamed.usage.cache_creation_input_tokens == plain.usage.cache_read_input_tokens
    assert streamed.usage.output_tokens == plain.usage.output_tokens


async def test_counting_and_models_through_the_sdk() -> None:
    async with serve() as emulator, client(emulator) as sdk:
        counted = await sdk.messages.count_tokens(model=MODEL, system=SYSTEM, messages=HELLO)
        asked = await ask(sdk)
        listed = [model.id async for model in sdk.models.list(limit=5)]
        one = await sdk.models.retrieve(MODEL)
    whole = asked.usage.input_tokens + (asked.usage.cache_creation_input_tokens or 0)
    assert counted.input_tokens == whole
    assert len(listed) == len(set(listed)) > 5
    assert one.max_tokens == 128_000 or one.max_tokens == 64_000


@pytest.mark.parametrize(
    ("fields", "raised"),
    [
        ({"model": "claude-nobody"}, anthropic.NotFoundError),
        ({"max_tokens": -1}, anthropic.BadRequestError),
        ({"extra_headers": {"x-api-key": "stolen"}}, anthropic.AuthenticationError),
    ],
)
async def test_refusals_become_the_sdk_s_own_exceptions(fields: dict[str, Any], raised: type[Exception]) -> None:
    async with serve(api=MessagesApi(keys={"test": "default"})) as emulator, client(emulator) as sdk:
        with pytest.raises(raised) as caught:
            await ask(sdk, **fields)
    assert isinstance(caught.value, anthropic.APIStatusError)
    assert caught.value.request_id is not None


async def test_concurrent_calls_all_miss_and_a_later_one_reads() -> None:
    everyone = asyncio.Barrier(4)

    async def together(_: object) -> str:
        await everyone.wait()
        return "ok"

    async with serve(together) as emulator, client(emulator) as sdk:
        answers = await asyncio.gather(*(ask(sdk) for _ in range(4)))
        assert all(answer.usage.cache_creation_input_tokens for answer in answers)
        later = await asyncio.gather(*(ask(sdk) for _ in range(4)))
        assert all(answer.usage.cache_read_input_tokens for answer in later)


async def test_entries_end_on_the_virtual_clock_that_the_test_moves() -> None:
    async with serve(clock=VirtualClock()) as emulator, client(emulator) as sdk:
        await ask(sdk)
        await emulator.advance(299)
        assert (await ask(sdk)).usage.cache_read_input_tokens
        await emulator.advance(301)
        assert (await ask(sdk)).usage.cache_read_input_tokens == 0


async def test_the_real_clock_cannot_be_moved() -> None:
    async with serve() as emulator:
        with pytest.raises(EmulatorError, match="VirtualClock"):
            await emulator.advance(1)


async def test_control_routes_state_reset_and_advance() -> None:
    async with (
        serve(clock=VirtualClock(1000.0)) as emulator,
        client(emulator) as sdk,
        httpx2.AsyncClient(base_url=emulator.base_url) as http,
    ):
        await ask(sdk)
        assert (await http.get("/emulator/statement")).json()["total"]["calls"] == 1
        assert (await http.post("/emulator/clock", json={"advance_s": 30})).json() == {"now": 1030.0}
        assert (await http.post("/emulator/clock", json={"advance_s": -1})).status_code == 400
        assert (await http.post("/emulator/clock", content=b"soon")).status_code == 400
        assert (await http.post("/emulator/reset")).json() == {"reset": True}
        assert (await http.get("/emulator/statement")).json()["lines"] == []
        assert (await http.get("/emulator/other")).status_code == 404


async def test_the_control_route_of_a_real_clock_says_that_it_cannot() -> None:
    async with serve() as emulator, httpx2.AsyncClient(base_url=emulator.base_url) as http:
        answer = await http.post("/emulator/clock", json={"advance_s": 1})
    assert answer.status_code == 400
    assert "real one" in answer.json()["error"]["message"]


async def test_accepted_bodies_are_kept_for_the_test() -> None:
    async with serve(keep_requests=2) as emulator, client(emulator) as sdk:
        for word in ("one", "two", "three"):
            await ask(sdk, messages=[{"role": "user", "content": word}])
        assert [kept["messages"] for kept in emulator.requests] == [
            [{"role": "user", "content": "two"}],
            [{"role": "user", "content": "three"}],
        ]
        emulator.reset()
        assert emulator.requests == []


async def test_a_call_too_many_is_refused_and_raised_when_the_block_ends() -> None:
    async def call_twice() -> None:
        async with serve(["only one"]) as emulator, client(emulator, max_retries=5) as sdk:
            await ask(sdk)
            with pytest.raises(anthropic.BadRequestError, match="call 2 has no reply"):
                await ask(sdk)
            assert len(emulator.statement.lines) == 1

    with pytest.raises(UnexpectedCall, match="call 2 has no reply"):
        await call_twice()


async def test_a_reply_too_many_is_raised_when_the_block_ends() -> None:
    with pytest.raises(UnusedReply):
        async with serve(["one", "two"]) as emulator, client(emulator) as sdk:
            await ask(sdk)


async def test_a_block_that_fails_itself_raises_its_own_error() -> None:
    with pytest.raises(ZeroDivisionError):
        async with serve(["never asked for"]):
            raise ZeroDivisionError


async def test_an_error_in_a_script_is_not_swallowed() -> None:
    def broken(_: object) -> str:
        raise KeyError("sizes")

    async def call_once() -> None:
        async with serve(broken) as emulator, client(emulator) as sdk:
            with pytest.raises(anthropic.BadRequestError, match="KeyError"):
                await ask(sdk)

    with pytest.raises(KeyError, match="sizes"):
        await call_once()


async def test_a_client_that_goes_away_before_the_first_byte_pays_nothing() -> None:
    asked = asyncio.Event()
    given_up = asyncio.Event()

    async def slow(_: object) -> str:
        asked.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.set()
            raise
        return "late"

    async with serve(slow) as emulator, client(emulator) as sdk:
        call = asyncio.create_task(ask(sdk))
        await asked.wait()
        call.cancel()
        await asyncio.wait_for(given_up.wait(), timeout=5)
        assert emulator.statement.lines == ()
        assert len(emulator.api.cache) == 0


async def test_calls_that_still_run_are_ended_with_the_server_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = asyncio.Event()

    async def never(_: object) -> str:
        asked.set()
        await asyncio.Event().wait()
        return ""

    async with serve(never) as emulator:
        sdk = client(emulator)
        call = asyncio.create_task(ask(sdk))
        await asked.wait()
    with pytest.raises(anthropic.APIConnectionError):
        await call
    await sdk.close()
    assert caplog.records == []


async def test_a_client_that_leaves_a_stream_has_paid_for_it() -> None:
    async with serve(lambda _: "word " * 200, latency=Latency(output_s_per_token=0.05)) as emulator:
        async with client(emulator) as sdk:
            stream = await sdk.messages.create(model=MODEL, max_tokens=500, system=SYSTEM, messages=HELLO, stream=True)
            async for _ in stream:
                break
            await stream.close()
        async with client(emulator) as sdk:
            assert (await sdk.messages.count_tokens(model=MODEL, messages=HELLO)).input_tokens
        (line,) = emulator.statement.lines
    assert line.charge.write_5m_tokens > 1024
    assert not line.complete


async def test_the_latency_of_the_first_byte_grows_with_what_is_not_read() -> None:
    latency = Latency(base_s=1, uncached_s_per_1000_tokens=10)
    clock = VirtualClock(0.0)
    async with serve(clock=clock, latency=latency) as emulator, client(emulator) as sdk:
        call = asyncio.create_task(ask(sdk))
        while not call.done():
            await asyncio.sleep(0.01)
            await emulator.advance(1)
        cold = emulator.statement.lines[0]
        call = asyncio.create_task(ask(sdk))
        while not call.done():
            await asyncio.sleep(0.01)
            await emulator.advance(1)
        warm = emulator.statement.lines[1]
    assert cold.first_byte_at - cold.started_at > 10 > warm.first_byte_at - warm.started_at >= 1


async def test_a_port_in_use_is_an_error_that_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EmulatorError, match="choose another port"):
            async with serve(port=taken.getsockname()[1]):
                pass


async def test_it_listens_on_the_loopback_interface_only() -> None:
    async with serve() as emulator:
        assert emulator.base_url.startswith("http://127.0.0.1:")


async def test_a_body_over_the_limit_is_refused_on_the_wire() -> None:
    async with serve() as emulator, httpx2.AsyncClient(base_url=emulator.base_url, timeout=60) as http:
        headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
        answer = await http.post("/v1/messages", content=b" " * (32 * 1024 * 1024 + 1), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


async def test_two_emulators_share_nothing() -> None:
    async with serve() as one, serve() as other, client(one) as here, client(other) as there:
        await ask(here)
        assert (await ask(there)).usage.cache_read_input_tokens == 0


async def test_an_account_can_outlive_its_server() -> None:
    account = MessagesApi()
    for expected in (False, True):
        async with serve(api=account) as emulator, client(emulator) as sdk:
            assert bool((await ask(sdk)).usage.cache_read_input_tokens) is expected


async def test_the_sdk_s_beta_surface_reaches_the_same_account() -> None:
    async with serve() as emulator, client(emulator) as sdk:
        answer = await sdk.beta.messages.create(
            model="claude-opus-5",
            max_tokens=100,
            messages=[*HELLO, {"role": "system", "content": "be brief", "clear_at": "next_user_message"}],
            betas=["mid-conversation-system-clear-at-2026-08-21"],
        )
    assert answer.content[0].type == "text"


async def test_diagnostics_arrive_through_the_sdk() -> None:
    async with serve() as emulator, client(emulator) as sdk:
        first = await ask(sdk, diagnostics={"previous_message_id": None})
        changed: Any = [{"type": "text", "text": "else"}]
        second = await ask(sdk, system=changed, diagnostics={"previous_message_id": first.id})
    assert first.diagnostics is None
    assert second.diagnostics is not None
    assert second.diagnostics.cache_miss_reason is not None
    assert second.diagnostics.cache_miss_reason.type == "system_changed"


def test_it_needs_no_signal_handlers_and_leaves_the_loop_clean() -> None:
    async def run(make: Callable[[], Any]) -> None:
        async with make():
            pass
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run(serve))


async def test_answers_are_plain_json_and_streams_are_event_streams() -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    body = {"model": MODEL, "max_tokens": 9, "messages": HELLO}
    async with serve() as emulator, httpx2.AsyncClient(base_url=emulator.base_url) as http:
        plain = await http.post("/v1/messages", content=json.dumps(body), headers=headers)
        streamed = await http.post("/v1/messages", content=json.dumps({**body, "stream": True}), headers=headers)
    assert plain.headers["content-type"] == "application/json"
    assert plain.json()["usage"]["input_tokens"] > 0
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.startswith("event: message_start\n")
    assert streamed.text.endswith('data: {"type":"message_stop"}\n\n')
