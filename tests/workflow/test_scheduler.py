"""When calls go out: one writes a prefix and the others follow, within bounds, runs in turn."""

from __future__ import annotations

import asyncio

import pytest

from agentcache.workflow.scheduling import Concurrency
from tests.workflow.gate import Gate, call


async def test_followers_wait_for_the_first_event_not_for_the_end():
    gate = Gate()
    leader = await gate.play("leader", call("p"))
    for number in range(3):
        await gate.play(f"f{number}", call("p"))
    assert gate.sent == ["leader"]
    await leader.begin()
    assert gate.sent == ["leader", "f0", "f1", "f2"]
    await gate.end_all()
    assert not gate.traces()


async def test_calls_of_different_prefixes_do_not_wait_for_each_other():
    gate = Gate()
    await gate.play("a", call("a"))
    await gate.play("b", call("b"))
    assert gate.sent == ["a", "b"]
    await gate.end_all()


async def test_calls_of_different_models_do_not_wait_for_each_other():
    gate = Gate()
    await gate.play("a", call("p"))
    await gate.play("b", call("p", model="claude-opus-5-5"))
    assert gate.sent == ["a", "b"]
    await gate.end_all()


async def test_calls_without_a_breakpoint_are_not_held():
    gate = Gate()
    for name in ("a", "b"):
        await gate.play(name, call())
    assert gate.sent == ["a", "b"]
    await gate.end_all()


async def test_calls_wait_for_the_longest_prefix_that_is_being_written():
    gate = Gate()
    leader = await gate.play("leader", call("short", "long"))
    both = await gate.play("both", call("short", "long", "own tail"))
    await leader.begin()
    assert gate.sent == ["leader", "both"]
    assert both.admission[0].awaited.prefix_tokens == 2000
    await gate.end_all()


@pytest.mark.parametrize("how", ["cancel", "fail"])
async def test_when_the_leader_ends_before_its_first_event_the_next_in_line_leads(how: str):
    gate = Gate()
    leader = await gate.play("leader", call("p"))
    for number in range(3):
        await gate.play(f"f{number}", call("p"))
    if how == "cancel":
        await leader.cancel()
    else:
        await leader.retry()
    assert gate.sent == ["leader", "f0"]
    await gate.played[1].begin()
    assert gate.sent == ["leader", "f0", "f1", "f2"]
    await gate.end_all()
    assert not gate.traces()


async def test_a_leader_that_ends_after_its_first_event_leaves_the_prefix_readable():
    gate = Gate()
    leader = await gate.play("leader", call("p"))
    await leader.begin()
    await leader.cancel()
    for name in ("a", "b"):
        await gate.play(name, call("p"))
    assert gate.sent == ["leader", "a", "b"]
    await gate.end_all()


async def test_a_retry_of_a_former_leader_follows_the_one_that_leads_now():
    gate = Gate()
    leader = await gate.play("leader", call("p"))
    follower = await gate.play("follower", call("p"))
    await leader.retry()
    await gate.clock.pass_s(1.0)
    assert not leader.is_under_way()
    await follower.begin()
    assert leader.is_under_way()
    assert leader.held_s == {"prefix": 1.0}
    await gate.end_all()
    assert not gate.traces()


async def test_a_warm_prefix_is_not_waited_for():
    gate = Gate()
    await (await gate.play("first", call("p"))).end()
    for name in ("a", "b"):
        await gate.play(name, call("p"))
    assert gate.sent == ["first", "a", "b"]
    await gate.end_all()


async def test_an_expired_prefix_is_waited_for_again():
    gate = Gate()
    await (await gate.play("first", call("p"))).end()
    await gate.clock.pass_s(301.0)
    for name in ("a", "b"):
        await gate.play(name, call("p"))
    assert gate.sent == ["first", "a"]
    await gate.end_all()


async def test_half_a_deadline_without_an_event_and_the_next_in_line_leads_too():
    gate = Gate(deadline_s=4.0)
    for name in ("slow", "next", "third"):
        await gate.play(name, call("p"))
    await gate.clock.pass_s(1.9)
    assert gate.sent == ["slow"]
    await gate.clock.pass_s(0.2)
    assert gate.sent == ["slow", "next"]
    await gate.played[1].begin()
    assert gate.sent == ["slow", "next", "third"]
    await gate.end_all()
    assert not gate.traces()


async def test_a_late_leader_s_first_event_serves_those_who_wait_for_its_successor():
    gate = Gate(deadline_s=4.0)
    for name in ("slow", "next", "third"):
        await gate.play(name, call("p"))
    await gate.clock.pass_s(2.1)
    await gate.played[0].begin()
    assert gate.sent == ["slow", "next", "third"]
    await gate.end_all()


async def test_after_the_whole_deadline_calls_go_anyway():
    gate = Gate(deadline_s=4.0)
    for name in ("slow", "slow too", "third", "fourth"):
        await gate.play(name, call("p"))
    await gate.clock.pass_s(2.0)
    await gate.clock.pass_s(2.0)
    assert gate.sent == ["slow", "slow too", "third", "fourth"]
    assert gate.played[3].held_s == {"prefix": 4.0}
    await gate.end_all()


async def test_cancelled_followers_leave_no_trace():
    gate = Gate()
    leader = await gate.play("leader", call("p"))
    followers = [await gate.play(f"f{number}", call("p")) for number in range(3)]
    for follower in followers[:2]:
        await follower.cancel()
    await leader.begin()
    assert gate.sent == ["leader", "f2"]
    await gate.end_all()
    assert not gate.traces()


async def test_a_call_that_is_cancelled_in_the_moment_of_its_admission_hands_over():
    gate = Gate(concurrency=Concurrency(per_model_default=1))
    first = await gate.play("first", call("a"))
    second = await gate.play("second", call("b"))
    await gate.play("third", call("c"))
    first.told.put_nowait("end")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second.task.cancel()
    await gate.clock.pass_s(0.0)
    assert gate.sent[-1] == "third"
    await gate.end_all()
    assert not gate.traces()


async def test_a_wait_that_is_worth_more_than_it_saves_is_not_waited():
    gate = Gate(second_usd="1")
    for name in ("a", "b"):
        await gate.play(name, call("p"))
    assert gate.sent == ["a", "b"]
    await gate.end_all()


async def test_a_model_has_no_more_calls_under_way_than_allowed():
    gate = Gate(concurrency=Concurrency(per_model={"claude-sonnet-5-5": 2}))
    for number in range(4):
        await gate.play(str(number), call(f"own {number}"))
    await gate.play("other model", call("own", model="claude-opus-5-5"))
    assert gate.sent == ["0", "1", "other model"]
    await gate.clock.pass_s(3.0)
    await gate.played[1].end()
    assert gate.sent == ["0", "1", "other model", "2"]
    assert gate.played[2].held_s == {"concurrency": 3.0}
    await gate.end_all()
    assert not gate.traces()


async def test_a_run_has_no_more_calls_under_way_than_allowed_over_all_its_models_and_nested_runs():
    gate = Gate(concurrency=Concurrency(per_run=2))
    gate.nest("top")
    gate.nest("inner", below="top")
    await gate.play("a", call("a", run="top"))
    await gate.play("b", call("b", run="inner", model="claude-opus-5-5"))
    await gate.play("c", call("c", run="inner"))
    await gate.play("other", call("d", run="other"))
    assert gate.sent == ["a", "b", "other"]
    await gate.played[1].end()
    assert gate.sent == ["a", "b", "other", "c"]
    await gate.end_all()
    assert not gate.traces()


async def test_runs_take_turns():
    gate = Gate(concurrency=Concurrency(per_model_default=1))
    for number in range(3):
        await gate.play(f"big {number}", call(f"b{number}", run="big"))
    await gate.play("small", call("s", run="small"))
    for played in gate.played:
        await played.end()
    assert gate.sent.index("small") <= 2
    await gate.end_all()


async def test_followers_need_room_too():
    gate = Gate(concurrency=Concurrency(per_model_default=2))
    leader = await gate.play("leader", call("p"))
    for number in range(3):
        await gate.play(f"f{number}", call("p"))
    await gate.clock.pass_s(1.0)
    await leader.begin()
    assert gate.sent == ["leader", "f0"]
    await gate.clock.pass_s(2.0)
    await leader.end()
    assert gate.sent == ["leader", "f0", "f1"]
    assert gate.played[2].held_s == {"prefix": 1.0, "concurrency": 2.0}
    await gate.end_all()


async def test_a_refusal_holds_the_other_calls_of_its_model():
    gate = Gate()
    refused = await gate.play("refused", call("a"))
    refused.admission[0].responded(429, {"retry-after": "5"})
    held = await gate.play("held", call("b"))
    await gate.play("other model", call("c", model="claude-opus-5-5"))
    assert gate.sent == ["refused", "other model"]
    await gate.clock.pass_s(4.9)
    assert gate.sent == ["refused", "other model"]
    await gate.clock.pass_s(0.1)
    assert gate.sent == ["refused", "other model", "held"]
    assert held.held_s == {"rate_limit": pytest.approx(5.0)}
    await gate.end_all()
    assert not gate.traces()


async def test_a_thousand_followers_go_in_their_order():
    gate = Gate()
    leader = await gate.play("leader", call("p"))
    names = [f"f{number}" for number in range(1000)]
    tasks = [asyncio.create_task(_through(gate, name)) for name in names]
    await leader.begin()
    await asyncio.gather(*tasks)
    assert gate.sent == ["leader", *names]
    await gate.end_all()
    assert not gate.traces()


async def _through(gate: Gate, name: str) -> None:
    async with gate.scheduler.entered(call("p")) as admitted:
        gate.sent.append(name)
        admitted.began()
