"""Faults on demand: what the SDK sees, when they come, and what they leave on the bill."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from agentcache.emulator.faults import (
    Fault,
    FaultKind,
    ScheduledFaults,
    SeededFaults,
    every_fault,
    every_kind,
    read_faults,
)
from agentcache.emulator.server import serve
from agentcache.errors import EmulatorError

HELLO: Any = {"model": "claude-sonnet-4-6", "max_tokens": 200, "messages": [{"role": "user", "content": "hello " * 40}]}


async def meet(fault: Fault, *, stream: bool = False, **options: Any) -> tuple[Any, int]:
    """Send one call into `fault`; return the exception that the SDK raises and how many calls were billed."""
    async with (
        serve(faults=ScheduledFaults([fault])) as emulator,
        AsyncAnthropic(base_url=emulator.base_url, api_key="t", max_retries=0, **options) as sdk,
    ):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - each test says which
            await ask(sdk, stream=stream)
        return raised.value, len(emulator.statement.lines)


async def ask(sdk: AsyncAnthropic, *, stream: bool) -> None:
    if not stream:
        await sdk.messages.create(**HELLO)
        return
    async with sdk.messages.stream(**HELLO) as events:
        await events.get_final_message()


@pytest.mark.parametrize(
    ("kind", "raised", "status"),
    [
        ("429", anthropic.RateLimitError, 429),
        ("500", anthropic.InternalServerError, 500),
        ("529", anthropic.APIStatusError, 529),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_is_the_api_s_and_costs_nothing(
    kind: FaultKind, raised: type[Exception], status: int, stream: bool
) -> None:
    error, billed = await meet(Fault(kind=kind), stream=stream)
    assert isinstance(error, raised)
    assert isinstance(error, anthropic.APIStatusError)
    assert error.status_code == status
    assert "retry-after" not in error.response.headers
    assert billed == 0


async def test_retry_after_is_sent_where_it_is_asked_for() -> None:
    error, _ = await meet(Fault(kind="429", retry_after_s=7))
    assert error.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reset_ends_the_connection_before_any_answer(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    error, billed = await meet(Fault(kind="reset"), stream=stream)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
    assert isinstance(error, anthropic.APIConnectionError)
    assert billed == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cut_answer_breaks_and_is_billed_all_the_same(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    error, billed = await meet(Fault(kind="cut"), stream=stream)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
    assert not isinstance(error, anthropic.APIStatusError)
    assert billed == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_malformed_answer_does_not_parse(stream: bool) -> None:
    error, billed = await meet(Fault(kind="malformed"), stream=stream)
    assert isinstance(error, ValueError)
    assert billed == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_page_in_place_of_an_answer_is_no_message(stream: bool) -> None:
    async with (
        serve(faults=ScheduledFaults([Fault(kind="no_stream")])) as emulator,
        AsyncAnthropic(base_url=emulator.base_url, api_key="t", max_retries=0) as sdk,
    ):
        raw = await sdk.messages.with_raw_response.create(**HELLO, stream=stream)
        assert (raw.status_code, raw.headers["content-type"]) == (200, "text/html")
        assert not emulator.statement.lines


async def test_while_it_is_down_connections_are_refused_and_then_taken_again() -> None:
    async with serve(faults=ScheduledFaults([Fault(kind="down", delay_s=0.3)])) as emulator:
        async with AsyncAnthropic(base_url=emulator.base_url, api_key="t", max_retries=0) as sdk:
            causes: list[str] = []
            while len(causes) < 1000:
                try:
                    await ask(sdk, stream=True)
                    break
                except anthropic.APIConnectionError as error:
                    causes.append(type(error.__cause__).__name__)
                    await asyncio.sleep(0.01)
        assert causes[0] == "ReadError"
        assert causes.count("ConnectError") == len(causes) - 1 > 0
        assert len(emulator.statement.lines) == 1


async def test_it_can_end_while_it_is_down() -> None:
    async with (
        serve(faults=ScheduledFaults([Fault(kind="down", delay_s=3600)])) as emulator,
        AsyncAnthropic(base_url=emulator.base_url, api_key="t", max_retries=0) as sdk,
    ):
        with pytest.raises(anthropic.APIConnectionError):
            await ask(sdk, stream=True)


@pytest.mark.parametrize(
    ("kind", "raised"),
    [("misplaced", IndexError), ("error", anthropic.APIStatusError)],
)
async def test_a_stream_that_goes_wrong_is_billed(kind: FaultKind, raised: type[Exception]) -> None:
    error, billed = await meet(Fault(kind=kind), stream=True)
    assert isinstance(error, raised)
    assert billed == 1


async def test_a_stream_that_ends_in_good_order_and_too_early_is_no_error_to_the_sdk() -> None:
    async with (
        serve(faults=ScheduledFaults([Fault(kind="ended")])) as emulator,
        AsyncAnthropic(base_url=emulator.base_url, api_key="t", max_retries=0) as sdk,
    ):
        await ask(sdk, stream=True)
        (line,) = emulator.statement.lines
    assert not line.complete


async def test_a_usage_that_is_left_out_is_noted_in_the_statement() -> None:
    async with (
        serve(faults=ScheduledFaults([Fault(kind="no_usage")])) as emulator,
        AsyncAnthropic(base_url=emulator.base_url, api_key="t", max_retries=0) as sdk,
    ):
        answers = [await sdk.messages.create(**HELLO) for _ in range(2)]
        assert [answer.usage is None for answer in answers] == [True, False]
        assert [line.usage_told for line in emulator.statement.lines] == [False, True]


async def test_a_slow_first_byte_can_outlast_the_client() -> None:
    error, _ = await meet(Fault(kind="slow", delay_s=30), timeout=0.2)
    assert isinstance(error, anthropic.APITimeoutError)


async def test_the_sdk_retries_through_planned_faults() -> None:
    faults = read_faults("529@1 reset@2 429:0@3")
    async with (
        serve(faults=faults) as emulator,
        AsyncAnthropic(base_url=emulator.base_url, api_key="t", max_retries=3) as sdk,
    ):
        sdk._calculate_retry_timeout = lambda *_args, **_kwargs: 0.0  # type: ignore[method-assign]
        answer = await sdk.messages.create(**HELLO)
        assert answer.stop_reason == "end_turn"
        assert len(emulator.statement.lines) == 1


def kinds(text: str, calls: int, seed: str = "0") -> list[str | None]:
    faults = read_faults(text, seed=seed)
    return [fault.kind if fault else None for fault in (faults.next_fault(b"") for _ in range(calls))]


def test_a_schedule_names_calls() -> None:
    assert kinds("529@2, cut@4", 5) == [None, "529", None, "cut", None]


def test_rates_are_met_and_are_the_same_for_the_same_seed() -> None:
    drawn = kinds("529%0.2 reset%0.1", 2000, "s")
    count = Counter(drawn)
    assert 320 < count["529"] < 480
    assert 140 < count["reset"] < 260
    assert drawn == kinds("529%0.2 reset%0.1", 2000, "s")
    assert drawn != kinds("529%0.2 reset%0.1", 2000, "t")


def body(**fields: Any) -> bytes:
    return json.dumps({**HELLO, **fields}).encode()


def test_chance_is_the_same_in_whatever_order_requests_arrive() -> None:
    asked = [body(messages=[{"role": "user", "content": f"question {number}"}]) for number in range(200)]
    one, other = every_fault(0.5, seed="s"), every_fault(0.5, seed="s")
    first = {each: [one.next_fault(each), one.next_fault(each)] for each in asked}
    second = {each: [other.next_fault(each)] for each in reversed(asked)}
    for each in asked:
        second[each].append(other.next_fault(each))
    assert first == second
    assert any(drawn != again for drawn, again in first.values())


def test_markers_and_ids_change_no_chance() -> None:
    called: Any = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    renamed = {**called, "id": "toolu_2", "cache_control": {"type": "ephemeral"}}
    one, other = (every_fault(0.5) for _ in range(2))
    for _ in range(50):
        drawn = one.next_fault(body(messages=[{"role": "assistant", "content": [called]}]))
        assert drawn == other.next_fault(body(messages=[{"role": "assistant", "content": [renamed]}]))


@pytest.mark.parametrize("odd", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_request_meets_faults_too(odd: bytes) -> None:
    assert every_fault(1).next_fault(odd) in every_kind()


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(EmulatorError, match="no share"):
        every_fault(rate)


def test_a_statement_can_name_a_place() -> None:
    fault = read_faults("cut/input@1").next_fault(b"")
    assert fault == Fault(kind="cut", place="input")


def test_values_say_how_long() -> None:
    late = read_faults("slow:2.5@1").next_fault(b"")
    wait = read_faults("429:9@1").next_fault(b"")
    assert late is not None
    assert wait is not None
    assert (late.delay_s, wait.retry_after_s) == (2.5, 9.0)


@pytest.mark.parametrize("text", ["529", "teapot@1", "529@x", "529%", "@1", "cut/nowhere@1"])
def test_a_statement_that_means_nothing_is_an_error(text: str) -> None:
    with pytest.raises(EmulatorError, match="is no fault"):
        read_faults(text)


def test_chances_cannot_add_up_to_more_than_one() -> None:
    with pytest.raises(EmulatorError, match="at most 1"):
        SeededFaults({Fault(kind="500"): 0.7, Fault(kind="529"): 0.7})
