"""Reading a request log to explain it: whatever a line holds, it is a call or an error that names the line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.usage import Usage
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.simulate.explained_logs import MOST_LEVELS, logged_calls

CALL: JsonObject = {
    "t": 1,
    "request": {"model": "claude-opus-5", "messages": [{"role": "user", "content": "Good morning."}]},
}


def log(folder: Path, *lines: bytes) -> Path:
    path = folder / "requests.jsonl"
    path.write_bytes(b"\n".join((json.dumps(CALL).encode(), *lines)))
    return path


def asked(content: JsonValue, **more: JsonValue) -> bytes:
    return json.dumps(CALL | {"request": {"messages": [{"role": "user", "content": content}], **more}}).encode()


def billed(**usage: JsonValue) -> bytes:
    return json.dumps(CALL | {"response": {"usage": usage}}).encode()


def nested(levels: int) -> JsonValue:
    value: JsonValue = "core"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[1, 2]", "one JSON object a line"),
        (b'{"t": NaN, "request": {"messages": []}}', "not JSON"),
        (b'{"t": 1e999, "request": {"messages": []}}', "not JSON"),
        (b'{"t": true, "request": {"messages": []}}', "`t` is missing or no number"),
        (b'{"t": 1}', "`request` is missing"),
        (b'{"t": 1, "request": {"messages": {}}}', "no `messages`"),
        (b"\x00\x01\x02", "not JSON"),
        (b"\xff\xfe\x80", "not UTF-8 text"),
        ('{"t": 1, "note": "caf\u00e9"}'.encode("latin-1"), "not UTF-8 text"),
        (b'{"t": 1, "request": {"messages": [], "max_tokens": ' + b"9" * 5_000 + b"}}", "not JSON"),
        (b'{"t": 1, "request": {"messages": [], "max_tokens": 1e999}}', "not JSON"),
        (asked("half \ud800 of a character"), "no JSON that could be sent"),
        (asked(nested(MOST_LEVELS)), "levels deep"),
        (billed(cache_read_input_tokens=-5), "usage.cache_read_input_tokens is -5"),
        (billed(input_tokens="many"), "usage.input_tokens is 'many'"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value[:40]),
)
def test_a_line_that_is_no_call_is_an_error_that_names_it(tmp_path: Path, line: bytes, reason: str) -> None:
    path = log(tmp_path, line)
    with pytest.raises(TargetError, match=r"requests\.jsonl, line 2: ") as raised:
        logged_calls(path)
    assert reason in str(raised.value)


def test_what_it_need_not_know_is_left_alone(tmp_path: Path) -> None:
    odd = CALL | {"response": [], "headers": {"A": None, "b": [1]}, "agent": 7, "first_token_s": "soon"}
    calls = logged_calls(log(tmp_path, json.dumps(odd).encode(), asked([5, None, {"type": 5}], tools=[5, {}])))
    assert [(call.index, call.bill) for call in calls] == [(0, None), (1, None), (2, None)]


def test_a_line_of_megabytes_is_a_call_like_any_other(tmp_path: Path) -> None:
    assert len(logged_calls(log(tmp_path, asked("a long report " * 500_000)))) == 2


def test_a_cut_off_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(CALL).encode() * 50)[:-20])
    with pytest.raises(TargetError, match="cannot read"):
        logged_calls(path)


def test_calls_come_in_the_order_of_time_and_keep_the_place_in_the_file(tmp_path: Path) -> None:
    late, early = (json.dumps(CALL | {"t": t}).encode() for t in (30, 0.5))
    assert [call.index for call in logged_calls(log(tmp_path, late, early))] == [2, 0, 1]


def test_writes_that_the_reply_does_not_split_have_the_lifetime_that_was_asked_for(tmp_path: Path) -> None:
    hour: JsonValue = {"type": "ephemeral", "ttl": "1h"}
    request = {"model": "claude-opus-5", "cache_control": hour, "messages": [{"role": "user", "content": "Hello."}]}
    line = {"t": 2, "request": request, "response": {"usage": {"cache_creation_input_tokens": 900}}}
    bill = logged_calls(log(tmp_path, json.dumps(line).encode()))[1].bill
    assert bill is not None
    assert bill.usage == Usage(cache_write_1h_tokens=900)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
NAMES = ("t", "request", "response", "headers", "agent", "conversation", "first_token_s", "end_s")


@settings(max_examples=3 * settings().max_examples)
@given(
    st.binary(max_size=60)
    | st.dictionaries(st.sampled_from(NAMES), values, max_size=8).map(lambda line: json.dumps(line).encode())
    | values.map(lambda value: json.dumps(CALL | {"request": {"messages": [value]}}).encode())
    | values.map(lambda value: json.dumps(CALL | {"response": {"usage": {"cache_creation": value}}}).encode())
)
def test_any_line_is_explained_or_an_error_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, line: bytes
) -> None:
    path = log(tmp_path_factory.mktemp("log"), line)
    told = ""
    try:
        told = str(len(explain_calls(logged_calls(path))))
    except TargetError as error:
        told = str(error)
    assert told in {"0", "1", "2"} or "requests.jsonl, line " in told
