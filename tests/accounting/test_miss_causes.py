"""Why a call read less than it could have, told from rows: each cause with what was lost, where, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.misses import Cause, Miss, misses
from agentcache.accounting.usage import CallRecord, Usage
from tests.accounting.test_misses import prompt, sent, unmarked

WRITE = Usage(cache_write_5m_tokens=5000)


def only(*calls: CallRecord) -> Miss:
    (found,) = misses(calls)
    return found


def marking(call: CallRecord, *places: int) -> CallRecord:
    """Return the call with breakpoints behind these runs of its prompt."""
    spans = call.prompt_spans or ()
    return replace(call, plan={"kept": [{"digest": spans[place].digest, "ttl": "5m"} for place in places]})


def sized(call: CallRecord, sizes: Sequence[int]) -> CallRecord:
    """Return the call with runs of these estimated lengths."""
    spans = zip(call.prompt_spans or (), sizes, strict=True)
    return replace(call, prompt_spans=tuple(replace(span, tokens=tokens) for span, tokens in spans))


@pytest.mark.parametrize(
    ("ttl", "at", "cause", "ttl_s"),
    [
        ("5m", 299, Cause.UNEXPLAINED, 300),
        ("5m", 301, Cause.EXPIRED, 300),
        ("1h", 3599, Cause.UNEXPLAINED, 3600),
        ("1h", 3601, Cause.EXPIRED, 3600),
    ],
)
def test_an_entry_expires_after_the_lifetime_that_its_breakpoint_asked_for(
    ttl: str, at: float, cause: Cause, ttl_s: float
) -> None:
    found = only(sent("a", 0, WRITE, *"aaaaa", ttl=ttl), sent("b", at, WRITE, *"aaaaa", ttl=ttl))

    assert (found.cause, found.ttl_s, found.gap_s) == (cause, ttl_s, at)


def test_what_was_not_read_begins_behind_what_was() -> None:
    later = sent("b", 400, Usage(cache_read_tokens=2000, cache_write_5m_tokens=3000), *"aaaaa")

    found = only(sent("a", 0, WRITE, *"aaaaa"), later)

    assert (found.cause, found.span.where, found.read_tokens) == (Cause.EXPIRED, "session run", 2000)
    assert (found.available_tokens, found.lost_tokens) == (5000, 3000)
    assert found.lost_usd == Decimal("0.0069")  # 3,000 tokens written at 2.50 and not read at 0.20 dollars per million


@pytest.mark.parametrize(
    ("first_token_at", "ended_at", "cause"),
    [
        (10, 20, Cause.UNEXPLAINED),
        (12, 20, Cause.CONCURRENT),
        (None, 10, Cause.UNEXPLAINED),
        (None, 12, Cause.CONCURRENT),
        (None, None, Cause.CONCURRENT),
    ],
)
def test_nobody_reads_what_is_still_being_written(
    first_token_at: float | None, ended_at: float | None, cause: Cause
) -> None:
    writes = replace(sent("a", 0, WRITE, *"aaaaa"), first_token_at=first_token_at, ended_at=ended_at)

    assert only(writes, sent("b", 11, WRITE, *"aaaaa")).cause is cause


def test_the_call_that_wrote_first_is_named_until_another_had_to_write_it_anew() -> None:
    calls = [
        sent("a", 0, WRITE, *"aaaaa"),
        sent("b", 100, WRITE, *"aaaaa"),
        sent("c", 450, WRITE, *"aaaaa"),
        sent("d", 800, WRITE, *"aaaaa"),
    ]

    assert [(found.call.call_id, found.earlier.call_id, found.cause) for found in misses(calls)] == [
        ("b", "a", Cause.UNEXPLAINED),
        ("c", "a", Cause.EXPIRED),
        ("d", "c", Cause.EXPIRED),
    ]


def test_a_length_that_is_only_estimated_is_not_compared_to_the_token() -> None:
    sizes = [1000, 1000, 100, 1000, 1000]
    read = Usage(cache_read_tokens=2000, cache_write_5m_tokens=2100)
    writes = marking(sized(sent("a", 0, Usage(cache_write_5m_tokens=4100), *"aaaaa"), sizes), 2, 4)
    reads = sized(sent("b", 9, read, *"aaabb"), sizes)

    assert misses([writes, replace(reads, conversation="another")]) == ()
    far = replace(reads, usage=Usage(cache_read_tokens=1000, cache_write_5m_tokens=3100))
    assert only(writes, replace(far, conversation="another")).lost_tokens == 1100


def test_a_length_that_was_billed_is_compared_to_the_token() -> None:
    sizes = [1000, 1000, 100]
    writes = sized(sent("a", 0, Usage(cache_write_5m_tokens=2100), *"aaa"), sizes)
    reads = sized(sent("b", 9, Usage(cache_read_tokens=2000, cache_write_5m_tokens=100), *"aaa"), sizes)

    assert only(writes, reads).lost_tokens == 100


def test_a_read_tells_how_long_an_entry_is_and_renews_none_that_is_deeper() -> None:
    calls = [
        marking(sent("a", 0, WRITE, *"aaaaa"), 1, 2),
        sent("b", 200, Usage(cache_read_tokens=2000, uncached_input_tokens=3000), *"aaaab"),
        sent("c", 400, Usage(cache_read_tokens=2000, cache_write_5m_tokens=3000), *"aaabb"),
    ]

    assert [(found.call.call_id, found.cause, found.gap_s) for found in misses(calls)] == [
        ("b", Cause.UNEXPLAINED, 200),
        ("c", Cause.EXPIRED, 400),
    ]


def test_another_conversation_of_the_agent_should_have_what_all_of_them_share() -> None:
    first = sent("a", 0, WRITE, *"aaaaa")
    tools = replace(sent("b", 9, WRITE, *"bbbbb"), conversation="another")
    session = replace(sent("b", 9, WRITE, *"aabbb"), conversation="another")

    found = only(first, tools)

    assert (found.cause, found.span.where, found.available_tokens) == (Cause.MOVED, "tools run", 2000)
    assert (found.earlier.call_id, found.gap_s, found.ttl_s) == ("a", 9, 300)
    assert misses([first, session]) == (), "its session section is its own"
    assert misses([first, replace(tools, agent="editor")]) == ()


def test_what_would_have_been_lost_all_the_same_was_not_lost_by_the_change() -> None:
    first = sent("a", 0, WRITE, *"aaaaa")

    assert misses([first, sent("b", 301, WRITE, *"baaaa")]) == (), "it had expired"
    assert misses([first, sent("b", 0.5, WRITE, *"baaaa")]) == (), "it was still being written"
    assert only(first, sent("b", 299, WRITE, *"baaaa")).cause is Cause.MOVED


def test_no_more_is_lost_than_the_prompt_has() -> None:
    shorter = sent("b", 9, Usage(cache_write_5m_tokens=1500), "b")

    assert only(sent("a", 0, WRITE, *"aaaaa"), shorter).lost_tokens == 1500


def test_calls_of_which_nothing_is_known_are_passed_over_and_those_behind_them_are_not() -> None:
    first = sent("a", 0, WRITE, *"aaaaa")
    unknown = [
        replace(sent("b", 1, WRITE, *"aaaaa"), usage=None),
        sent("c", 2, Usage(), *"aaaaa"),
        replace(sent("d", 3, WRITE, *"aaaaa"), prompt_spans=None),
    ]

    assert only(first, *unknown, sent("e", 301, WRITE, *"aaaaa")).call.call_id == "e"


def test_a_beginning_of_the_models_minimum_could_have_been_cached() -> None:
    minimum = 4096
    calls = [
        replace(
            unmarked(name, at, "a"),
            model="claude-haiku-4-5",
            usage=Usage(uncached_input_tokens=minimum),
            prompt_spans=tuple(replace(span, tokens=minimum) for span in prompt("a")),
        )
        for name, at in (("a", 0), ("b", 60))
    ]

    assert only(*calls).cause is Cause.NEVER_WRITTEN
