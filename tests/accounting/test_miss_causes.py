"""Why a call read less than it could have, told from rows: each cause with what was lost, where, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.misses import Cause, Miss, misses
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.prompt.spans import Span
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


def test_a_read_tells_exactly_how_long_an_entry_is_whose_length_was_estimated() -> None:
    calls = [
        marking(sent("a", 100, WRITE, *"aaaaa"), 0, 1, 4),
        sent("b", 200, Usage(cache_read_tokens=1900, cache_write_5m_tokens=3100), *"aabbb"),
        sent("c", 600, WRITE, *"aaccc"),
        sent("d", 1200, WRITE, *"adddd"),
    ]

    expired = [found for found in misses(calls) if found.cause is Cause.EXPIRED]

    assert [(found.call.call_id, found.available_tokens, found.gap_s) for found in expired] == [
        ("c", 1900, 400),
        ("d", 1000, 1000),
    ]


def test_behind_an_entry_that_lived_a_call_leaves_one_of_its_own() -> None:
    read = Usage(cache_read_tokens=2000, cache_write_5m_tokens=3000)
    calls = [
        marking(sent("a", 0, WRITE, *"aaaaa"), 1, 4),
        marking(sent("b", 10, read, *"aabbb"), 1, 4),
        sent("c", 20, read, *"aabbb"),
    ]

    found = misses(calls)[-1]

    assert (found.call.call_id, found.earlier.call_id, found.cause) == ("c", "b", Cause.UNEXPLAINED)


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
    first = sent("a", 50, WRITE, *"aaaaa")
    tools = replace(sent("b", 59, WRITE, *"bbbbb"), conversation="another")
    session = replace(sent("b", 59, WRITE, *"aabbb"), conversation="another")
    unshared = replace(first, prompt_spans=(first.prompt_spans or ())[-1:])

    found = only(first, tools)

    assert (found.cause, found.span.where, found.available_tokens) == (Cause.MOVED, "tools run", 2000)
    assert (found.earlier.call_id, found.gap_s, found.ttl_s) == ("a", 9, 300)
    assert misses([first, session]) == (), "its session section is its own"
    assert misses([first, replace(tools, agent="editor")]) == ()
    assert misses([unshared, tools]) == (), "a prompt of messages alone shares nothing"


def test_what_would_have_been_lost_all_the_same_was_not_lost_by_the_change() -> None:
    first = sent("a", 0, WRITE, *"aaaaa")

    assert misses([first, sent("b", 301, WRITE, *"baaaa")]) == (), "it had expired"
    assert misses([first, sent("b", 0.5, WRITE, *"baaaa")]) == (), "it was still being written"
    assert only(first, sent("b", 299, WRITE, *"baaaa")).cause is Cause.MOVED


def with_settings(call: CallRecord, digest: str) -> CallRecord:
    """Return the call with what the API renders from settings in front of its prompt."""
    settings = Span(layer="settings", section=None, where="tools", tokens=0, digest=digest)
    behind = (replace(span, digest=f"{digest}/{span.digest}") for span in call.prompt_spans or ())
    spans = (settings, *behind)
    return replace(call, prompt_spans=spans, plan={"kept": [{"digest": spans[-1].digest, "ttl": "5m"}]})


def test_settings_are_named_where_they_changed_and_else_the_first_run_that_has_tokens() -> None:
    first = with_settings(sent("a", 100, WRITE, *"aaaaa"), "any")

    changed = only(first, with_settings(sent("b", 109, WRITE, *"aaaaa"), "none"))
    expired = only(first, with_settings(sent("b", 500, WRITE, *"aaaaa"), "any"))

    assert (changed.cause, changed.span.layer, changed.gap_s) == (Cause.MOVED, "settings", 9)
    assert (expired.cause, expired.span.layer, expired.gap_s) == (Cause.EXPIRED, "tools", 400)


@pytest.mark.parametrize(("read", "moved"), [(94_000, 1), (96_000, 0)])
def test_a_twentieth_of_a_long_prompt_is_within_the_error_of_the_estimate(read: int, moved: int) -> None:
    sizes = [20_000] * 5
    first = sized(sent("a", 0, Usage(cache_write_5m_tokens=100_000), *"aaaaa"), sizes)
    usage = Usage(cache_read_tokens=read, cache_write_5m_tokens=100_000 - read)

    assert len(misses([first, sized(sent("b", 9, usage, *"baaaa"), sizes)])) == moved


def test_what_was_never_cached_is_looked_for_in_the_conversation_and_then_in_the_agents_last_call() -> None:
    first = unmarked("a", 100, *"aaaaa")
    elsewhere = replace(unmarked("b", 130, *"bbbbb"), conversation="another")
    alike = replace(unmarked("b", 130, *"aabbb"), conversation="another")

    found = only(first, elsewhere, unmarked("c", 160, *"aaaaa"))
    others = only(first, alike)

    assert (found.earlier.call_id, found.gap_s, found.span.where) == ("a", 60, "tools run")
    assert (others.cause, others.earlier.call_id, others.lost_tokens) == (Cause.NEVER_WRITTEN, "a", 2000)


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
