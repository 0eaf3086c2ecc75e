"""Compaction in a run: what is sent, what is kept, what is told, and what happens when no summary can be had."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from agentcache import Compaction, LimitReached, Limits, Notice, Prompt, Runtime, tool
from agentcache.accounting.usage import CallKind
from agentcache.emulator.server import serve
from tests.workflow.conftest import RULES, Request, agent

EVERY_TURN = Compaction(trigger_tokens=1, keep_turns=1, summary_tokens=10)
WORDS = "Tell me more of this. " * 20


def is_summariser(request: Request) -> bool:
    asked: str = request["messages"][-1]["content"][-1].get("text", "")
    return asked.startswith("Summarise")


def thinks(request: Request) -> Any:
    if is_summariser(request):
        return "They talked."
    return [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": f"answer {len(request['messages'])}"}]


def told(stage: Any, code: str) -> list[str]:
    return [notice.message for notice in stage.told(Notice) if notice.code == code]


async def test_the_next_call_sends_a_summary_in_place_of_the_older_turns(stage):
    clerk = agent(compaction=EVERY_TURN)
    async with stage(thinks) as on:
        for number in range(3):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        _, _, summarised, third = on.emulator.requests
        kinds = [call.kind for call in await on.runtime.ledger.calls()]
        [earlier] = await on.runtime.conversations.earlier("c")
        dropped = await on.runtime.conversations.messages("c", head=earlier.head)
    assert kinds == [CallKind.MESSAGE, CallKind.MESSAGE, CallKind.SUMMARY, CallKind.MESSAGE]
    assert [summarised[key] for key in ("system", "model")] == [third[key] for key in ("system", "model")]
    assert summarised["messages"][-1]["role"] == "user"
    texts = [[block.get("text", "thinking") for block in message["content"]] for message in third["messages"]]
    assert texts == [
        ["[summary of the conversation so far]\nThey talked.", f"1 {WORDS}"],
        ["answer 3"],  # its thinking is bound to the prompt that went before it
        [f"2 {WORDS}"],
    ]
    assert [message["role"] for message in dropped] == ["user", "assistant"] * 2
    [notice] = told(on, "compacted")
    assert notice.startswith("2 messages became a summary of ")


async def test_a_run_pays_for_its_summary(stage):
    clerk = agent(compaction=EVERY_TURN)
    async with stage(thinks) as on:
        results = [await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c") for number in range(3)]
        calls = await on.runtime.ledger.calls()
    assert results[-1].cost_usd == sum(call.cost_usd for call in calls if call.run_id == results[-1].run_id)
    assert len(calls) == 4
    assert results[-1].turns == 2  # a summary is a model call like any other


async def test_a_tool_loop_is_never_cut(stage):
    @tool
    def look_up() -> str:
        """Look it up."""
        return WORDS

    def uses_tools(request: Request) -> Any:
        if is_summariser(request):
            return "They looked things up."
        results = sum(1 for message in request["messages"] if message["content"][-1]["type"] == "tool_result")
        return "answer" if results % 3 == 2 else [{"type": "tool_use", "name": "look_up", "input": {}}]

    clerk = agent(compaction=EVERY_TURN, tools=[look_up])
    async with stage(uses_tools) as on:
        for number in range(3):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        ends = [
            request["messages"][-2]["content"][-1]["type"] for request in on.emulator.requests if is_summariser(request)
        ]
    assert ends
    assert set(ends) == {"text"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ([{"type": "tool_use", "name": "look_up", "input": {}}], "stopped for 'tool_use' without a summary"),
        ({"content": "They", "stop_reason": "max_tokens"}, "stopped for 'max_tokens' without a summary"),
        ({"content": "", "stop_reason": "end_turn"}, "stopped for 'end_turn' without a summary"),
    ],
)
async def test_without_a_summary_the_history_stays_and_the_run_goes_on(stage, reply: Any, reason: str):
    @tool
    def look_up() -> str:
        """Look it up."""
        return "found"

    clerk = agent(compaction=EVERY_TURN, tools=[look_up])
    async with stage(lambda request: reply if is_summariser(request) else "answer") as on:
        for number in range(3):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        assert len(on.emulator.requests[-1]["messages"]) == 5
        assert [call.kind for call in await on.runtime.ledger.calls()].count(CallKind.SUMMARY) == 1
    [notice] = told(on, "compaction_failed")
    assert notice.endswith(reason)


async def test_a_summary_is_not_lost_when_the_run_after_it_fails(stage):
    def fails_once(request: Request) -> Any:
        asked = request["messages"][-1]["content"][-1]["text"]
        if asked.startswith("fail"):
            return {"content": "cut", "stop_reason": "max_tokens"}
        return thinks(request)

    clerk = agent(compaction=EVERY_TURN)
    async with stage(fails_once) as on:
        for number in range(2):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        with pytest.raises(Exception, match="max_tokens"):
            await on.runtime.run(clerk, "fail", conversation="c")
        messages = await on.runtime.conversations.messages("c")
        await on.runtime.run(clerk, "again", conversation="c")
        kinds = [call.kind for call in await on.runtime.ledger.calls()]
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert kinds.count(CallKind.SUMMARY) == 1


async def test_a_run_without_room_for_a_summary_asks_for_none(stage):
    clerk = agent(compaction=EVERY_TURN)
    async with stage(thinks) as on:
        for number in range(2):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        with pytest.raises(LimitReached):
            await on.runtime.run(clerk, "more", conversation="c", limits=Limits(tokens=0))
        assert len(on.emulator.requests) == 2


async def test_text_that_amendments_brought_is_in_the_system_prompt_afterwards(stage):
    news = iter(["sunny", "stormy", "stormy", "stormy"])
    clerk = agent(
        prompt=Prompt(static=RULES, semi_static="It is {{ news }}."),
        semi_static=lambda: {"news": next(news)},
        refresh=1e-9,
        compaction=Compaction(trigger_tokens=3_000, keep_turns=1, summary_tokens=10),
    )
    async with stage(thinks) as on:
        for words in ("one " * 800, "two " * 800, "three"):
            await on.runtime.run(clerk, words, conversation="c")
        *_, second, _, third = on.emulator.requests
    assert [message["role"] for message in second["messages"]].count("system") == 1
    assert [message["role"] for message in third["messages"]] == ["user", "assistant", "user"]
    assert "It is stormy." in third["system"][-1]["text"]


class Verdict(BaseModel):
    word: str


async def test_a_summary_does_not_have_the_form_of_an_answer(stage):
    def judges(request: Request) -> Any:
        if is_summariser(request):
            return "They judged."
        return [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": '{"word": "good"}'}]

    judge = agent(compaction=EVERY_TURN, output=Verdict)
    async with stage(judges) as on:
        for number in range(3):
            result = await on.runtime.run(judge, f"{number} {WORDS}", conversation="c")
        *_, summarised, last = on.emulator.requests
    assert result.output == Verdict(word="good")
    assert "format" not in summarised.get("output_config", {})
    assert "format" in last["output_config"]
    assert last["messages"][0]["content"][0]["text"].endswith("They judged.")


async def test_another_model_can_take_a_conversation_over_and_compact_it(stage):
    first, second = agent(), agent(name="chief", model="claude-opus-5-5", compaction=EVERY_TURN)
    async with stage(thinks) as on:
        for clerk, number in ((first, 0), (first, 1), (second, 2), (second, 3)):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        models = [request["model"] for request in on.emulator.requests]
        kinds = [call.kind for call in await on.runtime.ledger.calls()]
    assert models == ["claude-sonnet-5-5"] * 2 + ["claude-opus-5-5"] * 4
    assert kinds.count(CallKind.SUMMARY) == 2


async def test_a_compacted_conversation_goes_on_in_another_process(tmp_path):
    clerk = agent(compaction=EVERY_TURN)
    url = f"{tmp_path}/ledger.db"
    async with serve(thinks) as emulator:
        for number in range(5):
            async with Runtime(url, base_url=emulator.base_url, keep_text=True, strict=True) as runtime:
                await runtime.run(clerk, f"{number} {WORDS}", conversation="c")
                calls = await runtime.ledger.calls()
        summaries = [call for call in calls if call.kind is CallKind.SUMMARY]
        assert len(summaries) == 3
        assert all(call.usage.cache_read_tokens > 0 for call in calls[1:] if call.usage)


# --- the API's own ----------------------------------------------------------------------------------------------------


BY_THE_API = Compaction(way="api", trigger_tokens=1, keep_turns=1, summary_tokens=10)


def plays_compaction(request: Request) -> Any:
    return "They talked." if "compaction" in request else thinks(request)


async def test_the_api_summarises_what_is_sent_and_its_block_comes_first_from_then_on(stage):
    clerk = agent(compaction=BY_THE_API)
    async with stage(plays_compaction) as on:
        for number in range(4):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        _, _, asked, third, again, _ = on.emulator.requests
        calls = await on.runtime.ledger.calls()
        lines = on.emulator.statement.lines
    assert asked["compaction"] == {"type": "summarize"}
    assert [message["role"] for message in asked["messages"]] == ["user", "assistant"]
    assert [message["role"] for message in third["messages"]] == ["assistant", "user", "assistant", "user"]
    [block] = third["messages"][0]["content"]
    assert (block["type"], block["content"]) == ("compaction", "They talked.")
    assert [message["role"] for message in again["messages"]] == ["assistant", "user", "assistant"]
    billed = [call for call in calls if call.usage and call.usage.total_tokens]
    assert [call.kind for call in billed] == [
        CallKind.MESSAGE,
        CallKind.MESSAGE,
        CallKind.COMPACTION,
        CallKind.MESSAGE,
        CallKind.COMPACTION,
        CallKind.MESSAGE,
    ]
    assert [call.usage.output_tokens for call in billed] == [line.output_tokens for line in lines]
    assert [call.usage.cache_read_tokens for call in billed] == [line.charge.read_tokens for line in lines]
    assert billed[2].usage.cache_read_tokens > 0
    assert len(told(on, "compacted")) == 2


async def test_a_compaction_that_comes_to_no_summary_changes_nothing(stage):
    def cut_off(request: Request) -> Any:
        return "They talked at length. " * 40 if "compaction" in request else "answer"

    clerk = agent(compaction=BY_THE_API, max_tokens=20)
    async with stage(cut_off) as on:
        for number in range(3):
            await on.runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        assert len(on.emulator.requests[-1]["messages"]) == 5
    [notice] = told(on, "compaction_failed")
    assert "stopped for 'compaction' without a summary" in notice


async def test_a_conversation_that_the_api_compacted_can_be_forked_and_stored(tmp_path):
    clerk = agent(compaction=BY_THE_API)
    url = f"{tmp_path}/ledger.db"
    async with serve(plays_compaction) as emulator:
        for number in range(3):
            async with Runtime(url, base_url=emulator.base_url, keep_text=True, strict=True) as runtime:
                await runtime.run(clerk, f"{number} {WORDS}", conversation="c")
        async with Runtime(url, base_url=emulator.base_url, keep_text=True) as runtime:
            await runtime.conversations.fork("c", "d")
            await runtime.run(agent(), "and?", conversation="d")
            calls = await runtime.ledger.calls()
    assert calls[-1].usage is not None
    assert calls[-1].usage.cache_read_tokens > 0
