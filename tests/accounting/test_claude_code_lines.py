"""Transcripts in the shape that real ones have: lines are told once, linked, and what lies between answers is seen."""

from __future__ import annotations

from typing import Any

import pytest

from agentcache.accounting.observed import Event, Observed, observed_in
from agentcache.accounting.shortfalls import followed, shortfalls
from agentcache.accounting.usage import CallRecord, Usage
from tests.accounting.test_claude_code import SESSION, assistant, read, tool_result, tool_use, usage, user

TEXT = {"type": "text", "text": "Here."}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "x"}


def system(uuid: str, above: str | None, second: float, subtype: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "system",
        "subtype": subtype,
        "content": "...",
        "uuid": uuid,
        "parentUuid": above,
        "isSidechain": False,
        "sessionId": SESSION,
        "timestamp": f"2026-02-18T11:30:{second:06.3f}Z",
        **fields,
    }


def seen(call: CallRecord) -> Observed:
    told = observed_in(call.plan)
    assert told is not None
    return told


def test_lines_of_one_answer_that_repeat_its_usage_are_one_call_and_its_blocks_are_seen_once() -> None:
    told = usage(hour=500, read=900, output=9)
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1", THINKING, usage=told),
        assistant("a2", "a1", 3, "msg_1", TEXT, usage=told),
        assistant("a3", "a2", 4, "msg_1", tool_use("t1", "Read"), usage=told),
        assistant("a4", "a3", 5, "msg_1", tool_use("t2", "Read"), usage=told),
        user("r1", "a3", 6, tool_result("t1", "one"), sourceToolAssistantUUID="a3"),
        user("r2", "a4", 6, tool_result("t2", "two"), sourceToolAssistantUUID="a4"),
        assistant("b1", "r2", 8, "msg_2", TEXT, usage=usage(hour=20, read=1400)),
    )

    first, second = rows.calls
    assert first.usage == Usage(
        uncached_input_tokens=3, cache_write_1h_tokens=500, cache_read_tokens=900, output_tokens=9
    )
    assert (seen(first).thinks, seen(first).asked, seen(first).follows) == (True, True, None)
    assert seen(second) == Observed(follows=first.call_id, positions=4)  # thinking, text, tool uses, results


def test_a_cost_that_the_client_reckoned_itself_is_not_taken_over() -> None:
    (call,) = read(assistant("a1", None, 2, "msg_1", costUSD=99.0, durationMs=1200)).calls

    assert call.cost_usd is not None
    assert call.cost_usd < 1


def test_an_answer_without_a_request_id_is_known_by_its_message() -> None:
    line = assistant("a1", None, 2, "msg_1", usage=usage(output=5))
    again = {**assistant("a2", "a1", 3, "msg_1", usage=usage(output=90))}
    del line["requestId"], again["requestId"]

    (call,) = read(line, again).calls

    assert (call.usage or Usage()).output_tokens == 90


def test_errors_that_the_client_wrote_as_answers_are_passed_over() -> None:
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1", usage=usage(hour=500)),
        assistant("e1", "a1", 3, "made-up", TEXT, model="<synthetic>", isApiErrorMessage=True),
        user("u2", "e1", 4),
        assistant("a2", "u2", 5, "msg_2", usage=usage(read=500, hour=10)),
    )

    assert [seen(call).follows for call in rows.calls] == [None, rows.calls[0].call_id]
    assert shortfalls(rows.calls) == ()


def test_a_rewind_carries_on_the_answer_above_it_and_not_the_last_one_written() -> None:
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1", usage=usage(hour=1000)),
        user("u2", "a1", 3),
        assistant("a2", "u2", 4, "msg_2", usage=usage(read=1000, hour=500)),
        user("u3", "a1", 6),
        assistant("a3", "u3", 7, "msg_3", usage=usage(read=1000, hour=80)),
    )

    first, _, third = rows.calls
    assert seen(third).follows == first.call_id
    assert (shortfalls(rows.calls), followed(rows.calls)) == ((), 2)


def test_a_compaction_is_seen_at_the_first_call_behind_it() -> None:
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1", usage=usage(hour=9000)),
        system("c1", None, 3, "compact_boundary", logicalParentUuid="a1", compactMetadata={"trigger": "auto"}),
        user("s1", "c1", 3, isCompactSummary=True),
        user("u2", "s1", 5),
        assistant("a2", "u2", 6, "msg_2", usage=usage(hour=1500)),
        user("u3", "a2", 8),
        assistant("a3", "u3", 9, "msg_3", usage=usage(read=1500, hour=30)),
    )

    first, second, third = rows.calls
    assert (seen(second).follows, seen(second).compacted, seen(second).events) == (
        first.call_id,
        True,
        (Event.COMPACTED,),
    )
    assert not seen(third).compacted
    assert [found.cause for found in shortfalls(rows.calls)] == ["compacted"]


def test_what_the_client_tells_between_two_answers_is_seen_and_its_text_is_not_kept() -> None:
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1", usage=usage(hour=9000)),
        system("m1", "a1", 3, "microcompact_boundary"),
        {
            **system("t1", "m1", 3, ""),
            "type": "attachment",
            "attachment": {"type": "deferred_tools_delta", "addedNames": ["Secret"], "removedNames": []},
        },
        user("u2", "t1", 4, {"type": "text", "text": "<command-name>/review</command-name>"}),
        assistant("a2", "u2", 6, "msg_2", usage=usage(read=4000, hour=1500)),
    )

    (found,) = shortfalls(rows.calls)
    assert (found.cause, found.events) == (
        "history_shortened",
        (Event.CLEARED, Event.COMMAND, Event.TOOLS_ANNOUNCED),
    )
    assert "Secret" not in str(rows.calls[1].plan)


def test_subagents_are_lines_of_their_own() -> None:
    rows = read(
        user("u1", None, 1),
        assistant("a1", "u1", 2, "msg_1", tool_use("t1", "Task", subagent_type="Explore"), usage=usage(hour=9000)),
        user("s1", None, 3, isSidechain=True, agentId="ad2d877"),
        assistant("s2", "s1", 5, "msg_2", isSidechain=True, agentId="ad2d877", usage=usage(five=700)),
        user("u2", "a1", 9, tool_result("t1", "There."), toolUseResult={"agentId": "ad2d877"}),
        assistant("a2", "u2", 10, "msg_3", usage=usage(read=9000, hour=20)),
    )

    assert [seen(call).follows for call in rows.calls] == [None, None, rows.calls[0].call_id]
    assert shortfalls(rows.calls) == ()


def test_a_session_that_was_resumed_in_another_file_carries_on_its_last_answer() -> None:
    first = [user("u1", None, 1), assistant("a1", "u1", 2, "msg_1", usage=usage(hour=9000))]
    copied = [{**line, "sessionId": "another"} for line in first]
    more = [
        user("u2", "a1", 4, sessionId="another"),
        assistant("a2", "u2", 6, "msg_2", sessionId="another", usage=usage(read=0, hour=9100)),
    ]

    rows = read(*first, *copied, *more)

    (found,) = shortfalls(rows.calls)
    assert (found.earlier.message_id, found.call.message_id, found.lost_tokens) == ("msg_1", "msg_2", 9000)


@pytest.mark.parametrize(
    "summed_up",
    [
        user("s1", "a1", 3, {"type": "text", "text": "So far."}, isCompactSummary=True),
        system("s1", None, 3, "compact_boundary", logicalParentUuid="a1"),
    ],
)
def test_a_compaction_is_known_by_its_summary_and_by_its_boundary(summed_up: dict[str, Any]) -> None:
    rows = read(assistant("a1", None, 2, "msg_1"), summed_up, assistant("b1", "s1", 5, "msg_2"))

    assert (seen(rows.calls[1]).compacted, seen(rows.calls[1]).events) == (True, (Event.COMPACTED,))
    assert seen(rows.calls[1]).follows == rows.calls[0].call_id


def test_what_a_user_wrote_as_plain_text_is_text_and_may_be_a_command() -> None:
    line = user("u1", "a1", 3)
    line["message"]["content"] = "<command-name>/model</command-name>"
    rows = read(assistant("a1", None, 2, "msg_1", TEXT), line, assistant("b1", "u1", 5, "msg_2"))

    assert seen(rows.calls[1]) == Observed(
        follows=rows.calls[0].call_id, asked=True, positions=1, events=(Event.MODEL_SET,)
    )


def test_thinking_that_cannot_be_read_is_thinking() -> None:
    (call,) = read(assistant("a1", None, 2, "msg_1", {"type": "redacted_thinking", "data": "x"}, TEXT)).calls

    assert seen(call).thinks


@pytest.mark.parametrize(
    ("answered", "sent", "positions"),
    [
        ([TEXT, tool_use("t1", "Read")], [tool_result("t1", "one"), TEXT], 4),
        ([TEXT, tool_use("t1", "Read"), TEXT], [tool_result("t1", "one")], 4),
        ([THINKING, TEXT, TEXT], [TEXT, THINKING], 3),
    ],
)
def test_blocks_of_one_kind_behind_each_other_count_once_and_no_others(
    answered: list[dict[str, Any]], sent: list[dict[str, Any]], positions: int
) -> None:
    rows = read(
        assistant("a1", None, 2, "msg_1", *answered), user("u1", "a1", 3, *sent), assistant("b1", "u1", 5, "msg_2")
    )

    assert seen(rows.calls[1]).positions == positions
