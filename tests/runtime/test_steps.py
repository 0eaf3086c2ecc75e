"""What comes after a reply, as a table of content and stop reason."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from agentcache.errors import OutputInvalid, OutputTruncated, Refused, ReplyMalformed
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.steps import CallAgain, Fail, Finish, Repair, RunTools, Step, next_step

TEXT = OutputSpec.of(str)


class Verdict(BaseModel):
    sound: bool


def step(
    content: list[dict[str, Any]], stop_reason: str | None, *, output: OutputSpec = TEXT, repairs_left: int = 1
) -> Step:
    return next_step(content, stop_reason, output=output, repairs_left=repairs_left, agent="judge")


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_an_ended_turn_finishes_with_its_text():
    assert step([text("All "), text("good.")], "end_turn") == Finish(output="All good.")


def test_a_stop_sequence_finishes_too():
    assert step([text("so far")], "stop_sequence") == Finish(output="so far")


def test_thinking_is_not_part_of_the_answer():
    assert step([{"type": "thinking", "thinking": "hm"}, text("yes")], "end_turn") == Finish(output="yes")


def test_tool_use_runs_every_tool_block_in_order():
    first: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    second = {**first, "id": "t2"}
    assert step([text("let me see"), first, second], "tool_use") == RunTools(blocks=(first, second))


def test_a_paused_turn_is_sent_back_as_it_is():
    assert (
        step([{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}], "pause_turn") == CallAgain()
    )


def test_a_typed_output_is_validated():
    assert step([text('{"sound": true}')], "end_turn", output=OutputSpec.of(Verdict)) == Finish(
        output=Verdict(sound=True)
    )


def test_an_answer_that_does_not_fit_is_sent_back_with_the_reason():
    repair = step([text('{"sound": "maybe"}')], "end_turn", output=OutputSpec.of(Verdict))
    assert isinstance(repair, Repair)
    assert "sound" in repair.message


def test_without_repairs_left_the_run_fails_and_names_the_agent():
    failed = step([text("no json")], "end_turn", output=OutputSpec.of(Verdict), repairs_left=0)
    assert isinstance(failed, Fail)
    assert isinstance(failed.error, OutputInvalid)
    assert "judge" in str(failed.error)


@pytest.mark.parametrize(
    ("stop_reason", "error"),
    [
        ("max_tokens", OutputTruncated),
        ("model_context_window_exceeded", OutputTruncated),
        ("refusal", Refused),
        ("something_new", ReplyMalformed),
        (None, ReplyMalformed),
    ],
)
def test_every_other_end_is_an_error_of_its_own(stop_reason, error):
    failed = step([text("half an ans")], stop_reason)
    assert isinstance(failed, Fail)
    assert type(failed.error) is error


def test_a_refusal_says_its_category():
    failed = next_step(
        [], "refusal", output=TEXT, repairs_left=0, agent="judge", stop_details={"type": "refusal", "category": "cyber"}
    )
    assert isinstance(failed, Fail)
    assert "cyber" in str(failed.error)
