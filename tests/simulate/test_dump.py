"""A dump is a request log of what a policy sends: billed again as recorded, it costs the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonValue
from agentcache.simulate.arrivals import Arrivals
from agentcache.simulate.cases import CaseReader
from agentcache.simulate.dump import RequestDump, open_dump
from agentcache.simulate.outcome import PolicyOutcome, Simulation
from agentcache.simulate.policies import policy_names
from agentcache.simulate.reading import read_traffic
from agentcache.simulate.replay import Replay
from agentcache.simulate.traces import TraceOptions
from tests.simulate.recordings import (
    LONG,
    SHORT,
    TRACES,
    Body,
    assistant,
    line,
    mark,
    needs_traces,
    request,
    text,
    user,
    write_lines,
)


def dumped(source: Path, policy: str, target: Path, *, most: int | None = None, **options: object) -> PolicyOutcome:
    """Bill traffic under a policy, write what it sends to `target`, and return what it was billed."""
    calls = read_traffic([source], TraceOptions(**options))[:most]  # type: ignore[arg-type]
    simulation = Simulation(replays=[Replay.of(policy)])
    with open_dump(target) as dump:
        assert isinstance(dump, RequestDump)
        for bills in simulation.run(CaseReader().cases(calls)):
            dump.write(bills[0])
    return simulation.outcome().policies[0]


LOOK: Body = {"name": "look", "input_schema": {"type": "object"}, "description": LONG}
SEARCH: Body = {"type": "web_search_20250305", "name": "web_search"}
LATER: Body = {**LOOK, "name": "later", "defer_loading": True}
IMAGE: Body = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
CALLED: Body = {"type": "tool_use", "id": "t1", "name": "look", "input": {"b": 1, "a": 2}}
FOUND: Body = {"type": "tool_result", "tool_use_id": "t1", "content": [text("found"), IMAGE]}
THOUGHT: Body = {"type": "thinking", "thinking": "hm", "signature": "s"}
NOTE: Body = {"role": "system", "content": "keep it short"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Calls of every shape: texts as strings, server and deferred tools, images, thoughts, notes, markers."""
    talk: list[JsonValue] = [
        {"role": "user", "content": LONG},
        assistant(THOUGHT, CALLED),
        user(FOUND, "and?"),
        {**NOTE, "clear_at": "next_user_message"},
    ]
    told: Body = {"usage": {"input_tokens": 10, "output_tokens": 77}, "id": "msg_1"}
    model = {"model": "claude-opus-5"}
    return write_lines(
        tmp_path / "log.jsonl",
        [
            line(0, request({"role": "user", "content": LONG}, system=SHORT), agent="a", run="r", response=told),
            line(9.5, request(*talk[:3], tools=[LOOK, SEARCH, LATER], system=[text(LONG, "1h")], **model)),
            line(12, request(*talk, tools=[LOOK, SEARCH, LATER], system=[text(LONG, "1h")], **model)),
            line(14, request(*talk[:3], NOTE, assistant("so"), user("on"), cache_control=mark(), **model)),
            line(20, request(user(text(SHORT, "1h"), text(LONG)), tool_choice={"type": "none"}), headers={"X-A": "b"}),
            line(25, request(user(SHORT)), conversation="c-1", first_token_s=0.125, end_s=3.5),
            line(30, request()),
        ],
    )


@pytest.mark.parametrize("policy", policy_names())
def test_a_dump_billed_as_recorded_gives_the_same_buckets(tmp_path: Path, log: Path, policy: str) -> None:
    first = dumped(log, policy, tmp_path / "dump.jsonl")
    again = dumped(tmp_path / "dump.jsonl", "recorded", tmp_path / "again.jsonl")
    assert first.refused == again.refused == 0
    assert again.usage == first.usage
    assert again.cost_usd == first.cost_usd
    assert first.usage.output_tokens == 77
    assert (tmp_path / "again.jsonl").read_text() == (tmp_path / "dump.jsonl").read_text()


def without_markers(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_markers(item) for key, item in value.items() if key != "cache_control"}
    return [without_markers(item) for item in value] if isinstance(value, list) else value


def with_blocks(body: dict[str, object]) -> object:
    """Return a body with its texts as blocks: a string takes no marker."""

    def blocks(content: object) -> object:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    messages = body["messages"]
    assert isinstance(messages, list)
    shaped = {**body, "messages": [{**message, "content": blocks(message["content"])} for message in messages]}
    return without_markers({**shaped, **({"system": blocks(body["system"])} if "system" in body else {})})


@pytest.mark.parametrize("policy", policy_names())
def test_a_policy_changes_markers_and_nothing_else(tmp_path: Path, log: Path, policy: str) -> None:
    dumped(log, policy, tmp_path / "dump.jsonl")
    before = [json.loads(each) for each in log.read_text().splitlines()]
    after = [json.loads(each) for each in (tmp_path / "dump.jsonl").read_text().splitlines()]
    assert [with_blocks(each["request"]) for each in after] == [with_blocks(each["request"]) for each in before]
    for old, new in zip(before, after, strict=True):
        for key in ("t", "agent", "run", "conversation"):
            assert new[key] == old.get(key)
        assert new["first_token_s"] == old.get("first_token_s", 1.0)
        assert new["end_s"] == old.get("end_s", 3.0)
        assert new.get("headers", {}) == {name.lower(): value for name, value in old.get("headers", {}).items()}


def test_the_records_own_request_is_dumped_as_it_stands(tmp_path: Path, log: Path) -> None:
    dumped(log, "recorded", tmp_path / "dump.jsonl")
    before = [json.loads(each)["request"] for each in log.read_text().splitlines()]
    assert [json.loads(each)["request"] for each in (tmp_path / "dump.jsonl").read_text().splitlines()] == before


def test_a_dump_tells_what_each_call_would_be_billed(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [line(0, request(user(LONG), system=LONG))])
    usage = dumped(log, "fixed-1h-prefix", tmp_path / "dump.jsonl").usage
    (told,) = [json.loads(each)["response"] for each in (tmp_path / "dump.jsonl").read_text().splitlines()]
    assert told == {
        "usage": {
            "input_tokens": usage.uncached_input_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "cache_read_input_tokens": 0,
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
                "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
            },
            "output_tokens": 0,
        }
    }


def test_a_dump_may_be_compressed(tmp_path: Path, log: Path) -> None:
    dumped(log, "off", tmp_path / "dump.jsonl.gz")
    dumped(log, "off", tmp_path / "dump.jsonl")
    assert gzip.decompress((tmp_path / "dump.jsonl.gz").read_bytes()) == (tmp_path / "dump.jsonl").read_bytes()


def test_a_dump_that_cannot_be_written_is_said_to_be(tmp_path: Path, log: Path) -> None:
    with pytest.raises(TargetError, match="cannot write"):
        dumped(log, "off", tmp_path / "nowhere" / "dump.jsonl")


@needs_traces
@pytest.mark.parametrize("policy", [name for name in policy_names() if name != "recorded"])
@pytest.mark.parametrize("family", ["tau_airline.jsonl.gz", "whowhen.jsonl.gz", "swe_agent.jsonl.gz"])
def test_dumps_of_real_traces_are_billed_the_same(tmp_path: Path, policy: str, family: str) -> None:
    options = {"model": "claude-sonnet-5-5", "arrivals": Arrivals.WANDERING}
    first = dumped(TRACES / family, policy, tmp_path / "dump.jsonl", most=60, **options)
    again = dumped(tmp_path / "dump.jsonl", "recorded", tmp_path / "again.jsonl")
    assert first.refused == again.refused == 0
    assert again.usage == first.usage
