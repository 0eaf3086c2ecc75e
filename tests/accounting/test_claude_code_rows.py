"""What the rows of Claude Code's transcripts say: ids, times, names, sizes, and lines that lack something."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from agentcache.accounting.claude_code import MAIN_AGENT, Transcripts, is_transcript
from agentcache.accounting.imported import message_call_id
from tests.accounting.test_claude_code import SESSION, assistant, at, read, tool_result, tool_use, usage, user

TEXT = {"type": "text", "text": "Here."}


def seconds(moment: float | None) -> float:
    """Return how long a time is after the minute in which these lines were written."""
    return (moment or 0) - datetime.fromisoformat(at(0)).timestamp()


def test_a_line_of_a_transcript_has_a_type_and_is_no_logged_request() -> None:
    assert is_transcript({"type": "summary", "summary": "Finding it"})
    assert not is_transcript({"type": "request", "request": {"model": "claude-opus-4-6"}})
    assert not is_transcript({"model": "claude-opus-4-6"})


def test_ids_are_the_same_in_every_version_so_that_no_ledger_counts_a_session_twice() -> None:
    rows = read(
        assistant("a1", None, 1, "msg_1", tool_use("toolu_1", "Task", subagent_type="Explore")),
        assistant("s1", None, 2, "", requestId=None, isSidechain=True, agentId="ad2d877"),
        user("u1", "a1", 3, tool_result("toolu_1", ""), toolUseResult={"agentId": "ad2d877"}),
    )

    assert [run.run_id for run in rows.runs] == ["run_541aa630d60b685adccf", "run_61478fe7e17818ac8ab0"]
    assert [call.call_id for call in rows.calls] == [message_call_id("msg_1"), "call_13666b35298e0e74d291"]
    assert [row.tool_call_id for row in rows.tool_calls] == ["tool_d99a5112126f3578f443"]


def test_an_answer_without_an_id_of_a_message_is_known_by_its_request_and_else_by_its_line() -> None:
    rows = read(
        assistant("a1", None, 1, "", requestId="req_1", usage=usage(output=1)),
        assistant("a2", "a1", 2, "", requestId="req_1", usage=usage(output=7)),
        assistant("a3", "a2", 3, "", requestId=None),
        assistant("a4", "a3", 4, "", requestId=None),
    )

    assert [(call.request_id, call.message_id) for call in rows.calls] == [("req_1", None), (None, None), (None, None)]
    assert rows.calls[0].usage is not None
    assert rows.calls[0].usage.output_tokens == 7
    assert len({call.call_id for call in rows.calls}) == 3


def test_an_answer_that_lacks_what_a_row_needs_is_told_of() -> None:
    nameless = assistant("a1", None, 1, "", requestId=None)
    del nameless["uuid"]

    for line in (assistant("a1", None, 1, "msg_1", sessionId=None), nameless):
        assert Transcripts().take(line) == "it lacks its session, model, id or time"
    assert Transcripts().take(assistant("a1", None, 1, "msg_1", model=None)) is not None
    assert Transcripts().take({"type": "assistant"}) == "it has no message"
    assert Transcripts().take({"type": "progress"}) is None


def test_the_fullest_usage_counts_wherever_it_stands_and_why_an_answer_stopped_is_kept() -> None:
    first = assistant("a1", None, 2, "msg_1", usage=usage(output=75))
    first["message"]["stop_reason"] = "tool_use"

    (call,) = read(
        first,
        assistant("a2", "a1", 3, "msg_1", usage=usage(output=1)),
        assistant("a3", "a2", 4, "msg_1", usage=None),
    ).calls

    assert call.usage is not None
    assert (call.usage.output_tokens, call.stop_reason) == (75, "tool_use")


def test_what_was_searched_is_paid_for() -> None:
    told = usage(uncached=0, output=0)

    plain, searched = read(
        assistant("a1", None, 1, "msg_1", usage=told),
        assistant("a2", "a1", 2, "msg_2", usage={**told, "server_tool_use": {"web_search_requests": 2}}),
    ).calls

    assert (plain.cost_usd, searched.cost_usd) == (Decimal(0), Decimal("0.02"))


def test_usage_that_cannot_be_read_is_an_error_with_its_name() -> None:
    (call,) = read(assistant("a1", None, 2, "msg_1", usage={"input_tokens": "many"})).calls

    assert (call.error or "").startswith("ReplyMalformed: ")


def test_a_transcript_that_was_cut_begins_with_its_first_answer() -> None:
    rows = read(
        assistant("a1", "cut off", 5, "msg_1"),
        assistant("s1", "cut off too", 6, "msg_2", isSidechain=True),
        user("u1", "a1", 7, tool_result("toolu_0", "of a call that was cut off"), tool_result("toolu_1", "")),
        assistant("a2", "u1", 9, "msg_3"),
    )

    assert [seconds(call.sent_at) for call in rows.calls] == [5, 6, 7]
    assert len(rows.runs) == 2
    assert rows.tool_calls == []


def test_sidechain_lines_above_each_other_in_a_circle_are_some_subagents() -> None:
    rows = read(
        user("u1", "u2", 1, isSidechain=True),
        user("u2", "u1", 2, isSidechain=True),
        assistant("a1", "u1", 3, "msg_1", isSidechain=True),
    )

    assert [call.agent for call in rows.calls] == ["subagent"]


@pytest.mark.parametrize(
    ("written", "after"), [("2026-02-18T12:30:07+01:00", 7), ("2026-02-18T11:30:07", 7), ("2026-02-18T11:30:07Z", 7)]
)
def test_times_without_a_zone_are_in_utc(written: str, after: float) -> None:
    (call,) = read(assistant("a1", None, 0, "msg_1", timestamp=written)).calls

    assert seconds(call.sent_at) == after


def nested() -> list[dict[str, Any]]:
    """Return a session whose sub-agent has a sub-agent of its own, which has used a tool."""
    below: dict[str, Any] = {"isSidechain": True, "agentId": "explorer"}
    deepest: dict[str, Any] = {"isSidechain": True, "agentId": "reader"}
    return [
        assistant("a1", None, 1, "msg_1", tool_use("toolu_1", "Task", subagent_type="Explore")),
        assistant("s1", None, 2, "msg_2", tool_use("toolu_2", "Task", subagent_type="Read"), **below),
        assistant("t1", None, 3, "msg_3", tool_use("toolu_3", "Grep"), **deepest),
        user("t2", "t1", 4, tool_result("toolu_3", "found"), **deepest),
        user("s2", "s1", 5, tool_result("toolu_2", ""), toolUseResult={"agentId": "reader"}, **below),
        user("u1", "a1", 6, tool_result("toolu_1", ""), toolUseResult={"agentId": "explorer"}),
    ]


def test_a_subagent_of_a_subagent_is_nested_in_it() -> None:
    runs = read(*nested()).runs

    assert [(run.agent, run.conversation) for run in runs] == [
        (MAIN_AGENT, SESSION),
        ("Explore", f"{SESSION}/explorer"),
        ("Read", f"{SESSION}/reader"),
    ]
    assert [run.parent_run_id for run in runs] == [None, runs[0].run_id, runs[1].run_id]


def test_rows_of_a_subagent_have_its_name_its_run_and_a_conversation_of_its_own() -> None:
    rows = read(*nested())

    assert [call.conversation for call in rows.calls] == [run.conversation for run in rows.runs]
    assert [(row.tool, row.agent, row.run_id) for row in rows.tool_calls] == [
        ("Grep", "Read", rows.runs[2].run_id),
        ("Task", "Explore", rows.runs[1].run_id),
        ("Task", MAIN_AGENT, rows.runs[0].run_id),
    ]


def test_a_result_of_several_blocks_is_as_long_as_their_texts() -> None:
    picture = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    rows = read(
        assistant("a1", None, 1, "msg_1", tool_use("toolu_1", "Read"), tool_use("toolu_2", "Read")),
        user("u1", "a1", 2, {**tool_result("toolu_1", ""), "content": [TEXT, picture, TEXT]}),
        user("u2", "u1", 3, {**tool_result("toolu_2", ""), "content": None}),
    )

    assert [row.result_chars for row in rows.tool_calls] == [10, 0]


def test_a_tool_use_without_an_id_is_passed_over_and_one_without_a_name_is_not() -> None:
    unnamed = {"type": "tool_use", "id": "toolu_1", "input": {}}
    rows = read(
        assistant("a1", None, 1, "msg_1", {"type": "tool_use", "name": "Read"}, unnamed),
        user("u1", "a1", 2, tool_result("toolu_0", "of another"), tool_result("toolu_1", "text")),
    )

    assert [row.tool for row in rows.tool_calls] == ["?"]
