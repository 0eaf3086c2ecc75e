"""What every ledger promises, whatever it is made of (`agentcache.stores.protocols`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.usage import (
    BilledPart,
    CallKind,
    CallRecord,
    RunRecord,
    RunStatus,
    ToolCallRecord,
    Usage,
)
from agentcache.errors import StoreError
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.prompt.spans import Span
from agentcache.stores.protocols import Ledger, StoredConversation

RUN = RunRecord(run_id="run_1", parent_run_id=None, name="review", agent=None, started_at=1_793_000_000.125)
CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="reviewer",
    model="claude-sonnet-5-5",
    sent_at=1_793_000_001.25,
    usage=Usage(uncached_input_tokens=1, cache_write_5m_tokens=2, cache_write_1h_tokens=3, cache_read_tokens=4),
)
FULL_CALL = replace(
    CALL,
    kind=CallKind.KEEP_ALIVE,
    conversation="c-42",
    turn=7,
    message_id="msg_1",
    request_id="req_1",
    first_token_at=1_793_000_002.5,
    ended_at=1_793_000_003.75,
    stop_reason="end_turn",
    attempts=3,
    error="Überlast",
    held_s={"prefix": 1.25, "rate_limit": 0.5},
    held_saved_usd=Decimal("0.00123"),
    parts=(
        BilledPart(
            model="claude-opus-5",
            usage=Usage(output_tokens=10**12),
            kind=CallKind.ADVISOR,
            service_tier="batch",
            speed="fast",
            inference_geo="us",
            web_searches=2,
        ),
        BilledPart(model="claude-sonnet-5-5", usage=Usage()),
    ),
    cost_usd=Decimal("0.000000125"),
    counterfactual_usd=Decimal("123456789.000000001"),
    plan={"policy": "layers", "kept": [{"where": "system[0]", "ttl": "1h"}], "automatic": None},
    section_tokens={"tools": 812, "persona": 44},
    prefix_digests=("p1:aa", "p1:bb"),
    found_digests=("p1:cc",),
    prompt_spans=(
        Span(layer="tools", section=None, where="tools[0]", tokens=812, digest="p1:aa"),
        Span(layer="turn", section=None, where="messages[0].content[0]", tokens=9, digest="p1:bb", parted=True),
    ),
    request={"model": "m", "messages": [{"role": "user", "content": "Wo ist Paket 17? 📦"}]},
    response={"id": "msg_1", "content": []},
)
TOOL_CALL = ToolCallRecord(
    tool_call_id="toolu_1",
    run_id="run_1",
    agent="reviewer",
    call_id="call_1",
    tool="find_order",
    started_at=1_793_000_004.0,
    ended_at=1_793_000_005.0,
    outcome="ok",
    memo_hit=True,
    result_chars=812,
    memo_tier="redis",
    memo_saved_s=1.25,
    result_bytes=3 * 10**9,
    result_tokens=203,
    result_digest="p1:dd",
)


# --- rows come back as they went in -----------------------------------------------------------------------------------


async def test_a_run_comes_back(ledger: Ledger):
    nested = replace(
        RUN,
        run_id="run_2",
        parent_run_id="run_1",
        agent="reviewer",
        conversation="c-42",
        ended_at=1_793_000_010.5,
        status=RunStatus.FAILED,
        error="Refused: no",
    )

    await ledger.start_run(RUN)
    await ledger.start_run(nested)

    assert await ledger.runs() == [RUN, nested]


async def test_a_call_comes_back(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.add_call(CALL)
    await ledger.add_call(replace(FULL_CALL, call_id="call_2"))

    assert await ledger.calls() == [CALL, replace(FULL_CALL, call_id="call_2")]


async def test_a_tool_call_comes_back(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.add_tool_call(TOOL_CALL)

    assert await ledger.tool_calls() == [TOOL_CALL]


async def test_what_is_not_known_of_a_tool_call_is_not_zero(ledger: Ledger):
    plain = replace(
        TOOL_CALL, memo_tier=None, memo_saved_s=None, result_bytes=None, result_tokens=None, result_digest=None
    )
    await ledger.start_run(RUN)
    await ledger.add_tool_call(plain)

    assert await ledger.tool_calls() == [plain]


async def test_unknown_usage_is_not_zero_usage(ledger: Ledger):
    unknown = replace(CALL, usage=None)
    refused = replace(CALL, call_id="call_2", usage=Usage(), cost_usd=Decimal(0))
    await ledger.start_run(RUN)
    await ledger.add_call(unknown)
    await ledger.add_call(refused)

    assert [call.usage for call in await ledger.calls()] == [None, Usage()]
    assert [call.cost_usd for call in await ledger.calls()] == [None, Decimal(0)]


async def test_keys_of_what_was_sent_keep_their_order(ledger: Ledger):
    body: JsonObject = {"z": 1, "a": {"y": [], "b": None}}
    await ledger.start_run(RUN)
    await ledger.add_call(replace(CALL, request=body, response=body))
    await ledger.save_conversation(StoredConversation(conversation_id="c-1", agent="a", messages=(body,)))

    (call,) = await ledger.calls()
    conversation = await ledger.load_conversation("c-1")

    assert json_text(call.request) == json_text(call.response) == json_text(body)
    assert conversation is not None
    assert json_text(conversation.messages[0]) == json_text(body)


@pytest.mark.parametrize("odd", ["half \ud83d and \x00", "half \x00", "half \ud83d"])
async def test_text_that_no_database_takes_does_not_lose_the_row(ledger: Ledger, odd: str):
    """Half of a surrogate pair and a NUL, as a model may write them into a tool's name or arguments."""
    await ledger.start_run(RUN)
    await ledger.add_call(replace(CALL, error=odd, request={"text": odd}, plan={"reason": odd}))
    await ledger.add_tool_call(replace(TOOL_CALL, tool=odd))

    (call,), (tool_call,) = await ledger.calls(), await ledger.tool_calls()

    assert call.request == {"text": odd}
    assert call.plan == {"reason": odd}
    assert (call.error or "").startswith("half ")
    assert tool_call.tool.startswith("half ")


# --- runs end, ids are unique, calls belong to runs -------------------------------------------------------------------


async def test_a_run_ends(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.finish_run("run_1", ended_at=5.5, status=RunStatus.CANCELLED, error="cancelled")

    assert await ledger.runs() == [replace(RUN, ended_at=5.5, status=RunStatus.CANCELLED, error="cancelled")]


async def test_a_run_that_never_began_does_not_end(ledger: Ledger):
    with pytest.raises(StoreError, match="run_9"):
        await ledger.finish_run("run_9", ended_at=5.5, status=RunStatus.FINISHED)


async def test_an_id_is_taken_once(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.add_call(CALL)
    await ledger.add_tool_call(TOOL_CALL)

    with pytest.raises(StoreError, match="already"):
        await ledger.start_run(RUN)
    with pytest.raises(StoreError, match="already"):
        await ledger.add_call(replace(CALL, agent="other"))
    with pytest.raises(StoreError, match="already"):
        await ledger.add_tool_call(TOOL_CALL)

    assert await ledger.calls() == [CALL]


async def test_a_row_needs_its_run(ledger: Ledger):
    for add in (
        ledger.start_run(replace(RUN, parent_run_id="run_9")),
        ledger.add_call(CALL),
        ledger.add_tool_call(TOOL_CALL),
    ):
        with pytest.raises(StoreError, match="start_run comes first"):
            await add

    assert await ledger.runs() == []


# --- questions --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def two_runs(ledger: Ledger) -> Ledger:
    """Run 1 with 2 nested in it and 3 in that, and run 4 beside; each with a call and a tool call of its own."""
    for number, parent in ((1, None), (2, "run_1"), (3, "run_2"), (4, None)):
        run_id, agent = f"run_{number}", f"agent_{number % 2}"
        await ledger.start_run(replace(RUN, run_id=run_id, parent_run_id=parent, agent=agent, started_at=float(number)))
        await ledger.add_call(
            replace(CALL, call_id=f"call_{number}", run_id=run_id, agent=agent, sent_at=float(number))
        )
        await ledger.add_tool_call(
            replace(TOOL_CALL, tool_call_id=f"tool_{number}", run_id=run_id, agent=agent, started_at=float(number))
        )
    return ledger


async def numbers(ledger: Ledger, **question) -> list[list[str]]:
    """Return the numbers of the runs, calls and tool calls that answer a question."""
    return [
        [run.run_id[-1] for run in await ledger.runs(**question)],
        [call.call_id[-1] for call in await ledger.calls(**question)],
        [tool_call.tool_call_id[-1] for tool_call in await ledger.tool_calls(**question)],
    ]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({}, "1234"),
        ({"run_id": "run_1"}, "123"),
        ({"run_id": "run_2"}, "23"),
        ({"run_id": "run_4"}, "4"),
        ({"run_id": "run_9"}, ""),
        ({"since": 3.0}, "34"),
        ({"agent": "agent_1"}, "13"),
        ({"run_id": "run_1", "since": 2.0, "agent": "agent_0"}, "2"),
    ],
)
async def test_questions_choose_rows(two_runs: Ledger, question, answer: str):
    assert await numbers(two_runs, **question) == [list(answer)] * 3


async def test_rows_come_oldest_first_and_those_of_one_time_by_id(ledger: Ledger):
    await ledger.start_run(RUN)
    for call_id, at in (("call_c", 2.0), ("call_b", 1.0), ("call_a", 2.0)):
        await ledger.add_call(replace(CALL, call_id=call_id, sent_at=at))

    assert [call.call_id for call in await ledger.calls()] == ["call_b", "call_a", "call_c"]


# --- conversations ----------------------------------------------------------------------------------------------------


async def test_rows_that_come_all_at_once_are_all_kept(ledger: Ledger):
    await ledger.start_run(RUN)
    await asyncio.gather(*(ledger.add_call(replace(CALL, call_id=f"call_{n:03}")) for n in range(300)))

    assert len(await ledger.calls()) == 300


async def test_a_row_is_there_once_its_writer_returns(ledger: Ledger):
    await ledger.start_run(RUN)

    async def add_and_look(number: int) -> bool:
        await ledger.add_call(replace(CALL, call_id=f"call_{number}"))
        return f"call_{number}" in {call.call_id for call in await ledger.calls()}

    assert all(await asyncio.gather(*map(add_and_look, range(10))))


async def test_a_faulty_row_does_not_take_its_neighbours_with_it(ledger: Ledger):
    await ledger.start_run(RUN)
    rows = [replace(CALL, call_id=f"call_{n}", run_id="run_9" if n == 5 else "run_1") for n in range(10)]

    results = await asyncio.gather(*map(ledger.add_call, rows), return_exceptions=True)

    assert [isinstance(result, StoreError) for result in results] == [n == 5 for n in range(10)]
    assert len(await ledger.calls()) == 9


async def test_cancelling_whoever_waits_does_not_take_the_row_back(ledger: Ledger):
    await ledger.start_run(RUN)
    waiting = [asyncio.ensure_future(ledger.add_call(replace(CALL, call_id=f"call_{n}"))) for n in range(5)]
    await asyncio.sleep(0)

    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await ledger.add_call(replace(CALL, call_id="call_after"))

    assert len(await ledger.calls()) == 6


async def test_a_closed_ledger_says_so(ledger: Ledger):
    await ledger.close()
    await ledger.close()

    for use in (ledger.start_run(RUN), ledger.calls(), ledger.load_conversation("c-42")):
        with pytest.raises(StoreError, match="closed"):
            await use


# --- rows that may be there already -----------------------------------------------------------------------------------


async def test_a_run_is_reopened_as_it_began(ledger: Ledger):
    await ledger.reopen_run(RUN)
    await ledger.finish_run("run_1", ended_at=1_793_000_009.0, status=RunStatus.FAILED, error="lost")
    await ledger.reopen_run(replace(RUN, started_at=1_793_000_010.0))
    assert await ledger.runs() == [RUN]


async def test_a_call_takes_the_place_of_the_one_of_its_id(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.put_call(replace(CALL, usage=None, error="under way"))
    await ledger.put_call(replace(FULL_CALL, call_id=CALL.call_id))
    assert await ledger.calls() == [replace(FULL_CALL, call_id=CALL.call_id)]


async def test_a_tool_call_stays_as_it_was_first_written(ledger: Ledger):
    await ledger.start_run(RUN)
    await ledger.ensure_tool_call(TOOL_CALL)
    await ledger.ensure_tool_call(replace(TOOL_CALL, outcome="error"))
    assert await ledger.tool_calls() == [TOOL_CALL]


async def test_rows_that_may_be_there_need_their_run_all_the_same(ledger: Ledger):
    with pytest.raises(StoreError):
        await ledger.put_call(CALL)
    with pytest.raises(StoreError):
        await ledger.ensure_tool_call(TOOL_CALL)
