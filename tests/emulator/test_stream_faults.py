"""What is left of a stream: every place of every fault, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentcache.emulator.faults import Fault, Place
from agentcache.emulator.stream_events import events_of, sse
from agentcache.emulator.stream_faults import play

USAGE: Any = {"input_tokens": 9, "output_tokens": 40}
CALL: Any = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "under the table and behind it"}}
MESSAGE: Any = {
    "id": "msg_1",
    "content": [{"type": "text", "text": "Let me look it up for you, under the table and behind the door."}, CALL],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "stop_details": None,
    "usage": USAGE,
}
EVENTS = list(events_of(MESSAGE, first_usage=USAGE))


def sent(fault: Fault | None) -> list[dict[str, Any]]:
    """Return the events that are sent whole."""
    return [json.loads(piece.split(b"data: ")[1]) for piece in play(EVENTS, fault).pieces]


def test_without_a_fault_all_is_sent() -> None:
    assert (sent(None), play(EVENTS, None).ending) == (EVENTS, "whole")


@pytest.mark.parametrize(
    ("place", "last", "following"),
    [
        ("start", None, "message_start"),
        ("text", "text_delta", "text_delta"),
        ("input", "input_json_delta", "input_json_delta"),
        ("end", "message_delta", "message_stop"),
    ],
)
@pytest.mark.parametrize(("kind", "ending"), [("cut", "cut"), ("ended", "early")])
def test_a_stream_breaks_where_it_is_told_to(
    kind: Any, ending: str, place: Place, last: str | None, following: str
) -> None:
    played = play(EVENTS, Fault(kind=kind, place=place))
    cut_at = len(played.pieces)
    names = [event.get("delta", {}).get("type", event["type"]) for event in EVENTS]
    assert (list(played.pieces), played.ending) == ([sse(event) for event in EVENTS[:cut_at]], ending)
    assert ([None, *names][cut_at], names[cut_at]) == (last, following)


def test_a_place_that_the_stream_has_not_is_its_middle() -> None:
    wordless = list(events_of({**MESSAGE, "content": [CALL]}, first_usage=USAGE))
    assert len(play(wordless, Fault(kind="cut", place="text")).pieces) == len(wordless) // 2


def test_an_error_comes_after_the_reply_began_and_ends_it() -> None:
    begun, error = sent(Fault(kind="error", place="start"))
    assert (begun["type"], error["error"]["type"]) == ("message_start", "overloaded_error")


def test_a_misplaced_event_is_one_more_and_a_malformed_one_is_no_json() -> None:
    assert len(sent(Fault(kind="misplaced"))) == len(EVENTS) + 1
    with pytest.raises(json.JSONDecodeError):
        sent(Fault(kind="malformed"))


@pytest.mark.parametrize(("place", "told"), [("start", [40]), ("end", [9])])
def test_usage_is_left_out_at_one_end(place: Place, told: list[int]) -> None:
    events = sent(Fault(kind="no_usage", place=place))
    usages = [(event.get("message") or event).get("usage") for event in (events[0], events[-2])]
    assert [usage["output_tokens" if place == "start" else "input_tokens"] for usage in usages if usage] == told


def test_a_pause_loses_nothing() -> None:
    played = play(EVENTS, Fault(kind="stalled", place="end"))
    assert (len(played.pieces), played.pauses_at, played.ending) == (len(EVENTS), len(EVENTS) - 1, "whole")
