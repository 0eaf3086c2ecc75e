"""Recorded turns as replies: any client that goes the recorded way hears what the recorded one heard."""

from __future__ import annotations

import gzip
import json
import os
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentcache.emulator.recorded import RecordedReplies
from agentcache.emulator.replies import Replies
from agentcache.errors import EmulatorError, UnexpectedCall, UnusedReply

TRACES = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[3] / "shared")) / "traces"
needs_traces = pytest.mark.skipif(
    not TRACES.is_dir() and not os.environ.get("CI"), reason=f"the recorded traces are not at {TRACES}"
)

Body = dict[str, Any]


def text(words: str, **extras: object) -> Body:
    return {"type": "text", "text": words, **extras}


def call(number: int, name: str = "look", **arguments: object) -> Body:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


def result(number: int, words: str) -> Body:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": words}


def user(*blocks: Body) -> Body:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Body) -> Body:
    return {"role": "assistant", "content": list(blocks)}


QUESTION, LOOKS, FOUND, ANSWER = (
    user(text("Where is order 17?")),
    assistant(text("Let me look."), call(1, order=17)),
    user(result(1, "on its way")),
    assistant(text("It is on its way.")),
)


def thread(*messages: Body, name: str = "main", **fields: Any) -> Body:
    return {"id": name, "agent": "clerk", "reason": "start", "messages": list(messages), **fields}


def trace(*threads: Body, calls: list[Body] | None = None, systems: dict[str, str] | None = None) -> Body:
    """Return a trace of `threads` with a call for every assistant message, or with `calls`."""
    made = [
        {"thread": item["id"], "agent": item["agent"], "in": place}
        for item in threads
        for place, message in enumerate(item["messages"])
        if message["role"] == "assistant"
    ]
    agents = {str(item["agent"]): (systems or {}).get(str(item["agent"])) for item in threads}
    return {
        "trace_id": "t",
        "agents": [{"name": name, "system": system} for name, system in agents.items()],
        "threads": list(threads),
        "calls": [{"i": number, **made_call} for number, made_call in enumerate(calls or made)],
    }


def played(*traces: Body, strict: bool = True) -> RecordedReplies:
    return RecordedReplies.from_traces(traces, strict=strict)


async def said(replies: RecordedReplies, *messages: Body, **fields: Any) -> Any:
    """Return the content of the answer to a request of `messages`."""
    answer = await replies.reply({"model": "any", "max_tokens": 10, "messages": list(messages), **fields})
    return answer["content"] if isinstance(answer, dict) else answer


async def test_a_conversation_is_played_turn_by_turn() -> None:
    replies = played(trace(thread(QUESTION, LOOKS, FOUND, ANSWER)))
    assert await said(replies, QUESTION) == LOOKS["content"]
    assert await said(replies, QUESTION, LOOKS, FOUND) == ANSWER["content"]
    replies.finish()
    assert isinstance(replies, Replies)


async def test_what_clients_do_in_their_own_way_does_not_matter() -> None:
    question = user(text("<now>noon</now>"), text("Where  is order 17?\n", cache_control={"type": "ephemeral"}))
    looks = assistant(text("Let me"), text("look."), {**call(1, order=17), "id": "call_abc"})
    found = user({**result(1, "another result"), "tool_use_id": "call_abc"}, text("Stay polite."))
    replies = played(trace(thread(QUESTION, LOOKS, FOUND, ANSWER)))
    await said(replies, question, system="Another prompt.", tools=[{"name": "look"}])
    assert await said(replies, question, looks, found, system="Another prompt.") == ANSWER["content"]


async def test_texts_may_be_plain_strings() -> None:
    replies = played(trace(thread(QUESTION, ANSWER)))
    assert await said(replies, {"role": "user", "content": "Where is order 17?"}) == ANSWER["content"]


async def test_thinking_may_be_left_out_of_the_history() -> None:
    pondered = assistant({"type": "thinking", "thinking": "hm"}, *LOOKS["content"])
    replies = played(trace(thread(QUESTION, pondered, FOUND, ANSWER)))
    assert (await said(replies, QUESTION))[0]["type"] == "thinking"
    assert await said(replies, QUESTION, LOOKS, FOUND) == ANSWER["content"]


async def test_parallel_calls_may_come_back_one_by_one() -> None:
    both = assistant(call(1, order=1), call(2, order=2))
    replies = played(trace(thread(QUESTION, both, user(result(1, "here"), result(2, "there")), ANSWER)))
    await said(replies, QUESTION)
    one_by_one = [
        assistant(call(1, order=1)),
        user(result(1, "here")),
        assistant(call(2, order=2)),
        user(result(2, "there")),
    ]
    assert await said(replies, QUESTION, *one_by_one) == ANSWER["content"]


async def test_the_longest_match_answers() -> None:
    short = thread(user(text("Hello")), assistant(text("short")), name="a")
    long = thread(user(text("Hello")), assistant(text("long")), name="b")
    long["messages"][0]["content"].append(text("and welcome"))
    replies = played(trace(short, long))
    assert await said(replies, user(text("Hello"), text("and welcome"))) == [text("long")]
    assert await said(replies, user(text("Hello"), text("and goodbye"))) == [text("short")]


async def test_equal_conversations_are_told_apart_by_what_the_tools_answered() -> None:
    lost = user(result(1, "lost"))
    sorry = assistant(text("It is lost."))
    replies = played(
        trace(thread(QUESTION, LOOKS, FOUND, ANSWER, name="a"), thread(QUESTION, LOOKS, lost, sorry, name="b")),
        strict=False,
    )
    assert await said(replies, QUESTION, LOOKS, lost) == sorry["content"]
    assert await said(replies, QUESTION, LOOKS, FOUND) == ANSWER["content"]


async def test_equal_conversations_are_told_apart_by_the_system_prompt() -> None:
    clerk = thread(QUESTION, assistant(text("the clerk")), name="a")
    boss = {**thread(QUESTION, assistant(text("the boss")), name="b"), "agent": "boss"}
    replies = played(trace(clerk, boss, systems={"clerk": "You are a clerk.", "boss": "You are the boss."}))
    system = [text("Our rules."), text("You are the boss.")]
    assert await said(replies, QUESTION, system=system) == [text("the boss")]
    assert await said(replies, QUESTION, system=[text("You are a clerk.")]) == [text("the clerk")]


async def test_what_was_recorded_twice_is_played_in_order_and_then_again() -> None:
    first, second = (
        thread(QUESTION, assistant(text("one")), name="a"),
        thread(QUESTION, assistant(text("two")), name="b"),
    )
    replies = played(trace(first, second))
    assert [await said(replies, QUESTION) for _ in range(3)] == [[text("one")], [text("two")], [text("two")]]


async def test_traces_of_one_name_are_two_traces() -> None:
    replies = played(trace(thread(QUESTION, assistant(text("one")))), trace(thread(QUESTION, assistant(text("two")))))
    assert [await said(replies, QUESTION) for _ in range(2)] == [[text("one")], [text("two")]]
    replies.finish()


async def test_a_turn_is_given_once_but_to_the_prompt_that_had_it() -> None:
    replies = played(trace(thread(QUESTION, ANSWER)))
    await said(replies, QUESTION)
    assert await said(replies, QUESTION) == ANSWER["content"]
    with pytest.raises(UnexpectedCall, match=r"call 3 .* t, call 0 of 'clerk' answers it, and was given to another"):
        await said(replies, user(text("Where is order 17?"), text("Hurry.")))


async def test_a_conversation_that_strays_is_told_where() -> None:
    replies = played(trace(thread(QUESTION, LOOKS, FOUND, ANSWER)))
    with pytest.raises(
        UnexpectedCall, match=r"call 1 .*: its messages\[3\], where the assistant says 'Nothing. \[look\]'"
    ):
        await said(replies, QUESTION, LOOKS, FOUND, assistant(text("Nothing."), call(2)), user(result(2, "x")))


async def test_a_conversation_that_goes_on_is_told_that_the_recording_ends() -> None:
    replies = played(trace(thread(QUESTION, LOOKS, FOUND, ANSWER)))
    with pytest.raises(UnexpectedCall, match="it goes on where the recording ends"):
        await said(replies, QUESTION, LOOKS, FOUND, ANSWER, user(text("Thanks.")))


async def test_a_missing_user_text_is_named() -> None:
    replies = played(trace(thread(QUESTION, LOOKS, FOUND, ANSWER)))
    with pytest.raises(UnexpectedCall, match=r"t, call 0 of 'clerk' comes next, but .* 'Where is order 17\?'"):
        await said(replies, user(text("Where is order 18?")))


async def test_a_turn_that_nobody_asked_for_is_an_error() -> None:
    replies = played(trace(thread(QUESTION, LOOKS, FOUND, ANSWER)))
    await said(replies, QUESTION)
    with pytest.raises(UnusedReply, match="1 of 2 recorded turns were never asked for, the first is t, call 1 of"):
        replies.finish()


async def test_without_strictness_turns_may_be_left_and_strangers_hear_an_echo() -> None:
    replies = played(trace(thread(QUESTION, ANSWER)), strict=False)
    assert await said(replies, user(text("Who are you?"))) == "Who are you?"
    assert await said(replies, QUESTION) == ANSWER["content"]
    assert await said(replies, user(text("Where is order 17?"), text("Hurry."))) == ANSWER["content"]
    replies.finish()


async def test_a_thread_may_begin_with_the_messages_of_another() -> None:
    again = thread(user(text("And 18?")), assistant(text("Lost.")), name="b", prefix_of={"thread": "a", "upto": 2})
    rewound = trace(
        again,
        thread(QUESTION, ANSWER, name="a"),
        calls=[{"thread": "a", "agent": "clerk", "in": 1}, {"thread": "b", "agent": "clerk", "in": 3}],
    )
    replies = played(rewound)
    await said(replies, QUESTION)
    assert await said(replies, QUESTION, ANSWER, user(text("And 18?"))) == [text("Lost.")]
    replies.finish()


async def test_a_call_may_have_seen_less_or_more_than_its_thread_kept() -> None:
    both = user(text("The task."), text("The plan."))
    seen = trace(
        thread(both, ANSWER),
        calls=[
            {"thread": "main", "agent": "clerk", "in": 1, "in_blocks": 1, "persisted": False, "response": [text("a")]},
            {"thread": "main", "agent": "clerk", "in": 1, "suffix": [text("In JSON.")], "persisted": False}
            | {"response": [text("b")]},
            {"thread": "main", "agent": "clerk", "in": 1},
        ],
    )
    replies = played(seen)
    assert await said(replies, user(text("The task."))) == [text("a")]
    assert await said(replies, user(text("The task."), text("The plan."), text("In JSON."))) == [text("b")]
    assert await said(replies, both) == ANSWER["content"]
    replies.finish()


async def test_what_the_makers_of_traces_added_is_neither_asked_for_nor_played() -> None:
    opening = user(text("Please continue.", synth=True), text("<system-reminder>a</system-reminder>"), text("Go."))
    replies = played(trace(thread(opening, assistant(text("Going.", **{"from": "clerk"}), text("")))))
    assert await said(replies, user(text("Go."))) == [text("Going.")]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"trace_id": "t"}, r"t is not a sound trace \(KeyError: 'threads'\)"),
        (trace(thread(QUESTION, ANSWER), calls=[{"thread": "main", "agent": "clerk", "in": 9}]), "points behind"),
        (trace(thread(QUESTION, ANSWER, prefix_of={"thread": "main", "upto": 1})), "begins with itself"),
        (trace(thread(QUESTION, ANSWER), calls=[{"thread": "x", "agent": "clerk", "in": 1}]), "KeyError: 'x'"),
        (trace(thread(QUESTION)), "holds no answered call"),
    ],
)
def test_an_unsound_trace_is_refused(broken: Body, message: str) -> None:
    with pytest.raises(EmulatorError, match=message):
        played(broken)


def logged(*messages: Body, answer: str, **fields: object) -> Body:
    response = {"id": "msg_1", "content": [text(answer)], "stop_reason": "end_turn", "usage": {}}
    return {"t": 0.0, "request": {"messages": list(messages), **fields}, "response": response}


async def test_a_request_log_answers_the_same_messages() -> None:
    replies = RecordedReplies.from_log([logged(QUESTION, answer="one"), logged(QUESTION, ANSWER, FOUND, answer="two")])
    marked = user(text("Where is order 17?", cache_control={"type": "ephemeral"}))
    assert await said(replies, marked) == [text("one")]
    assert await said(replies, {"role": "user", "content": "Where is order 17?"}, ANSWER, FOUND) == [text("two")]
    replies.finish()
    with pytest.raises(UnexpectedCall, match="no recorded call has exactly its messages"):
        await said(replies, user(text("Where is order 17? ")))


async def test_a_request_log_says_why_the_model_stopped() -> None:
    cut = logged(QUESTION, answer="cut")
    cut["response"]["stop_reason"] = "max_tokens"
    replies = RecordedReplies.from_log([cut])
    assert (await replies.reply({"messages": [QUESTION]}))["stop_reason"] == "max_tokens"  # type: ignore[call-overload, index]


async def test_agents_that_were_asked_the_same_are_told_apart_in_a_log() -> None:
    clerk, boss = logged(QUESTION, answer="clerk", system="Serve."), logged(QUESTION, answer="boss", system="Decide.")
    replies = RecordedReplies.from_log([clerk, boss])
    assert await said(replies, QUESTION, system=[text("Decide.")]) == [text("boss")]
    assert await said(replies, QUESTION, system="Serve.") == [text("clerk")]


async def test_calls_that_no_model_answered_are_left_out_of_a_log() -> None:
    unanswered: Body = {"t": 0.0, "request": {"messages": [QUESTION]}}
    warming = logged(user(text("warm")), answer="", max_tokens=0)
    replies = RecordedReplies.from_log([unanswered, warming, logged(QUESTION, answer="one")])
    assert await said(replies, QUESTION) == [text("one")]
    replies.finish()


def test_a_line_that_is_no_call_is_refused() -> None:
    with pytest.raises(EmulatorError, match="line 2 is no call of a request log"):
        RecordedReplies.from_log([logged(QUESTION, answer="one"), {"t": 1.0}])


def family(name: str) -> Iterator[Body]:
    with gzip.open(TRACES / "dev" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


@pytest.fixture(scope="module")
def recorded_calls() -> Callable[[Body], Iterator[tuple[Body, Body, list[Body], list[Body]]]]:
    """The collection's own reader: (call, agent, messages, answer) for every call of a trace."""
    reader: Callable[[Body], Iterator[tuple[Body, Body, list[Body], list[Body]]]]
    reader = runpy.run_path(str(TRACES / "read_traces.py"))["requests"]
    return reader


@needs_traces
@pytest.mark.parametrize("name", ["pi_coding", "swe_agent", "tau_airline", "whowhen"])
async def test_real_traces_are_played_to_a_client_of_another_kind(
    name: str, recorded_calls: Callable[[Body], Iterator[tuple[Body, Body, list[Body], list[Body]]]]
) -> None:
    wrong: list[str] = []
    for recording in family(name):
        replies = played(recording)
        for item, agent, messages, answer in recorded_calls(recording):
            heard = await said(replies, *as_another_client(messages), system=agent["system"] or "")
            if heard != [_sent(block) for block in answer if block.get("text") != ""]:
                wrong.append(f"{recording['trace_id']} call {item['i']}")
        replies.finish()
    assert wrong == []


def as_another_client(messages: list[Body]) -> Iterator[Body]:
    """Tell `messages` with other tool call ids, sorted arguments, no thinking, and a reminder in every user turn."""
    ids: dict[str, str] = {}
    for message in messages:
        blocks = [_sent(block) for block in message["content"] if block["type"] != "thinking"]
        for block in blocks:
            if block["type"] == "tool_use":
                ids[block["id"]] = block["id"] = f"call_{len(ids)}"
                block["input"] = dict(sorted(block["input"].items()))
            if block["type"] == "tool_result":
                block["tool_use_id"] = ids[block["tool_use_id"]]
        reminder = [text("<reminder>Be brief.</reminder>")] if message["role"] == "user" else []
        yield {"role": message["role"], "content": blocks + reminder}


def _sent(block: Body) -> Body:
    return {key: value for key, value in block.items() if key not in {"synth", "approx", "from"}}
