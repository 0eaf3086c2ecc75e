"""How the events of a stream become a message: pure, so told event by event."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.errors import ReplyMalformed
from agentcache.prompt.canonical import JsonObject, JsonValue, json_text
from agentcache.runtime.replies import ReplyBuilder, Shown, reply_of
from tests.runtime.loopback import end, start, text


def built(*events: JsonObject) -> ReplyBuilder:
    builder = ReplyBuilder()
    for event in events:
        builder.add(event)
    return builder


def content_of(*events: JsonObject, reason: str = "end_turn") -> JsonValue:
    return built(start(), *events, *end(reason)).message()["content"]


def opening(block: JsonObject, index: int = 0) -> JsonObject:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int = 0, **fields: JsonValue) -> JsonObject:
    return {"type": "content_block_delta", "index": index, "delta": {**fields}}


def arguments(*pieces: str, reason: str = "tool_use", start_input: JsonValue = None) -> JsonValue:
    block: JsonObject = {"type": "tool_use", "id": "toolu_1", "name": "find_order", "input": start_input or {}}
    content = content_of(
        opening(block), *[delta(type="input_json_delta", partial_json=piece) for piece in pieces], reason=reason
    )
    assert isinstance(content, list)
    [called] = content
    assert isinstance(called, dict)
    return called["input"]


def shown(*events: JsonObject) -> list[Shown | None]:
    builder = built(start())
    return [builder.add(event) for event in events]


def test_pieces_of_text_are_joined_to_what_the_block_began_with() -> None:
    events = [
        opening({"type": "text", "text": "Order "}),
        delta(type="text_delta", text="17"),
        delta(type="text_delta", text="."),
    ]
    assert content_of(*events) == [{"type": "text", "text": "Order 17."}]


def test_fields_that_nobody_knows_stay_where_the_wire_had_them() -> None:
    block: JsonObject = {"zeta": 1, "type": "text", "text": "", "alpha": {"b": None, "a": [1.5]}}
    content = content_of(opening(block), delta(type="text_delta", text="hi"))
    assert json_text(content) == '[{"zeta":1,"type":"text","text":"hi","alpha":{"b":null,"a":[1.5]}}]'


def test_thinking_keeps_its_signature() -> None:
    block: JsonObject = {"type": "thinking", "thinking": "", "signature": ""}
    events = [
        opening(block),
        delta(type="thinking_delta", thinking="So "),
        delta(type="thinking_delta", thinking="17."),
        delta(type="signature_delta", signature="EqQB"),
    ]
    assert content_of(*events) == [{"type": "thinking", "thinking": "So 17.", "signature": "EqQB"}]


def test_a_block_without_deltas_is_kept_as_it_is() -> None:
    block: JsonObject = {"type": "redacted_thinking", "data": "EvAB"}
    assert content_of(opening(block)) == [block]


@pytest.mark.parametrize("start_of_list", [{}, {"citations": None}, {"citations": []}])
def test_citations_are_collected_in_order(start_of_list: JsonObject) -> None:
    events = [
        opening({"type": "text", "text": "", **start_of_list}),
        delta(type="citations_delta", citation={"cited_text": "a"}),
        delta(type="text_delta", text="x"),
        delta(type="citations_delta", citation={"cited_text": "b"}),
    ]
    assert content_of(*events) == [
        {"type": "text", "text": "x", "citations": [{"cited_text": "a"}, {"cited_text": "b"}]}
    ]


def test_a_compaction_arrives_in_one_delta() -> None:
    events = [
        opening({"type": "compaction", "content": None}),
        delta(type="compaction_delta", content="The story so far.", encrypted_content="Eq"),
    ]
    assert content_of(*events) == [{"type": "compaction", "content": "The story so far.", "encrypted_content": "Eq"}]


def test_arguments_keep_the_order_of_their_keys() -> None:
    assert json_text(arguments('{"z": 1,', ' "a": {"y": 2,', ' "b": 3}}')) == '{"z":1,"a":{"y":2,"b":3}}'


@pytest.mark.parametrize("pieces", [[], [""], ["", ""]])
def test_without_argument_text_the_block_keeps_its_own_input(pieces: list[str]) -> None:
    assert arguments(*pieces, start_input={"given": True}) == {"given": True}


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
def test_a_stop_may_cut_arguments_in_two(reason: str) -> None:
    assert arguments('{"order_id": "1', reason=reason) == {}


@pytest.mark.parametrize("damaged", ['{"order_id": "1', '{"order_id": NaN}', "{} {}"])
def test_arguments_that_are_no_json_are_refused_when_nothing_cut_them(damaged: str) -> None:
    with pytest.raises(ReplyMalformed, match="'find_order' are no JSON"):
        arguments(damaged)


@given(st.text(), st.lists(st.integers(0, 40), max_size=6))
def test_where_a_text_is_split_does_not_matter(whole: str, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[low:high] for low, high in itertools.pairwise(bounds)]
    assert content_of(*text(*pieces)) == [{"type": "text", "text": whole}]


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain_values, max_size=4), st.integers(1, 9))
def test_where_arguments_are_split_does_not_matter(whole: JsonObject, size: int) -> None:
    spelled = json.dumps(whole)
    pieces = [spelled[at : at + size] for at in range(0, len(spelled), size)]
    assert json_text(arguments(*pieces)) == json_text(whole)


def test_text_and_thinking_are_shown_as_they_come_and_arguments_are_not() -> None:
    assert shown(
        opening({"type": "thinking", "thinking": "", "signature": ""}, 0),
        delta(0, type="thinking_delta", thinking="Hm"),
        opening({"type": "text", "text": ""}, 1),
        delta(1, type="text_delta", text="Hi"),
        opening({"type": "tool_use", "name": "t", "input": {}}, 2),
        delta(2, type="input_json_delta", partial_json="{}"),
    ) == [None, ("thinking", "Hm"), None, ("text", "Hi"), None, None]


def test_the_last_event_replaces_counts_and_never_adds() -> None:
    events = [
        start(input_tokens=10, cache_read_input_tokens=900, output_tokens=1),
        *end(input_tokens=12, output_tokens=80),
    ]
    assert built(*events).message()["usage"] == {
        "input_tokens": 12,
        "output_tokens": 80,
        "cache_read_input_tokens": 900,
    }


def test_null_at_the_end_leaves_what_the_start_said() -> None:
    ending: JsonObject = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_details": None},
        "usage": {"output_tokens": 5, "cache_read_input_tokens": None},
        "input_transformations": None,
    }
    begun = start(cache_read_input_tokens=900)
    message = begun["message"]
    assert isinstance(message, dict)
    message["input_transformations"] = []
    ended = built(begun, ending, {"type": "message_stop"}).message()
    assert ended["input_transformations"] == []
    assert ended["usage"] == {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 900}


def test_what_the_end_tells_beside_the_usage_belongs_to_the_message() -> None:
    ending: JsonObject = {
        "type": "message_delta",
        "delta": {"stop_reason": "refusal", "stop_details": {"category": "cyber"}, "container": {"id": "c"}},
        "usage": {"output_tokens": 5},
        "context_management": {"applied_edits": []},
    }
    ended = built(start(), ending).message()
    assert (ended["stop_details"], ended["container"]) == ({"category": "cyber"}, {"id": "c"})
    assert ended["context_management"] == {"applied_edits": []}
    assert (ended["type"], ended["id"]) == ("message", "msg_1")


def test_a_fallback_names_the_model_that_answered() -> None:
    block: JsonObject = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "claude-opus-5-5"}}
    assert built(start(), opening(block), *end()).message()["model"] == "claude-opus-5-5"


@pytest.mark.parametrize(
    "event", [{"type": "ping"}, {"type": "weather", "index": 9}, {"no": "type"}, {"type": ["list"]}]
)
def test_events_that_nobody_knows_change_nothing(event: JsonObject) -> None:
    plain = [start(), *text("hi"), *end()]
    with_it = [event, *[item for known in plain for item in (known, event)]]
    assert built(*with_it).message() == built(*plain).message()


def test_a_delta_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(ReplyMalformed, match=r"'audio_delta'.*upgrade agentcache"):
        content_of(opening({"type": "text", "text": ""}), delta(type="audio_delta", audio="UklG"))


TEXT_BLOCK: JsonObject = {"type": "text", "text": ""}


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*text("hi")], id="no message_start"),
        pytest.param([start(), start()], id="two message_starts"),
        pytest.param([{"type": "message_start", "message": {"model": "m", "usage": {}}}], id="no id"),
        pytest.param([{"type": "message_start", "message": {"id": "i", "usage": {}}}], id="no model"),
        pytest.param([{"type": "message_start", "message": {"id": "i", "model": "m"}}], id="no usage"),
        pytest.param([{"type": "message_start"}], id="no message"),
        pytest.param([start(), opening(TEXT_BLOCK, 1)], id="a block left out"),
        pytest.param([start(), opening(TEXT_BLOCK, 0), opening(TEXT_BLOCK, 0)], id="a block twice"),
        pytest.param([start(), delta(0, type="text_delta", text="x")], id="a delta before its block"),
        pytest.param([start(), opening(TEXT_BLOCK), delta(-1, type="text_delta", text="x")], id="a negative index"),
        pytest.param([start(), opening(TEXT_BLOCK), delta(type="text_delta", text=7)], id="text that is a number"),
        pytest.param(
            [start(), opening(TEXT_BLOCK), delta(type="input_json_delta", partial_json="{}")], id="wrong block"
        ),
        pytest.param(
            [start(), opening({"type": "text", "text": None}), delta(type="text_delta", text="x")], id="null text"
        ),
        pytest.param([start(), {"type": "content_block_start", "index": 0}], id="no block"),
        pytest.param([start(), {"type": "message_delta", "usage": {}}], id="no delta"),
    ],
)
def test_events_that_contradict_each_other_are_refused(events: list[JsonObject]) -> None:
    with pytest.raises(ReplyMalformed):
        built(*events)


def test_a_message_without_a_stop_reason_is_not_whole() -> None:
    with pytest.raises(ReplyMalformed, match="stop_reason"):
        built(start(), *text("hi"), {"type": "message_stop"}).message()


def test_what_came_before_a_break_is_known() -> None:
    tool: JsonObject = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
    broken = built(
        start(), *text("Half a sen"), opening(tool, 1), delta(1, type="input_json_delta", partial_json='{"a')
    )
    partial = broken.partial()
    assert partial["content"] == [{"type": "text", "text": "Half a sen"}, tool]
    assert partial["usage"] == {"input_tokens": 10, "output_tokens": 1}
    assert (broken.started, broken.stopped) == (True, False)


def test_looking_at_a_partial_message_does_not_change_it() -> None:
    builder = built(start(), *text("a")[:-1])
    before = builder.partial()
    builder.add(delta(type="text_delta", text="b"))
    assert before["content"] == [{"type": "text", "text": "a"}]
    assert builder.partial()["content"] == [{"type": "text", "text": "ab"}]


def test_the_events_themselves_are_left_as_they_came() -> None:
    block: JsonObject = {"type": "text", "text": "", "citations": []}
    events = [start(), opening(block), delta(type="citations_delta", citation={"cited_text": "a"}), *end()]
    before = json_text(events)
    built(*events).message()
    assert json_text(events) == before


@pytest.mark.parametrize(
    "broken",
    [{"content": None}, {"content": ["text"]}, {"id": 7}, {"model": None}, {"usage": None}],
    ids=lambda fields: next(iter(fields)),
)
def test_an_answer_that_is_no_message_is_no_reply(broken: JsonObject) -> None:
    message = {**built(start(), *text("hi"), *end()).message(), **broken}
    with pytest.raises(ReplyMalformed):
        reply_of(message, request_id=None, attempts=1, sent_at=0.0, first_token_at=None, ended_at=1.0)
