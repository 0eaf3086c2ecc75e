"""What kinds of blocks and the client's marks show of a recorded call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.observed import (
    RECORDED,
    Event,
    Observed,
    asks,
    attachment_event,
    events_of,
    in_order,
    observed_in,
    positions,
    thinks,
)
from agentcache.prompt.canonical import JsonObject


def text(words: str) -> JsonObject:
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("block", "event"),
    [
        (text("<command-name>/exit</command-name>\n<command-args></command-args>"), Event.RESTARTED),
        (text("<command-name>/model</command-name>"), Event.MODEL_SET),
        (text("<command-name>/compact</command-name>"), Event.COMPACTED),
        (text("<command-message>review</command-message>\n<command-name>/review</command-name>"), Event.COMMAND),
        ({"type": "tool_result", "tool_use_id": "t", "content": "Launching skill: commit"}, Event.COMMAND),
        (text("Base directory for this skill: /skills/commit\n\n# Commit"), Event.COMMAND),
        ({"type": "tool_result", "content": [text("Launching skill: commit")]}, Event.COMMAND),
        ({"type": "tool_result", "content": [{"type": "tool_reference", "tool_name": "Fetch"}]}, Event.TOOLS_LOADED),
        ({**text("..."), "approx": "attachment:mcp_instructions_delta"}, Event.TOOLS_ANNOUNCED),
    ],
)
def test_a_clients_mark_is_an_event(block: JsonObject, event: Event) -> None:
    assert events_of([text("Where is it?"), block]) == (event,)


@pytest.mark.parametrize(
    "block",
    [
        text("Tell me what /exit does."),
        text("<command-name>/clear</command-name>"),
        {"type": "tool_result", "content": "no Launching skill: here"},
        {**text("..."), "approx": "attachment:task_reminder"},
        {"type": "tool_result", "content": [{"type": "text", "text": "tool_reference"}]},
        {"type": "text"},
    ],
)
def test_what_only_looks_like_a_mark_is_none(block: JsonObject) -> None:
    assert events_of([block]) == ()


def test_runs_of_tool_uses_and_of_tool_results_are_one_position_each() -> None:
    assert positions(["thinking", "text", "tool_use", "tool_use", "tool_result", "tool_result", "text", "text"]) == 6
    assert positions([]) == 0


def test_a_user_who_says_something_is_told_from_results_and_attachments() -> None:
    result: JsonObject = {"type": "tool_result", "content": "3"}
    reminder: JsonObject = {**text("Remember."), "approx": "attachment:task_reminder"}

    assert [asks([result]), asks([result, reminder]), asks([result, text("Go on.")])] == [False, False, True]


def test_hidden_thinking_is_thinking() -> None:
    assert thinks([{"type": "redacted_thinking", "data": "x"}, text("Yes.")])
    assert not thinks([text("Yes.")])


@given(
    st.builds(
        Observed,
        follows=st.none() | st.text(min_size=1),
        compacted=st.booleans(),
        thinks=st.booleans(),
        asked=st.booleans(),
        positions=st.integers(0, 99),
        messages=st.none() | st.integers(0, 999),
        events=st.sets(st.sampled_from(list(Event))).map(in_order),
    )
)
def test_what_is_kept_in_a_row_is_read_again(seen: Observed) -> None:
    assert observed_in({RECORDED: seen.to_json()}) == seen


def test_a_row_of_the_runtimes_own_shows_nothing() -> None:
    assert observed_in({"kept": []}) is None
    assert observed_in({RECORDED: {}}) == Observed()
    assert attachment_event(None) is None
