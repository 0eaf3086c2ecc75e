"""The events of a stream: their order, their usage, and that they add up to the message."""

from __future__ import annotations

import json
from typing import Any

from agentcache.emulator.stream_events import sse
from tests.emulator.account import Account, request, text, tool, user

THOUGHT = {"type": "thinking", "thinking": "Let me think about that for a while."}
SAID = {"type": "text", "text": "A sentence that is long enough for several deltas."}
CALL = {"type": "tool_use", "id": "toolu_x", "name": "look", "input": {"query": "a query of some length", "n": [1, 2]}}


def events(reply: object, **fields: Any) -> list[dict[str, Any]]:
    body = {**request(user(text(2000, ttl="1h"), text(5, ttl="5m")), tools=[tool("look")]), "stream": True, **fields}
    answer = Account().post(body, reply=reply)
    assert answer.events is not None
    return [*answer.events]


def test_the_sequence_is_that_of_the_api() -> None:
    kinds = [event["type"] for event in events("Hi.")]
    assert kinds == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_the_start_carries_the_whole_usage_and_the_end_the_cumulative_one() -> None:
    stream = events("A rather long answer, for once.")
    start, delta = stream[0]["message"], stream[-2]
    assert start["content"] == []
    assert start["stop_reason"] is None
    assert start["usage"]["cache_creation"] == {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2001}
    assert start["usage"]["output_tokens"] == 1
    assert delta["delta"] == {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
    assert delta["usage"]["output_tokens"] > 1
    assert delta["usage"]["cache_creation_input_tokens"] == 2006
    assert "cache_creation" not in delta["usage"]


def test_each_kind_of_block_comes_in_its_own_deltas() -> None:
    stream = events([THOUGHT, SAID, CALL])
    kinds = {
        index: [
            event["delta"]["type"]
            for event in stream
            if event["type"] == "content_block_delta" and event["index"] == index
        ]
        for index in range(3)
    }
    assert kinds[0] == ["thinking_delta", "thinking_delta", "signature_delta"]
    assert set(kinds[1]) == {"text_delta"}
    assert set(kinds[2]) == {"input_json_delta"}


def test_deltas_add_up_to_the_content() -> None:
    stream = events([THOUGHT, SAID, CALL])
    joined = {"thinking": "", "text": "", "partial_json": ""}
    for event in stream:
        for key in joined:
            joined[key] += event.get("delta", {}).get(key, "")
    assert joined["thinking"] == THOUGHT["thinking"]
    assert joined["text"] == SAID["text"]
    assert json.loads(joined["partial_json"]) == CALL["input"]


def test_blocks_without_deltas_come_whole() -> None:
    opaque = {"type": "redacted_thinking", "data": "abc"}
    stream = events([opaque, SAID])
    assert stream[1] == {"type": "content_block_start", "index": 0, "content_block": opaque}


def test_a_cut_tool_call_streams_the_part_that_was_written() -> None:
    long_call = {**CALL, "input": {"query": "word " * 400}}
    stream = events([long_call], max_tokens=100)
    written = "".join(event["delta"]["partial_json"] for event in stream if event["type"] == "content_block_delta")
    assert 0 < len(written) < len(json.dumps(long_call["input"]))
    assert stream[-2]["delta"]["stop_reason"] == "max_tokens"


def test_an_event_on_the_wire_names_its_type_and_is_one_line_of_json() -> None:
    line = sse({"type": "content_block_stop", "index": 3})
    assert line == b'event: content_block_stop\ndata: {"type":"content_block_stop","index":3}\n\n'
    assert sse({"type": "x", "text": "two\nlines \u2028 é"}).count(b"\n") == 3
