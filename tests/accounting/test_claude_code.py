"""Claude Code's transcripts: lines as the client writes them, and the rows that they become."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.claude_code import MAIN_AGENT, Transcripts
from agentcache.accounting.imported import ImportedRows
from agentcache.accounting.usage import Usage

SESSION = "11111111-2222-3333-4444-555555555555"
OPUS = "claude-opus-4-6"

Line = dict[str, Any]


def at(second: float) -> str:
    return f"2026-02-18T11:30:{second:06.3f}Z"


def usage(*, uncached: int = 3, five: int = 0, hour: int = 0, read: int = 0, output: int = 1) -> Line:
    return {
        "input_tokens": uncached,
        "cache_creation_input_tokens": five + hour,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }


def user(uuid: str, above: str | None, second: float, *blocks: Line, **fields: Any) -> Line:
    return {
        "type": "user",
        "uuid": uuid,
        "parentUuid": above,
        "isSidechain": False,
        "sessionId": SESSION,
        "timestamp": at(second),
        "message": {"role": "user", "content": list(blocks) or "Where is it?"},
        **fields,
    }


def assistant(uuid: str, above: str | None, second: float, message_id: str, *blocks: Line, **fields: Any) -> Line:
    told = {"usage": fields.pop("usage", usage()), "model": fields.pop("model", OPUS)}
    message = {"id": message_id, "role": "assistant", "content": list(blocks), "stop_reason": None, **told}
    return {
        "type": "assistant",
        "uuid": uuid,
        "parentUuid": above,
        "isSidechain": False,
        "sessionId": SESSION,
        "requestId": f"req_{message_id}",
        "timestamp": at(second),
        "message": message,
        **fields,
    }


def tool_use(use_id: str, name: str, **asked: Any) -> Line:
    return {"type": "tool_use", "id": use_id, "name": name, "input": asked}


def tool_result(use_id: str, content: str, **fields: Any) -> Line:
    return {"type": "tool_result", "tool_use_id": use_id, "content": content, **fields}


def read(*lines: Line) -> ImportedRows:
    transcripts = Transcripts()
    assert [transcripts.take(line) for line in lines] == [None] * len(lines)
    return transcripts.rows()


def test_an_answer_of_several_lines_is_one_call_with_its_fullest_usage() -> None:
    rows = read(
        {"type": "summary", "summary": "Finding it", "leafUuid": "x"},
        user("u1", None, 1),
        assistant("a1", "u1", 3, "msg_1", usage=usage(hour=500, read=900, output=1)),
        assistant("a2", "a1", 4, "msg_1", usage=usage(hour=500, read=900, output=75)),
    )

    (call,) = rows.calls
    assert call.usage == Usage(
        uncached_input_tokens=3, cache_write_1h_tokens=500, cache_read_tokens=900, output_tokens=75
    )
    assert (call.message_id, call.request_id, call.agent, call.turn) == ("msg_1", "req_msg_1", MAIN_AGENT, 1)
    assert call.ended_at is not None
    assert call.ended_at - call.sent_at == 3  # from the user's line to the last of the answer
    assert call.first_token_at is None  # no line tells
    assert call.cost_usd is not None


def test_a_session_is_a_run_and_what_it_spawned_is_nested_by_name() -> None:
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1", tool_use("toolu_1", "Task", subagent_type="Explore", prompt="Look.")),
        user("s1", None, 3, isSidechain=True, agentId="ad2d877"),
        assistant("s2", "s1", 5, "msg_2", isSidechain=True, agentId="ad2d877"),
        user("u2", "a1", 9, tool_result("toolu_1", "There."), toolUseResult={"agentId": "ad2d877"}),
        assistant("a2", "u2", 10, "msg_3"),
    )

    session, below = rows.runs
    assert (session.name, session.parent_run_id, session.conversation) == (MAIN_AGENT, None, SESSION)
    assert (below.name, below.parent_run_id) == ("Explore", session.run_id)
    assert [(call.message_id, call.agent, call.run_id, call.turn) for call in rows.calls] == [
        ("msg_1", MAIN_AGENT, session.run_id, 1),
        ("msg_2", "Explore", below.run_id, 1),
        ("msg_3", MAIN_AGENT, session.run_id, 2),
    ]
    assert session.started_at < below.started_at
    assert (below.ended_at or 0) < (session.ended_at or 0)


def test_older_sidechains_are_told_apart_by_where_they_begin() -> None:
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1"),
        user("s1", None, 3, isSidechain=True),
        user("t1", None, 3, isSidechain=True),
        assistant("s2", "s1", 4, "msg_2", isSidechain=True),
        assistant("t2", "t1", 4, "msg_3", isSidechain=True),
        user("s3", "s2", 5, isSidechain=True),
        assistant("s4", "s3", 6, "msg_4", isSidechain=True),
    )

    of = {call.message_id: call.run_id for call in rows.calls}
    assert of["msg_2"] == of["msg_4"]
    assert len({of["msg_1"], of["msg_2"], of["msg_3"]}) == 3


def test_tool_calls_have_their_outcome_and_their_call() -> None:
    rows = read(
        assistant("a1", None, 2, "msg_1", tool_use("toolu_1", "Read"), tool_use("toolu_2", "Bash")),
        user("u1", "a1", 3, tool_result("toolu_1", "text")),
        user("u2", "a1", 7, tool_result("toolu_2", "no such file", is_error=True)),
    )

    assert [(row.tool, row.outcome, row.ended_at - row.started_at, row.result_chars) for row in rows.tool_calls] == [
        ("Read", "ok", 1, 4),
        ("Bash", "error", 5, 12),
    ]
    assert {row.call_id for row in rows.tool_calls} == {rows.calls[0].call_id}


def test_what_the_client_wrote_itself_is_no_call() -> None:
    assert not read(assistant("a1", None, 2, "x", model="<synthetic>")).calls


def test_usage_that_is_missing_or_no_usage_is_unknown_and_not_zero() -> None:
    rows = read(
        assistant("a1", None, 2, "msg_1", usage=None),
        assistant("a2", None, 3, "msg_2", usage={"input_tokens": "many"}),
    )

    assert [(call.usage, call.cost_usd) for call in rows.calls] == [(None, None)] * 2
    assert "many" in (rows.calls[1].error or "")


def test_a_call_without_a_time_is_told_of() -> None:
    line = assistant("a1", None, 2, "msg_1")
    del line["timestamp"]

    assert Transcripts().take(line) == "it lacks its session, model, id or time"


def test_a_resumed_session_repeats_lines_and_they_count_once() -> None:
    first = [user("u1", None, 1), assistant("a1", "u1", 2, "msg_1")]
    again = [{**line, "sessionId": "another"} for line in first]

    rows = read(*first, *again, assistant("a2", "a1", 5, "msg_2", sessionId="another"))

    assert [call.message_id for call in rows.calls] == ["msg_1", "msg_2"]


def test_spawning_in_a_circle_is_no_circle_of_runs() -> None:
    rows = read(
        assistant("a1", None, 1, "msg_1", tool_use("toolu_1", "Task"), agentId="a"),
        user("u1", "a1", 2, tool_result("toolu_1", ""), toolUseResult={"agentId": "b"}, agentId="a"),
        assistant("b1", None, 3, "msg_2", tool_use("toolu_2", "Task"), agentId="b"),
        user("u2", "b1", 4, tool_result("toolu_2", ""), toolUseResult={"agentId": "a"}, agentId="b"),
    )

    known: set[str | None] = {None}
    for run in rows.runs:
        assert run.parent_run_id in known
        known.add(run.run_id)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 500)), min_size=1, max_size=20))
def test_whatever_lines_tell_of_a_call_its_output_counts_once(told: list[tuple[int, int]]) -> None:
    lines = [
        assistant(f"a{place}", None, place, f"msg_{message}", usage=usage(output=output))
        for place, (message, output) in enumerate(told)
    ]

    calls = read(*lines).calls

    fullest = {f"msg_{message}": max(out for each, out in told if each == message) for message, _ in told}
    assert {call.message_id: call.usage.output_tokens for call in calls} == fullest
