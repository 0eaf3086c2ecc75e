"""What calls lost to misses, from rows alone: what holds for any rows, and what the cause rests on."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agentcache.accounting.misses import Cause, misses
from agentcache.accounting.usage import CallKind, CallRecord, Usage
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.spans import Span

BASE = CallRecord(call_id="a", run_id="run_1", agent="clerk", model="claude-sonnet-5-5", sent_at=0.0, usage=None)
LAYERS = ("tools", "static", "session", "history", "turn")
COUNTS = st.integers(0, 5000)
USAGES = st.builds(
    Usage,
    uncached_input_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
    cache_read_tokens=COUNTS,
)


def prompt(*texts: str) -> tuple[Span, ...]:
    """Return runs of 1,000 tokens, one a layer; equal texts up to a run give it an equal digest."""
    return tuple(
        Span(layer=layer, section=None, where=f"{layer} run", tokens=1000, digest="/".join(texts[: place + 1]))
        for place, layer in enumerate(LAYERS[: len(texts)])
    )


def marked(spans: tuple[Span, ...], ttl: str = "5m") -> JsonObject:
    return {"kept": [{"digest": span.digest, "ttl": ttl} for span in spans[-1:]]}


def sent(call_id: str, at: float, usage: Usage, *texts: str, ttl: str = "5m") -> CallRecord:
    spans = prompt(*texts)
    return replace(
        BASE,
        call_id=call_id,
        sent_at=at,
        first_token_at=at + 1,
        usage=usage,
        prompt_spans=spans,
        plan=marked(spans, ttl),
        conversation="c",
    )


TEXTS = st.lists(st.sampled_from("ab"), min_size=5, max_size=5)
ROWS = st.builds(
    lambda at, usage, texts, ttl: sent("?", at, usage, *texts, ttl=ttl),
    st.floats(0, 5000),
    USAGES,
    TEXTS,
    st.sampled_from(["5m", "1h"]),
)
LEDGERS = st.lists(ROWS, max_size=8).map(lambda rows: [replace(row, call_id=str(n)) for n, row in enumerate(rows)])


@given(LEDGERS)
def test_no_call_loses_more_than_it_was_billed_beyond_what_it_read(calls: list[CallRecord]):
    for miss in misses(calls):
        assert miss.call.usage is not None
        assert 0 <= miss.lost_tokens <= miss.call.usage.input_tokens - miss.call.usage.cache_read_tokens
        assert miss.lost_usd is not None
        assert miss.lost_usd >= 0
        assert miss.earlier.sent_at <= miss.call.sent_at


@given(LEDGERS, st.randoms())
def test_the_order_in_which_rows_come_means_nothing(calls: list[CallRecord], dice: random.Random):
    shuffled = list(calls)
    dice.shuffle(shuffled)

    found = misses(calls)

    assert misses(shuffled) == found
    assert len({miss.call.call_id for miss in found}) == len(found)


def test_a_read_within_the_lifetime_lets_an_entry_live_on():
    write, read = Usage(cache_write_5m_tokens=5000), Usage(cache_read_tokens=5000)
    calls = [
        sent("a", 0, write, *"aaaaa"),
        sent("b", 200, read, *"aaaaa"),
        sent("c", 499, write, *"aaaaa"),
        sent("d", 799, write, *"aaaaa"),
    ]

    assert [(miss.call.call_id, miss.cause) for miss in misses(calls)] == [
        ("c", Cause.UNEXPLAINED),
        ("d", Cause.EXPIRED),
    ]


def test_another_model_has_a_cache_of_its_own():
    write = Usage(cache_write_5m_tokens=5000)
    calls = [sent("a", 0, write, *"aaaaa"), replace(sent("b", 9, write, *"aaaaa"), model="claude-opus-5-5")]

    assert misses(calls) == ()


def test_tools_that_move_lose_all_that_was_cached():
    write = Usage(cache_write_5m_tokens=5000)

    (miss,) = misses([sent("a", 0, write, *"aaaaa"), sent("b", 9, write, *"baaaa")])

    assert (miss.cause, miss.span.layer, miss.lost_tokens) == (Cause.MOVED, "tools", 5000)


def unmarked(call_id: str, at: float, *texts: str) -> CallRecord:
    return replace(sent(call_id, at, Usage(uncached_input_tokens=1000 * len(texts)), *texts), plan={})


def test_what_was_sent_before_and_never_cached_is_told_with_how_much_could_have_been():
    (miss,) = misses([unmarked("a", 0, *"aaaaa"), unmarked("b", 60, *"aaab")])

    assert (miss.cause, miss.earlier.call_id) == (Cause.NEVER_WRITTEN, "a")
    assert (miss.available_tokens, miss.lost_tokens, miss.gap_s, miss.ttl_s) == (3000, 3000, 60, None)


def test_a_beginning_under_the_minimum_loses_nothing():
    calls = [replace(unmarked(name, at, "a"), model="claude-haiku-4-5") for name, at in (("a", 0), ("b", 60))]

    (miss,) = misses(calls)

    assert (miss.cause, miss.available_tokens, miss.lost_tokens) == (Cause.BELOW_MINIMUM, 1000, 0)


def test_prompts_that_share_nothing_lose_nothing():
    assert misses([unmarked("a", 0, *"aaaaa"), unmarked("b", 60, *"baaaa")]) == ()


def test_a_row_whose_plan_is_not_understood_wrote_nothing_that_is_known():
    write = Usage(cache_write_5m_tokens=5000)
    odd: list[JsonObject] = [{}, {"kept": "all"}, {"kept": ["one"]}]
    calls = [replace(sent(str(at), at * 400.0, write, *"aaaaa"), plan=plan) for at, plan in enumerate(odd)]

    assert misses(calls) == ()


def test_a_call_that_keeps_a_prefix_alive_misses_nothing():
    write = Usage(cache_write_5m_tokens=5000)
    calls = [sent("a", 0, write, *"aaaaa"), replace(sent("b", 900, write, *"aaaaa"), kind=CallKind.KEEP_ALIVE)]

    assert misses(calls) == ()


def test_rows_from_before_runs_were_kept_are_passed_over():
    write = Usage(cache_write_5m_tokens=5000)
    old = replace(sent("a", 0, write, *"aaaaa"), prompt_spans=None)

    assert misses([old, replace(old, call_id="b", sent_at=900)]) == ()


def test_a_message_that_changed_is_named_where_the_conversation_parted():
    write = Usage(cache_write_5m_tokens=5000)
    after = sent("b", 9, Usage(cache_read_tokens=3000, cache_write_5m_tokens=2000), *"aaaba")
    told = [replace(span, parted=span.layer == "history") for span in after.prompt_spans or ()]

    (miss,) = misses([sent("a", 0, write, *"aaaaa"), replace(after, prompt_spans=tuple(told))])

    assert (miss.cause, miss.span.where, miss.lost_tokens) == (Cause.MOVED, "history run", 2000)


def test_messages_that_differ_without_a_parting_are_another_question():
    write, read = Usage(cache_write_5m_tokens=5000), Usage(cache_read_tokens=3000, cache_write_5m_tokens=2000)

    assert misses([sent("a", 0, write, *"aaaaa"), sent("b", 9, read, *"aaaba")]) == ()
