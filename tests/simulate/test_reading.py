"""Files become calls in the order of time, or one sentence that says what is wrong with them."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from agentcache.errors import TargetError
from agentcache.simulate.cases import CaseReader
from agentcache.simulate.reading import read_prefix, read_traffic
from agentcache.simulate.traces import TraceOptions
from agentcache.simulate.traffic import TrafficCall
from tests.simulate.recordings import Body, assistant, line, mark, request, text, trace, user, write_lines


def read(*paths: Path, **options: object) -> list[TrafficCall]:
    return read_traffic(paths, TraceOptions(**options))  # type: ignore[arg-type]


def test_a_line_needs_no_more_than_its_time_and_its_request(tmp_path: Path) -> None:
    (call,) = read(write_lines(tmp_path / "log.jsonl", [line(7, request(user("hi")))]))
    assert (call.at_s, call.first_token_at_s, call.end_at_s) == (7, 8, 10)
    assert (call.agent, call.run, call.conversation, call.response_usage) == (None, None, None, None)


def test_recorded_moments_are_seconds_after_the_start(tmp_path: Path) -> None:
    (call,) = read(write_lines(tmp_path / "log.jsonl", [line(7, request(), first_token_s=0.25, end_s=9.5)]))
    assert (call.first_token_at_s, call.end_at_s) == (7.25, 16.5)


def test_a_call_does_not_end_before_its_first_token(tmp_path: Path) -> None:
    (call,) = read(write_lines(tmp_path / "log.jsonl", [line(0, request(), first_token_s=6, end_s=None)]))
    assert call.end_at_s == 6


def test_calls_of_all_files_are_sorted_and_those_that_start_together_keep_their_order(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a.jsonl", [line(5, request(), agent="a5"), line(1, request(), agent="a1")])
    second = write_lines(tmp_path / "b.jsonl", [line(5, request(), agent="b5"), line(0, request(), agent="b0")])
    assert [call.agent for call in read(first, second)] == ["b0", "a1", "a5", "b5"]


def test_logs_and_traces_may_be_mixed_and_compressed(tmp_path: Path) -> None:
    told = trace([user("hi"), assistant("hello")], [{"in": 1}])
    with gzip.open(tmp_path / "log.jsonl.gz", "wt") as file:
        file.write(json.dumps(line(3, request())) + "\n\n" + json.dumps(told) + "\n")
    with lzma.open(tmp_path / "trace.jsonl.xz", "wt") as file:
        file.write(json.dumps(told) + "\n")

    calls = read(tmp_path / "log.jsonl.gz", tmp_path / "trace.jsonl.xz")

    # The second trace of the traffic begins 45 s after the first one.
    assert [(call.at_s, call.agent) for call in calls] == [(0, "helper"), (3, None), (45, "helper")]


def test_equal_messages_of_a_log_are_one_object(tmp_path: Path) -> None:
    first = request(user("hi"), system=[text("be kind")])
    second = request(user("hi"), assistant("hello"), user("bye"), system=[text("be kind")])
    one, other = read(write_lines(tmp_path / "log.jsonl", [line(0, first), line(1, second)]))
    assert one.request["messages"][0] is other.request["messages"][0]  # type: ignore[index]
    assert one.request["system"][0] is other.request["system"][0]  # type: ignore[index]


def test_a_prompts_recorded_length_is_the_sum_of_what_is_told(tmp_path: Path) -> None:
    told: list[Body | None] = [
        {"input_tokens": 3, "cache_creation_input_tokens": 40, "cache_read_input_tokens": 500, "output_tokens": 9},
        {"input_tokens": 3, "cache_creation_input_tokens": None, "output_tokens": 9},
        {"input_tokens": None, "cache_read_input_tokens": None},
        {"input_tokens": 30, "iterations": [{"type": "message", "input_tokens": 10}, {"input_tokens": 20}]},
        None,
    ]
    lines = [line(at_s, request(), response={"usage": usage}) for at_s, usage in enumerate(told)]
    calls = read(write_lines(tmp_path / "log.jsonl", lines))
    assert [call.recorded_prompt_tokens for call in calls] == [543, 3, None, 10, None]


UNREADABLE = {
    "no such file": (None, "No such file"),
    "not JSON": (b"{", "line 1: not JSON"),
    "not an object": (b"[]", "line 1: a log has one JSON object a line, and this is a list"),
    "no time": (b'{"request": {"messages": []}}', "line 1: `t` is missing"),
    "a time beyond numbers": (b'{"t": 1e999, "request": {"messages": []}}', "line 1: not JSON"),
    "a time of no number": (b'{"t": NaN, "request": {"messages": []}}', "line 1: not JSON"),
    "no request": (b'{"t": 0}', "line 1: `request` is missing"),
    "no messages": (b'{"t": 0, "request": {"model": "claude-opus-5"}}', "line 1: `request` is missing"),
    "nested too deeply": (b'{"t": 0, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "line 1: not JSON"),
    "not UTF-8": (b'{"t": "\xe9"}', "line 1: not UTF-8 text"),
    "nothing": (b"\n\n", "there is no call"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "log.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TargetError, match=message):
        read(path)


def test_blank_lines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("\n\n{}\n")
    with pytest.raises(TargetError, match="line 3: `t` is missing"):
        read(tmp_path / "log.jsonl")


@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl.xz"])
@pytest.mark.parametrize("damage", ["cut", "not compressed", "flipped"])
def test_damaged_files_are_said_to_be(tmp_path: Path, name: str, damage: str) -> None:
    whole = json.dumps(line(0, request(user("x" * 5000)))).encode()
    packed = bytearray(gzip.compress(whole) if name.endswith("gz") else lzma.compress(whole))
    if damage == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    content = {"cut": bytes(packed[:-20]), "not compressed": whole, "flipped": bytes(packed)}[damage]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TargetError, match=f"cannot read .*{name}"):
        read(tmp_path / name)


REFUSED = {
    "no model": ({"messages": []}, "names no `model`"),
    "a message that is none": (request("hi"), "`messages` is no list of objects"),
    "a content that is none": (request({"role": "user", "content": None}), "`content` is no list"),
    "a role that is none": (request({"content": "hi"}), "it needs a role"),
    "half a character": (request(user("\ud800")), "half a character"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_body_that_is_no_request_is_named_by_its_line(tmp_path: Path, body: Body, message: str) -> None:
    path = write_lines(tmp_path / "log.jsonl", [line(0, request()), line(1, body)])
    with pytest.raises(TargetError, match=rf"log.jsonl, line 2: .*{message}"):
        list(CaseReader().cases(read(path)))


def test_a_prefix_gives_system_and_tools(tmp_path: Path) -> None:
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    path = tmp_path / "prefix.json"
    for system in ("be kind", ["be kind"], [text("be kind")]):
        path.write_text(json.dumps({"system": system, "tools": tools}))
        assert read_prefix(path) == ([text("be kind")], tools)
    path.write_text(json.dumps({"system_blocks": ["be kind"], "note": "of a recording"}))
    assert read_prefix(path) == ([text("be kind")], [])


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"system": 3}', '{"tools": ["look"]}', '{"system": ""}'])
def test_a_prefix_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "prefix.json").write_text(content)
    with pytest.raises(TargetError, match="prefix"):
        read_prefix(tmp_path / "prefix.json")


def test_a_prefixs_own_markers_are_the_records(tmp_path: Path) -> None:
    (tmp_path / "prefix.json").write_text(json.dumps({"system": [text("be kind", "1h")]}))
    system, _ = read_prefix(tmp_path / "prefix.json")
    assert system[0]["cache_control"] == mark("1h")
