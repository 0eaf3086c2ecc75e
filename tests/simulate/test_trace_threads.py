"""Which call a call of a trace carries on, and what its thread shows of it."""

from __future__ import annotations

import pytest

from agentcache.accounting.observed import Event, Observed
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.simulate.trace_threads import observed_calls


def said(role: str, *blocks: JsonValue) -> JsonObject:
    return {"role": role, "content": list(blocks)}


def text(words: str) -> JsonObject:
    return {"type": "text", "text": words}


def thread(name: str, *messages: JsonValue, reason: str = "start", **fields: JsonValue) -> JsonObject:
    return {"id": name, "agent": "main", "reason": reason, "messages": list(messages), **fields}


def call(of: str, sent: int, **fields: JsonValue) -> JsonObject:
    return {"thread": of, "agent": "main", "in": sent, **fields}


def observed(threads: list[JsonValue], *calls: JsonValue) -> list[Observed]:
    return observed_calls({"threads": threads, "calls": list(calls)}, lambda place: f"call {place}")


THINKING: JsonObject = {"type": "thinking", "thinking": "Hm."}
USE: JsonObject = {"type": "tool_use", "id": "t", "name": "read", "input": {}}
RESULT: JsonObject = {"type": "tool_result", "tool_use_id": "t", "content": "3"}
TALK: list[JsonValue] = [
    said("user", text("How many?")),
    said("assistant", THINKING, USE, USE),
    said("user", RESULT, RESULT),
    said("assistant", text("Three.")),
    said("user", text("<command-name>/exit</command-name>"), text("And now?")),
    said("assistant", text("Four.")),
]


def test_a_call_carries_on_the_one_before_it_in_its_thread() -> None:
    first, second, third = observed([thread("main.0", *TALK)], *(call("main.0", sent) for sent in (1, 3, 5)))

    assert first == Observed(thinks=True, asked=True, positions=1, messages=1)
    assert second == Observed(follows="call 0", positions=3, messages=3)
    assert third == Observed(follows="call 1", asked=True, positions=3, messages=5, events=(Event.RESTARTED,))


def test_a_rewind_carries_on_the_last_call_that_it_still_contains() -> None:
    again = thread(
        "main.1",
        said("user", text("Are you sure?")),
        said("assistant", text("Yes.")),
        reason="rewind",
        prefix_of={"thread": "main.0", "upto": 4},
    )

    seen = observed([thread("main.0", *TALK), again], *(call("main.0", sent) for sent in (1, 3, 5)), call("main.1", 5))

    assert (seen[3].follows, seen[3].positions, seen[3].compacted) == ("call 1", 2, False)


def test_a_summary_follows_what_it_replaced_and_nothing_else_of_it() -> None:
    summed = thread("main.1", said("user", text("So far: three.")), said("assistant", text("Yes.")), reason="compact")
    cleared = thread("main.2", said("user", text("Anew.")), said("assistant", text("Yes.")), reason="root")

    seen = observed(
        [thread("main.0", *TALK), summed, cleared],
        call("main.0", 1),
        call("main.0", 3),
        call("main.1", 1),
        call("main.2", 1),
    )

    assert (seen[2].follows, seen[2].compacted, seen[2].positions) == ("call 1", True, 1)
    assert (seen[3].follows, seen[3].compacted) == (None, False)


def test_an_answer_that_was_not_kept_in_its_thread_shows_whether_it_thinks() -> None:
    (seen,) = observed([thread("main.0", TALK[0])], call("main.0", 1, persisted=False, response=[THINKING]))

    assert seen.thinks


def test_a_thread_that_begins_with_itself_is_no_sound_trace() -> None:
    circle = [
        thread("a", *TALK, prefix_of={"thread": "b", "upto": 1}),
        thread("b", *TALK, prefix_of={"thread": "a", "upto": 1}),
    ]

    with pytest.raises(ValueError, match="begins with itself"):
        observed([*circle], call("a", 1))
