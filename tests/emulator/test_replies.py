"""Who answers and how an answer ends: scripts, lists, the echo, `max_tokens`, stop sequences."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentcache.emulator.replies import EchoReplies, ListedReplies, Replies, ScriptReplies, replies_from
from agentcache.errors import EmulatorError, UnexpectedCall, UnusedReply
from tests.emulator.account import Account, assistant, call_tool, request, result, text, tool, user

HELLO = request(user(text(1, "hello")))


def message(reply: object, **fields: Any) -> dict[str, Any]:
    """Return the message that `reply` becomes."""
    answer = Account().post({**HELLO, **fields}, reply=reply)
    assert answer.body is not None
    return answer.body


def test_a_call_that_the_limit_cuts_off_has_no_input_and_what_fits_before_it_is_whole() -> None:
    long = {"type": "tool_use", "name": "look", "input": {"words": "word " * 200}}
    answered = message([{"type": "text", "text": "Look:"}, long], tools=[tool("look")], max_tokens=40)
    assert answered["stop_reason"] == "max_tokens"
    assert [block["type"] for block in answered["content"]] == ["text", "tool_use"]
    assert (answered["content"][1]["input"], answered["usage"]["output_tokens"]) == ({}, 40)


def test_a_text_that_the_limit_leaves_nothing_of_is_left_out() -> None:
    first = {"type": "text", "text": "Look"}
    length = message([first])["usage"]["output_tokens"]
    answered = message([first, {"type": "text", "text": "word " * 200}], max_tokens=length)
    assert [block["text"] for block in answered["content"]] == ["Look"]


def test_thinking_that_the_limit_cuts_off_is_counted_as_far_as_it_came() -> None:
    answered = message([{"type": "thinking", "thinking": "hm " * 200}], max_tokens=20)
    assert answered["usage"]["output_tokens_details"]["thinking_tokens"] == 20


def test_a_text_is_one_block_that_ends_the_turn() -> None:
    answered = message("Hi.")
    assert answered["content"] == [{"type": "text", "text": "Hi.", "citations": None}]
    assert answered["stop_reason"] == "end_turn"
    assert answered["role"] == "assistant"


def test_blocks_get_their_ids_and_a_call_stops_for_tool_use() -> None:
    calls = [{"type": "text", "text": "Look:"}, {"type": "tool_use", "name": "look", "input": {"n": 1}}]
    answered = message(calls, tools=[tool("look")])
    assert answered["stop_reason"] == "tool_use"
    assert answered["content"][1]["id"].startswith("toolu_01")
    assert answered["content"][1]["input"] == {"n": 1}


def test_an_object_says_its_own_stop_reason() -> None:
    answered = message({"content": [{"type": "text", "text": "No."}], "stop_reason": "refusal"})
    assert answered["stop_reason"] == "refusal"


def test_thinking_is_signed_and_counted_apart() -> None:
    answered = message([{"type": "thinking", "thinking": "hm hm hm"}, {"type": "text", "text": "yes"}])
    assert answered["content"][0]["signature"]
    thinking_tokens = answered["usage"]["output_tokens_details"]["thinking_tokens"]
    assert 0 < thinking_tokens < answered["usage"]["output_tokens"]


def test_what_the_model_said_can_be_sent_back() -> None:
    spoken = message([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}, call_tool(0)])
    history = [user(text(1)), {"role": "assistant", "content": spoken["content"]}, user(result(0))]
    assert Account().post(request(*history, tools=[tool("look")])).status == 200


@pytest.mark.parametrize("reply", [7, None, [{"text": "no type"}], ["text"], {"stop_reason": "end_turn"}])
def test_a_reply_of_no_known_shape_is_the_script_s_mistake(reply: object) -> None:
    with pytest.raises(EmulatorError, match="a reply must be"):
        message(reply)


def test_a_stop_reason_that_the_api_does_not_have_is_the_script_s_mistake() -> None:
    with pytest.raises(EmulatorError, match="'finished'"):
        message({"content": "x", "stop_reason": "finished"})


def test_max_tokens_cuts_the_text_and_says_so() -> None:
    answered = message("word " * 500, max_tokens=20)
    assert answered["stop_reason"] == "max_tokens"
    assert answered["usage"]["output_tokens"] == 20
    assert 0 < len(answered["content"][0]["text"]) < 200


def test_max_tokens_cuts_a_tool_call_to_an_empty_input() -> None:
    answered = message([{"type": "tool_use", "name": "look", "input": {"query": "word " * 500}}], max_tokens=20)
    assert answered["stop_reason"] == "max_tokens"
    assert answered["content"][0]["input"] == {}


def test_blocks_behind_the_cut_are_gone() -> None:
    answered = message([{"type": "text", "text": "word " * 500}, call_tool(0)], max_tokens=20, tools=[tool("look")])
    assert [block["type"] for block in answered["content"]] == ["text"]


def test_the_first_stop_sequence_in_the_text_ends_it() -> None:
    answered = message("one END two STOP three", stop_sequences=["STOP", "END"])
    assert answered["content"][0]["text"] == "one "
    assert (answered["stop_reason"], answered["stop_sequence"]) == ("stop_sequence", "END")


def test_an_empty_answer_still_costs_a_token() -> None:
    answered = message("")
    assert answered["content"] == []
    assert answered["usage"]["output_tokens"] == 1


async def test_a_list_gives_its_replies_in_order_and_insists_on_all_of_them() -> None:
    replies = ListedReplies(["one", lambda asked: f"two of {asked['model']}"])
    assert await replies.reply(HELLO) == "one"  # type: ignore[arg-type]
    with pytest.raises(UnusedReply, match="1 of 2 scripted replies"):
        replies.finish()
    assert await replies.reply(HELLO) == "two of claude-sonnet-4-6"  # type: ignore[arg-type]
    replies.finish()
    with pytest.raises(UnexpectedCall, match=r"call 3 has no reply: the script has 2\. It asked 'hello'"):
        await replies.reply(HELLO)  # type: ignore[arg-type]


async def test_a_script_may_be_async() -> None:
    async def script(asked: dict[str, Any]) -> str:
        return f"max {asked['max_tokens']}"

    assert await ScriptReplies(script).reply(HELLO) == "max 1000"  # type: ignore[arg-type]


async def test_the_echo_repeats_the_last_words() -> None:
    echo = EchoReplies()
    assert await echo.reply(HELLO) == "hello"  # type: ignore[arg-type]
    turns = request(user(text(1)), assistant(call_tool(0)), user(result(0, "17 birds")))
    assert await echo.reply(turns) == "17 birds"  # type: ignore[arg-type]


async def test_the_echo_fits_the_schema_that_is_asked_for() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "size": {"type": "integer", "minimum": 3},
            "kind": {"enum": ["bird", "fish"]},
            "seen": {"$ref": "#/$defs/when"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "wild": {"type": "boolean"},
        },
        "required": ["name", "size", "kind", "seen", "tags", "note", "wild"],
        "$defs": {"when": {"type": "string", "format": "date"}},
    }
    asked = {**HELLO, "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    answer = await EchoReplies().reply(asked)  # type: ignore[arg-type]
    assert json.loads(str(answer)) == {
        "name": "xx",
        "size": 3,
        "kind": "bird",
        "seen": "2026-01-01",
        "tags": [""],
        "note": "",
        "wild": False,
    }


def test_a_schema_that_refers_to_itself_ends() -> None:
    from agentcache.emulator.schema_example import example_of

    node: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert isinstance(example_of(node), dict)


@pytest.mark.parametrize(
    ("source", "kind"), [(None, EchoReplies), (lambda _: "x", ScriptReplies), (["x"], ListedReplies)]
)
def test_what_may_answer(source: Any, kind: type[Replies]) -> None:
    assert isinstance(replies_from(source), kind)
    assert replies_from(replies_from(source)) is not None
