"""What counts where only a part of a ledger is asked about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.usage import CallRecord, ToolCallRecord

CALL = CallRecord(call_id="call_1", run_id="run_1", agent="clerk", model="claude-opus-5", sent_at=100.0, usage=None)
TOOL_CALL = ToolCallRecord(
    tool_call_id="tool_1",
    run_id="run_1",
    agent="editor",
    call_id="call_1",
    tool="look_up",
    started_at=200.0,
    ended_at=201.0,
    outcome="ok",
)


@pytest.mark.parametrize(
    ("only", "call", "tool_call"),
    [
        (EVERYTHING, True, True),
        (Selection(agent="clerk"), True, False),
        (Selection(agent="editor"), False, True),
        (Selection(model="claude-opus-5"), True, True),
        (Selection(model="claude-haiku-5-5"), False, False),
        (Selection(since=100.0, until=200.0), True, False),
        (Selection(since=100.5, until=200.5), False, True),
    ],
)
def test_calls_count_by_themselves_and_tool_calls_by_the_model_that_asked(
    only: Selection, call: bool, tool_call: bool
) -> None:
    assert only.has_call(CALL) is call
    assert only.has_tool_call(TOOL_CALL, {CALL.call_id: CALL}) is tool_call


def test_nobody_knows_which_model_asked_where_the_call_is_not_known() -> None:
    unknown = replace(TOOL_CALL, call_id="call_2")

    assert not Selection(model="claude-opus-5").has_tool_call(unknown, {CALL.call_id: CALL})
    assert EVERYTHING.has_tool_call(unknown, {})
