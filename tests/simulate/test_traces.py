"""Traces become whole requests at arranged or recorded times."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from agentcache.errors import TargetError
from agentcache.simulate.arrivals import Arrivals
from agentcache.simulate.reading import read_traffic
from agentcache.simulate.traces import TraceOptions
from agentcache.simulate.traffic import TrafficCall
from tests.simulate.recordings import MODEL, Body, assistant, text, trace, user, write_lines

CALL: Body = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
RESULT: Body = {"type": "tool_result", "tool_use_id": "t1", "content": "found"}
TALK = [user("hi"), assistant(CALL), user(RESULT), assistant("done"), user("and now?"), assistant("nothing")]


def calls_of(tmp_path: Path, *traces: Body, **options: object) -> list[TrafficCall]:
    path = write_lines(tmp_path / "traces.jsonl", traces)
    return read_traffic([path], TraceOptions(**options))  # type: ignore[arg-type]


def gaps(calls: list[TrafficCall]) -> list[float]:
    """Return how long each call waited after the end of the one before."""
    return [later.at_s - call.end_at_s for call, later in pairwise(calls)]


def test_a_request_is_the_thread_up_to_its_answer(tmp_path: Path) -> None:
    calls = calls_of(tmp_path, trace(TALK, [{"in": 1}, {"in": 3}, {"in": 5}]))
    assert [call.request["messages"] for call in calls] == [TALK[:1], TALK[:3], TALK[:5]]
    assert [call.response for call in calls] == [{"content": TALK[at]["content"]} for at in (1, 3, 5)]
    assert {(call.agent, call.run, call.conversation) for call in calls} == {("helper", "t-1", "t-1/main")}


def test_messages_are_one_object_through_all_calls(tmp_path: Path) -> None:
    first, second, _ = calls_of(tmp_path, trace(TALK, [{"in": 1}, {"in": 3}, {"in": 5}]))
    assert first.request["messages"][0] is second.request["messages"][0]  # type: ignore[index]


def test_a_thread_may_begin_with_another_one(tmp_path: Path) -> None:
    branch: Body = {
        "id": "branch",
        "agent": "helper",
        "reason": "rewind",
        "prefix_of": {"thread": "main", "upto": 4},
        "messages": [user("instead?"), assistant("so")],
    }
    told = trace(TALK, [{"in": 5, "thread": "branch"}])
    told["threads"] = [branch, *told["threads"]]  # type: ignore[misc]
    (call,) = calls_of(tmp_path, told)
    assert call.request["messages"] == [*TALK[:4], user("instead?")]


def test_what_was_never_sent_is_left_out(tmp_path: Path) -> None:
    noted: Body = {**text("go on"), "synth": True, "approx": "attachment", "from": "human"}
    messages = [user(noted, text("")), assistant(text("")), user("more"), assistant("done")]
    (call,) = calls_of(tmp_path, trace(messages, [{"in": 3}]))
    assert call.request["messages"] == [user("go on"), user("more")]


def test_a_call_may_see_part_of_the_last_message_and_words_of_its_own(tmp_path: Path) -> None:
    messages = [user(text(""), "one", "two", "three"), assistant("done", "and gone")]
    calls = calls_of(
        tmp_path,
        trace(
            messages,
            [
                {"in": 1, "in_blocks": 3},
                {"in": 1, "suffix": [text("ledger?")], "persisted": False, "response": [text("none")]},
                {"in": 2, "in_blocks": 1, "suffix": [text("go")], "persisted": False, "response": [text("went")]},
            ],
        ),
    )
    assert [call.request["messages"] for call in calls] == [
        [user("one", "two")],
        [user("one", "two", "three", "ledger?")],
        [user("one", "two", "three"), assistant("done"), user("go")],
    ]
    assert [(call.response or {})["content"] for call in calls] == [
        [text("done"), text("and gone")],
        [text("none")],
        [text("went")],
    ]


def test_a_call_takes_three_seconds_and_a_tool_one(tmp_path: Path) -> None:
    first, second, _ = calls_of(tmp_path, trace(TALK, [{"in": 1}, {"in": 3}, {"in": 5}]))
    assert (first.at_s, first.first_token_at_s, first.end_at_s) == (0, 1, 3)
    assert second.at_s == 4


def test_a_brisk_user_answers_after_eight_to_forty_seconds(tmp_path: Path) -> None:
    talks = [trace(TALK, [{"in": 1}, {"in": 3}, {"in": 5}], trace_id=f"t-{number}") for number in range(40)]
    calls = calls_of(tmp_path, *talks, arrivals=Arrivals.BRISK)
    pauses = [gaps([call for call in calls if call.run == f"t-{number}"])[1] for number in range(40)]
    assert all(8 <= pause <= 40 for pause in pauses)
    assert len(set(pauses)) == 40
    assert 18 < sum(pauses) / 40 < 30


def test_a_wandering_user_mostly_answers_soon_and_never_stays_away_for_longer_than_ninety_minutes(
    tmp_path: Path,
) -> None:
    talks = [trace(TALK, [{"in": 3}, {"in": 5}], trace_id=f"t-{number}") for number in range(300)]
    calls = calls_of(tmp_path, *talks, arrivals=Arrivals.WANDERING)
    pauses = sorted(gaps([call for call in calls if call.run == f"t-{number}"])[0] for number in range(300))
    assert 20 < pauses[150] < 45
    assert 0.04 < sum(pause > 300 for pause in pauses) / 300 < 0.12  # 0.075 of a log-normal pause
    assert pauses[-1] <= 90 * 60


def test_conversations_begin_every_45_seconds_and_their_pauses_depend_on_seed_and_place_alone(tmp_path: Path) -> None:
    talk, shorter = trace(TALK, [{"in": 1}, {"in": 3}, {"in": 5}]), trace(TALK, [{"in": 1}], trace_id="t-2")

    def times(*traces: Body, seed: int) -> list[float]:
        return [call.at_s for call in calls_of(tmp_path, *traces, seed=seed) if call.run == "t-1"]

    assert times(talk, seed=0) == times(talk, shorter, seed=0)
    assert times(talk, seed=0) != times(talk, seed=1)
    later = times(shorter, talk, seed=0)
    assert later[0] == 45
    assert [at_s - 45 for at_s in later] != times(talk, seed=0)


def test_only_a_person_takes_time_to_answer_and_only_once(tmp_path: Path) -> None:
    messages = [
        user("hi"),
        assistant("hello"),
        user({**text("a colleague says"), "from": "Expert"}),
        assistant("so"),
        user({**text("Please continue."), "synth": True}),
        assistant("and so on"),
        user({**text("thanks"), "from": "human"}),
        assistant("welcome"),
    ]
    again: Body = {"in": 7, "suffix": [text("ledger?")], "persisted": False, "response": [text("none")]}
    calls = calls_of(tmp_path, trace(messages, [{"in": 1}, {"in": 3}, {"in": 5}, {"in": 7}, again]))
    colleague, harness, person, same_person = gaps(calls)
    assert (colleague, harness, same_person) == (0, 0, 0)
    assert person >= 8


def test_a_spawned_agent_begins_at_once(tmp_path: Path) -> None:
    spawned: Body = {"id": "sub", "agent": "helper", "reason": "spawn", "messages": [user("look"), assistant("found")]}
    told = trace(TALK, [{"in": 1}, {"in": 1, "thread": "sub"}])
    told["threads"] = [*told["threads"], spawned]  # type: ignore[misc]
    assert gaps(calls_of(tmp_path, told)) == [0]


def test_recorded_times_are_taken_as_they_are(tmp_path: Path) -> None:
    timed: Body = {"in": 1, "t_req": 2.0, "t_first": 2.5, "t_end": 9.0}
    untimed: Body = {"in": 3, "t_req": 12.0, "t_first": None, "t_end": None}
    for t0 in ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00", "2026-01-02T01:00:00+01:00"):
        first, second = calls_of(tmp_path, trace(TALK, [timed, untimed], t0=t0))
        begin_s = 1767312000
        assert [first.at_s, first.first_token_at_s, first.end_at_s] == [begin_s + 2, begin_s + 2.5, begin_s + 9]
        assert second.at_s == second.first_token_at_s == second.end_at_s == begin_s + 12


def test_recorded_times_give_way_to_arranged_ones(tmp_path: Path) -> None:
    calls = calls_of(tmp_path, trace(TALK, [{"in": 1, "t_req": 500.0}]), arrivals=Arrivals.BRISK)
    assert calls[0].at_s == 0


def agent(**fields: object) -> Body:
    return {"name": "helper", "model": MODEL, "system": None, "tools": None, "system_known": False, **fields}  # type: ignore[dict-item]


TOOL: Body = {"name": "look", "input_schema": {"type": "object"}}


def test_a_prefix_goes_to_agents_whose_prompt_was_not_recorded(tmp_path: Path) -> None:
    told = [
        trace(TALK, [{"in": 1}], trace_id="lacks", agents=[agent()]),
        trace(TALK, [{"in": 1}], trace_id="has", agents=[agent(system_known=True)]),
        trace(TALK, [{"in": 1}], trace_id="half", agents=[agent(system="be kind")]),
    ]
    bare = calls_of(tmp_path, *told)
    assert [call.lacks_prompt for call in bare] == [True, False, False]

    lacking, having, half = calls_of(tmp_path, *told, system=[text("be brief")], tools=[TOOL])
    assert not lacking.lacks_prompt
    assert (lacking.request["system"], lacking.request["tools"]) == ([text("be brief")], [TOOL])
    assert not {"system", "tools"} & having.request.keys()
    assert (half.request["system"], half.request["tools"]) == ([text("be kind")], [TOOL])


def test_the_model_is_the_calls_then_the_agents_then_the_one_that_was_named(tmp_path: Path) -> None:
    told = [
        trace(TALK, [{"in": 1, "model": "claude-opus-5"}], agents=[agent()]),
        trace(TALK, [{"in": 1, "model": "gpt-4o"}], agents=[agent()]),
        trace(TALK, [{"in": 1, "model": None}], agents=[agent(model="gpt-4o")]),
    ]
    models = [call.request["model"] for call in calls_of(tmp_path, *told, model="claude-haiku-5-5")]
    assert models == ["claude-opus-5", MODEL, "claude-haiku-5-5"]
    with pytest.raises(TargetError, match=r"line 3 \(t-1\) names no Claude model; say which one to bill with --model"):
        calls_of(tmp_path, *told)


CYCLE = [
    {"id": "main", "prefix_of": {"thread": "other", "upto": 1}, "messages": []},
    {"id": "other", "prefix_of": {"thread": "main", "upto": 1}, "messages": []},
]
UNSOUND: dict[str, Body] = {
    "no such thread": trace(TALK, [{"in": 1, "thread": "x"}]),
    "no such agent": trace(TALK, [{"in": 1, "agent": "x"}]),
    "beyond the thread": trace(TALK, [{"in": 7}]),
    "before the thread": trace(TALK, [{"in": 0}]),
    "a count below zero": trace(TALK, [{"in": -1}]),
    "a content that is no list": trace([{"role": "user", "content": "hi"}, assistant("x")], [{"in": 1}]),
    "threads in a circle": trace(TALK, [{"in": 1}], threads=CYCLE),  # type: ignore[arg-type]
    "a time that is none": trace(TALK, [{"in": 1}], t0="yesterday"),
}


@pytest.mark.parametrize("told", UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_trace_is_named(tmp_path: Path, told: Body) -> None:
    with pytest.raises(TargetError, match=r"traces.jsonl, line 1 \(t-1\): not a sound trace"):
        calls_of(tmp_path, told)
