"""The scheduler's pure decisions: settings, deadlines, whether to wait, whose turn it is, room among the limits."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache import Concurrency, Scheduling, SettingsError
from agentcache.workflow.fair_queue import FairQueue
from agentcache.workflow.rate_limits import BUCKETS, LearnedLimits, Need
from agentcache.workflow.scheduling import (
    DEADLINE_FACTOR,
    FIRST_DEADLINE_S,
    LONGEST_DEADLINE_S,
    SEEN_ENOUGH,
    SHORTEST_DEADLINE_S,
    FirstTokenTime,
    choose_deadline,
    expected_wait_s,
    saved_by_reading_usd,
    worth_waiting,
)
from agentcache.workflow.warm_prefixes import REMEMBERED, WarmPrefixes
from tests.workflow.gate import call

SECONDS = st.floats(0.0, 1000.0)


@pytest.mark.parametrize("wrong", [{"second_usd": -1}, {"second_usd": "much"}, {"deadline_s": 0}])
def test_settings_without_a_meaning_are_refused(wrong: dict[str, float]):
    with pytest.raises(SettingsError, match="Scheduling"):
        Scheduling(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_bound_below_one_is_refused():
    with pytest.raises(SettingsError, match="at least 1"):
        Concurrency(per_run=0)


def test_a_model_is_bound_in_every_spelling():
    bounds = Concurrency(per_model={"claude-sonnet-5-5": 3}, per_model_default=9)
    assert bounds.of_model("anthropic.claude-sonnet-5-5") == 3
    assert bounds.of_model("claude-opus-5-5") == 9


def times(seconds: list[float]) -> list[FirstTokenTime]:
    return [FirstTokenTime(1000, each) for each in seconds]


@given(seen=st.lists(SECONDS, max_size=60))
def test_a_deadline_is_learned_within_bounds(seen: list[float]):
    chosen = choose_deadline(times(seen), uncached_tokens=1000, setting=None)
    if len(seen) < SEEN_ENOUGH:
        assert (chosen.seconds, chosen.basis) == (FIRST_DEADLINE_S, "assumed")
    else:
        assert SHORTEST_DEADLINE_S <= chosen.seconds <= LONGEST_DEADLINE_S
        assert chosen.seconds <= max(SHORTEST_DEADLINE_S, DEADLINE_FACTOR * max(seen))


def test_a_deadline_that_is_set_holds():
    assert choose_deadline(times([100.0] * 50), uncached_tokens=1000, setting=1.5).seconds == 1.5


def test_calls_that_had_far_less_to_process_say_nothing_of_a_leader():
    reads = [FirstTokenTime(50, 0.5)] * 100
    assert choose_deadline(reads, uncached_tokens=200_000, setting=None).basis == "assumed"
    long_writes = [FirstTokenTime(150_000, 9.0)] * SEEN_ENOUGH
    assert choose_deadline(reads + long_writes, uncached_tokens=200_000, setting=None).seconds == 72.0


def test_what_is_left_of_a_leader_s_usual_time_is_expected():
    assert expected_wait_s(times([2.0, 9.0, 3.0]), uncached_tokens=1000, elapsed_s=1.0) == 2.0
    assert expected_wait_s(times([2.0]), uncached_tokens=1000, elapsed_s=5.0) == 0.0


def test_a_read_saves_the_difference_to_the_write_that_it_replaces():
    assert saved_by_reading_usd("claude-sonnet-4-5", 1_000_000, "5m", prompt_tokens=0) == Decimal("3.45")
    assert saved_by_reading_usd("claude-sonnet-4-5", 1_000_000, "1h", prompt_tokens=0) == Decimal("5.70")
    assert saved_by_reading_usd("no-such-model", 1_000_000, "5m", prompt_tokens=0) is None


@given(saved=st.decimals(0, 10, places=4), wait_s=SECONDS)
def test_waiting_that_costs_nothing_is_always_worth_it(saved: Decimal, wait_s: float):
    assert worth_waiting(saved, wait_s, second_usd=Decimal(0))


@given(saved=st.decimals(0, 10, places=4), wait_s=SECONDS, more=SECONDS, price=st.decimals("0.0001", 1, places=4))
def test_a_longer_wait_is_never_worth_more(saved: Decimal, wait_s: float, more: float, price: Decimal):
    if not worth_waiting(saved, wait_s, second_usd=price):
        assert not worth_waiting(saved, wait_s + more, second_usd=price)


RUNS = st.sampled_from(["a", "b", "c", "d"])


@given(arrivals=st.lists(RUNS, min_size=1, max_size=60))
def test_no_run_waits_for_more_than_one_turn_of_each_other_run(arrivals: list[str]):
    queue: FairQueue[int] = FairQueue()
    for number, run in enumerate(arrivals):
        queue.add(number, run)
    waiting = {run: arrivals.count(run) for run in set(arrivals)}
    passed_over = dict.fromkeys(waiting, 0)
    while (taken := queue.take()) is not None:
        run = arrivals[taken]
        waiting[run] -= 1
        passed_over[run] = 0
        for other, left in waiting.items():
            if other != run and left:
                passed_over[other] += 1
                assert passed_over[other] < len(waiting)
    assert not any(waiting.values())
    assert not queue


STEPS = st.lists(st.tuples(st.sampled_from(["add", "first", "take", "put back", "discard", "block", "unblock"]), RUNS))


@given(steps=STEPS)
def test_a_queue_loses_and_invents_nothing_and_blocked_runs_get_no_turn(steps: list[tuple[str, str]]):
    queue: FairQueue[int] = FairQueue()
    waiting: dict[int, str] = {}
    blocked: set[str] = set()
    for number, (step, run) in enumerate(steps):
        if step in {"add", "first"}:
            queue.add(number, run, first=step == "first")
            waiting[number] = run
        elif step in {"take", "put back"}:
            taken = queue.take()
            assert (taken is None) == all(own in blocked for own in waiting.values())
            if taken is not None and step == "put back":
                queue.put_back(taken, waiting[taken])
                assert queue.take() == taken
            if taken is not None:
                assert waiting.pop(taken) not in blocked
        elif step == "discard":
            oldest = next((item for item, own in waiting.items() if own == run), None)
            if oldest is not None:
                queue.discard(oldest, run)
                del waiting[oldest]
        elif step == "block":
            queue.block(run)
            blocked.add(run)
        else:
            queue.unblock(run)
            blocked.discard(run)
        assert bool(queue) == bool(waiting)
    for run in blocked:
        queue.unblock(run)
    rest = [queue.take() for _ in waiting]
    assert sorted(rest) == sorted(waiting)  # type: ignore[type-var]  # none is None, or they would differ
    assert queue.take() is None


def headers(**remaining: int) -> dict[str, str]:
    told = {}
    for name, left in remaining.items():
        bucket = name.replace("_", "-")
        told[f"anthropic-ratelimit-{bucket}-limit"] = "60"
        told[f"anthropic-ratelimit-{bucket}-remaining"] = str(left)
    return told


def need(tokens: int = 1) -> Need:
    return Need(input_tokens=tokens, output_tokens=0)


def test_what_no_header_told_holds_nobody():
    limits = LearnedLimits()
    limits.heard(200, {"request-id": "req_1"}, now=0.0)
    assert limits.wait_s(need(10**9), now=0.0) == 0.0


def test_an_empty_bucket_is_waited_for_until_it_holds_what_is_needed():
    limits = LearnedLimits()
    limits.heard(200, headers(input_tokens=10), now=0.0)
    assert limits.wait_s(need(30), now=0.0) == 20.0
    assert limits.wait_s(need(30), now=15.0) == 5.0


def test_calls_under_way_count_until_an_answer_has_them_in_its_count():
    limits = LearnedLimits()
    limits.heard(200, headers(requests=2), now=0.0)
    for _ in range(2):
        limits.sent(need())
    assert limits.wait_s(need(), now=0.0) == 1.0
    limits.heard(200, headers(requests=1), now=0.0)
    limits.counted(need())
    assert limits.wait_s(need(), now=0.0) == 1.0
    limits.counted(need())
    assert limits.wait_s(need(), now=0.0) == 0.0


def test_a_call_larger_than_its_bucket_waits_for_a_full_one():
    limits = LearnedLimits()
    limits.heard(200, headers(input_tokens=60), now=0.0)
    assert limits.wait_s(need(1000), now=0.0) == 0.0


def test_refusals_in_a_row_pause_longer_and_those_sent_together_are_one():
    limits = LearnedLimits()
    pauses = []
    now = 0.0
    for _ in range(3):
        limits.heard(529, {}, now=now)
        limits.heard(529, {}, now=now + 0.1)
        pauses.append(limits.paused_until - now)
        now = limits.paused_until
    assert pauses == [0.5, 1.0, 2.0]
    limits.heard(200, {}, now=now)
    limits.heard(529, {}, now=now)
    assert limits.paused_until - now == 0.5


def test_a_pause_that_the_server_names_is_kept():
    limits = LearnedLimits()
    limits.heard(429, {"retry-after": "7"}, now=100.0)
    assert limits.wait_s(need(), now=100.0) == 7.0


def test_the_output_of_an_answer_counts_unless_newer_headers_have_it():
    limits = LearnedLimits()
    limits.heard(200, headers(output_tokens=60), now=0.0)
    limits.answered(60, heard_at=0.0)
    assert limits.need(0).output_tokens == 60
    assert limits.wait_s(limits.need(0), now=0.0) == 60.0
    limits.heard(200, headers(output_tokens=60), now=1.0)
    limits.answered(60, heard_at=0.0)
    assert limits.wait_s(limits.need(0), now=1.0) == 0.0


@given(
    limit=st.integers(1, 500),
    arrivals=st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(1, 100)), min_size=1, max_size=40),
)
def test_a_server_that_counts_as_documented_never_has_to_refuse(limit: int, arrivals: list[tuple[float, int]]):
    """One bucket of input tokens, calls one after the other: whoever waits as told finds room."""
    limits = LearnedLimits()
    used, now = 0.0, 0.0
    waiting = deque(arrivals)
    limits.heard(200, _told(limit, used), now=now)
    while waiting:
        pause_s, tokens = waiting.popleft()
        asked = need(min(tokens, limit))
        waited_s = pause_s + limits.wait_s(asked, now=now + pause_s)
        now, used = now + waited_s, max(0.0, used - waited_s * limit / 60)
        assert used + asked.input_tokens <= limit + 1 + 1e-6  # headers say whole tokens
        limits.sent(asked)
        used += asked.input_tokens
        limits.heard(200, _told(limit, used), now=now)
        limits.counted(asked)
        limits.ended(asked)
    assert not any(limits._under_way[bucket] for bucket in BUCKETS)


def _told(limit: int, used: float) -> dict[str, str]:
    name = "anthropic-ratelimit-input-tokens"
    return {f"{name}-limit": str(limit), f"{name}-remaining": str(max(0, int(limit - used)))}


def test_the_prefixes_in_mind_are_bounded():
    warm = WarmPrefixes()
    for number in range(3):
        warm.begun(call(*(f"{number} {item}" for item in range(REMEMBERED // 2))), sent_at=0.0)
    assert len(warm._until) == REMEMBERED
    assert warm.cold(call("0 0"), now=1.0)
    assert not warm.cold(call("2 0"), now=1.0)
