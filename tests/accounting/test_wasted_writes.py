"""Which written tokens were never read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting import wasted_writes
from agentcache.accounting.billed_calls import BilledCall, billed_call
from agentcache.accounting.usage import CallKind, CallRecord, Usage
from agentcache.accounting.wasted_writes import Writes, WrittenRange, wasted_write_tokens
from agentcache.prompt.canonical import JsonObject

BASE = CallRecord(call_id="a", run_id="run_1", agent="support", model="claude-sonnet-5-5", sent_at=0.0, usage=None)


def call(
    call_id: str,
    at: float,
    *,
    read: int = 0,
    write: int = 0,
    marks: tuple[str, ...] = (),
    found: tuple[str, ...] = (),
) -> CallRecord:
    usage = Usage(cache_read_tokens=read, cache_write_5m_tokens=write)
    return replace(BASE, call_id=call_id, sent_at=at, usage=usage, prefix_digests=marks, found_digests=found)


def planned(record: CallRecord, *tokens: int) -> CallRecord:
    points = zip(record.prefix_digests, tokens, strict=True)
    return replace(record, plan={"kept": [{"digest": digest, "tokens": each} for digest, each in points]})


def test_a_write_that_nobody_reads_is_wasted():
    assert wasted_write_tokens([call("a", 0, write=5000, marks=("system",))]) == {"a": 5000}


def test_a_write_that_a_later_call_reads_is_not():
    calls = [call("a", 0, write=5000, marks=("system",)), call("b", 1, read=5000, marks=("system",))]

    assert wasted_write_tokens(calls) == {"a": 0}


def test_a_conversation_that_grows_wastes_its_last_write_only():
    calls = [
        call("a", 0, write=5000, marks=("system", "turn 1")),
        call("b", 1, read=5000, write=300, marks=("system", "turn 2"), found=("turn 1",)),
        call("c", 2, read=5300, write=400, marks=("system", "turn 3"), found=("turn 2",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 0, "b": 0, "c": 400}


def test_only_what_lies_before_the_end_of_the_read_was_used():
    """A second conversation shares the system prompt, 3,000 of the 5,000 tokens that the first one wrote."""
    calls = [call("a", 0, write=5000, marks=("system", "turn 1")), call("b", 1, read=3000, marks=("system",))]

    assert wasted_write_tokens(calls) == {"a": 2000}


def test_a_read_counts_for_the_last_of_those_who_wrote_a_prefix():
    """The prefix expired and was written again: the first write was for nothing."""
    calls = [
        call("a", 0, write=5000, marks=("system",)),
        call("b", 600, write=5000, marks=("system",)),
        call("c", 660, read=5000, marks=("system",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 5000, "b": 0}


def test_parallel_calls_that_wrote_the_same_prefix_waste_all_but_one():
    fan_out = [call(name, 0, write=5000, marks=("system",)) for name in "abc"]

    wasted = wasted_write_tokens([*fan_out, call("d", 5, read=5000, marks=("system",))])

    assert sorted(wasted.values()) == [0, 5000, 5000]


def test_a_call_that_shares_a_prefix_reads_no_deeper_than_it_is():
    """A second conversation has a long history of its own; only the system prompt in it is the first one's."""
    calls = [
        planned(call("a", 0, write=8000, marks=("system", "turn 1")), 3000, 8000),
        planned(call("b", 1, read=3000, write=7000, marks=("system", "other turn 1")), 3000, 10_000),
        call("c", 2, read=10_000, marks=("system", "other turn 2"), found=("other turn 1",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 5000, "b": 0}


def test_estimates_of_the_plan_are_scaled_to_what_was_billed():
    """The plan thought 4,000 of 8,000 tokens; the server billed 10,000, so the first mark lies at 5,000."""
    calls = [
        planned(call("a", 0, write=10_000, marks=("system", "turn 1")), 4000, 8000),
        call("b", 1, read=9000, marks=("system",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 5000}


def test_another_model_has_another_cache():
    calls = [
        call("a", 0, write=5000, marks=("system",)),
        replace(call("b", 1, read=5000, marks=("system",)), model="claude-opus-5-5"),
    ]

    assert wasted_write_tokens(calls) == {"a": 5000}


def test_an_earlier_call_does_not_use_a_later_write():
    calls = [call("b", 1, write=5000, marks=("system",)), call("a", 0, read=5000, marks=("system",))]

    assert wasted_write_tokens(calls) == {"b": 5000}


def test_without_digests_the_next_calls_of_a_conversation_are_taken_to_continue_it():
    first = replace(call("a", 0, write=5000), conversation="c-1")
    calls = [
        first,
        replace(call("b", 1, read=5000, write=200), conversation="c-1"),
        replace(call("c", 2, read=5200), conversation="c-1"),
        replace(call("d", 3, write=5000), conversation="c-2"),
    ]

    assert wasted_write_tokens(calls) == {"a": 0, "b": 0, "d": 5000}


def test_without_digests_and_conversation_the_run_is_the_place():
    calls = [call("a", 0, write=5000), replace(call("b", 1, read=5000), run_id="run_2")]

    assert wasted_write_tokens(calls) == {"a": 5000}
    assert wasted_write_tokens([calls[0], replace(calls[1], run_id="run_1")]) == {"a": 0}


def test_unknown_usage_neither_writes_nor_reads():
    calls = [call("a", 0, write=5000, marks=("system",)), replace(BASE, call_id="b", prefix_digests=("system",))]

    assert wasted_write_tokens(calls) == {"a": 5000}


def test_a_keep_alive_read_uses_nothing_and_keeps_what_it_touched_open():
    kept_alive = replace(call("b", 3000, read=5000, marks=("system",)), kind=CallKind.KEEP_ALIVE)
    calls = [call("a", 0, write=5000, marks=("system",)), kept_alive]

    assert wasted_write_tokens(calls) == {"a": 5000}
    assert wasted_write_tokens([*calls, call("c", 8000, read=5000, marks=("system",))]) == {"a": 0}


@pytest.mark.parametrize(("later", "wasted"), [(5400, 0), (5401, 5000)])
def test_a_write_is_open_for_an_hour_and_a_half(later, wasted):
    calls = [call("a", 0, write=5000, marks=("system",)), call("b", later, read=5000, marks=("system",))]

    assert wasted_write_tokens(calls) == {"a": wasted}


@pytest.mark.parametrize(("later", "wasted"), [(5400, 0), (5401, 5000)])
def test_a_write_without_digests_is_open_as_long(later, wasted):
    assert wasted_write_tokens([call("a", 0, write=5000), call("b", later, read=5000)]) == {"a": wasted}


def test_what_was_written_for_the_hour_can_be_wasted_as_well():
    usage = Usage(cache_write_5m_tokens=300, cache_write_1h_tokens=5000)
    calls = [replace(BASE, call_id="a", usage=usage, prefix_digests=("system",))]

    assert wasted_write_tokens(calls) == {"a": 5300}


def test_two_reads_of_one_range_use_as_much_as_the_longer_one():
    written = call("a", 0, write=5000, marks=("system",))
    reads = [call("b", 1, read=4000, marks=("system",)), call("c", 2, read=1000, marks=("system",))]

    assert wasted_write_tokens([written, *reads]) == {"a": 1000}


def test_a_read_uses_the_deepest_range_first_and_each_token_once():
    calls = [
        call("a", 0, write=2000, marks=("system",)),
        call("b", 1, read=2000, write=3000, marks=("turn 1",), found=("system",)),
        replace(call("c", 2, read=4000), found_digests=("system", "turn 1"), prefix_digests=("turn 2",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 0, "b": 1000}


def test_a_read_that_ends_before_the_deepest_range_uses_the_one_before_it():
    calls = [
        call("a", 0, write=2000, marks=("system",)),
        call("b", 1, read=1000, write=3000, marks=("turn 1",)),
        call("c", 2, read=900, found=("system", "turn 1"), marks=("turn 2",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 1100, "b": 3000}


def test_of_ranges_that_end_equally_deep_one_is_read():
    calls = [
        call("a", 0, write=5000, marks=("one",)),
        call("b", 1, write=5000, marks=("other",)),
        call("c", 2, read=5000, found=("one", "other"), marks=("turn",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 0, "b": 5000}


def test_a_breakpoint_that_the_plan_says_nothing_of_is_taken_to_lie_at_the_end():
    plan: JsonObject = {"kept": [{"digest": "system", "tokens": 4000}]}
    calls = [
        replace(call("a", 0, write=5000, marks=("system", "turn")), plan=plan),
        call("b", 1, read=5000, found=("turn",), marks=("more",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 0}


# ------------------------------------------------------------------------------------------------- kept between sums


def billed(record: CallRecord, *, conversation: str = "talk") -> BilledCall:
    return billed_call(replace(record, conversation=conversation))


WRITTEN = billed(planned(call("a", 10, read=1000, write=4000, marks=("system", "turn")), 2000, 6000))
BY_PLACE = billed(call("b", 20, write=300))


def test_open_writes_are_kept_by_their_digests_or_by_their_place():
    writes = Writes()
    writes.take(WRITTEN)
    writes.take(BY_PLACE)
    writes.take(billed_call(call("c", 30, write=200)))

    assert writes.to_json() == {
        "ranges": [
            ["a", 10, "run_1", "support", "claude-sonnet-5-5", 1000, 5000, 0, 10],
            ["b", 20, "run_1", "support", "claude-sonnet-5-5", 0, 300, 0, 20],
            ["c", 30, "run_1", "support", "claude-sonnet-5-5", 0, 200, 0, 30],
        ],
        "digests": {"claude-sonnet-5-5": {"system": [1666, 0], "turn": [5000, 0]}},
        "places": [
            ["claude-sonnet-5-5", "support", "conversation", "talk", [[300, 1]]],
            ["claude-sonnet-5-5", "support", "run", "run_1", [[200, 2]]],
        ],
    }


def test_writes_that_were_kept_are_read_by_the_calls_that_come_after():
    writes = Writes()
    writes.take(WRITTEN)
    writes.take(BY_PLACE)
    restored = Writes.from_json(json.loads(json.dumps(writes.to_json())))
    restored.take(billed(call("c", 30, read=1500, found=("system",), marks=("more",)), conversation="other talk"))
    restored.take(billed(call("d", 40, read=200)))

    assert {item.call_id: item.wasted_tokens for item in restored.open()} == {"a": 3500, "b": 100}
    assert list(restored.closed()) == []


def test_what_is_closed_is_final_and_no_longer_kept():
    writes = Writes()
    writes.take(WRITTEN)
    writes.take(BY_PLACE)
    writes.sweep(5410)
    assert list(writes.closed()) == [], "5400 s have not passed since the last call of each"
    writes.sweep(5411)
    assert list(writes.closed()) == [WrittenRange("a", 10, "run_1", "support", "claude-sonnet-5-5", 4000)]
    writes.sweep(5421)
    assert [item.call_id for item in writes.closed()] == ["a", "b"]
    assert writes.to_json() == {"ranges": [], "digests": {}, "places": []}


def test_closed_writes_are_put_away_once_an_hour_as_calls_come():
    writes = Writes()
    writes.take(WRITTEN)
    writes.take(billed(call("c", 3609, marks=("other",))))
    writes.take(billed(call("d", 3610, marks=("other",))))
    assert [item.call_id for item in writes.open()] == ["a"]
    writes.take(billed(call("e", 7209, marks=("other",))))
    assert [item.call_id for item in writes.open()] == ["a"], "closed by now, and looked at an hour after the last look"
    writes.take(billed(call("f", 7210, marks=("other",))))
    assert list(writes.open()) == []


digests = st.lists(st.sampled_from("abcdef"), max_size=4, unique=True).map(tuple)
calls = st.lists(
    st.builds(
        call,
        st.uuids().map(str),
        st.integers(0, 5),
        read=st.integers(0, 100),
        write=st.integers(0, 100),
        marks=digests,
        found=digests,
    ),
    max_size=8,
)


@given(calls)
@settings(max_examples=4 * settings().max_examples)
def test_waste_lies_between_nothing_and_what_was_written(drawn):
    wasted = wasted_write_tokens(drawn)
    written = {each.call_id: each.usage.cache_write_tokens for each in drawn if each.usage.cache_write_tokens}
    read = sum(each.usage.cache_read_tokens for each in drawn)

    assert wasted.keys() == written.keys()
    assert all(0 <= wasted[call_id] <= tokens for call_id, tokens in written.items())
    assert sum(written.values()) - sum(wasted.values()) <= read, "a token that was read is used once"
    assert wasted == wasted_write_tokens(reversed(drawn))


# --- open and closed ranges -------------------------------------------------------------------------------------------


def test_a_range_stays_open_as_long_as_calls_of_its_prefix_keep_coming():
    """A keep-alive call uses nothing, and keeps the entry for the call that comes after three hours."""
    kept = [
        replace(call(f"k{n}", n * 3000.0, read=5000, marks=("system",)), kind=CallKind.KEEP_ALIVE) for n in range(1, 4)
    ]
    calls = [call("a", 0, write=5000, marks=("system",)), *kept, call("b", 10_000.0, read=5000, marks=("system",))]

    assert wasted_write_tokens(calls) == {"a": 0}


def test_what_had_expired_is_not_credited_with_what_another_entry_was_read_for():
    """The first conversation comes back after two hours and reads what a second one wrote, not what it wrote itself."""
    calls = [
        call("a", 0, write=5000, marks=("system", "turn 1")),
        call("b", 7200.0, write=3000, marks=("system",)),
        call("c", 7260.0, read=3000, marks=("system",), found=("turn 1",)),
    ]

    assert wasted_write_tokens(calls) == {"a": 5000, "b": 0}


@st.composite
def conversations(draw: st.DrawFn) -> list[CallRecord]:
    """Return conversations that grow, in a cache that keeps to the rules: what is an hour old is written anew."""
    records = []
    for number in range(draw(st.integers(1, 3))):
        at, length, lives_until = float(number), 0, 0.0
        for turn, (pause, grows) in enumerate(
            draw(st.lists(st.tuples(st.sampled_from([1, 299, 3599, 3601, 9000]), st.integers(1, 500)), max_size=6))
        ):
            at += pause
            read = length if at < lives_until else 0
            length += grows
            marks, found = (f"{number}:{turn}",), tuple(f"{number}:{before}" for before in range(turn))
            records.append(call(f"{number}:{turn}", at, read=read, write=length - read, marks=marks, found=found))
            lives_until = at + 3600.0
    return records


@given(conversations())
@settings(max_examples=4 * settings().max_examples, deadline=None)
def test_to_remember_for_ever_would_tell_the_same_of_conversations(drawn):
    bounded = wasted_write_tokens(drawn)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wasted_writes, "OPEN_S", float("inf"))
        unbounded = wasted_write_tokens(drawn)

    assert bounded == unbounded
