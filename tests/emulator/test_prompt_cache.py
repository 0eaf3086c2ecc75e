"""The cache by itself, in positions and tokens: what is found, what it costs, what is written, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.prompt_cache import CachePrompt, Charge, Marker, Position, PromptCache
from agentcache.prompt.model_facts import Ttl


def prompt(*tokens: int, marks: Mapping[int, Ttl], total: int | None = None, minimum: int = 0) -> CachePrompt:
    """Return a prompt of blocks that end at these token counts, each a step of its own; 10 tokens stand behind them."""
    return CachePrompt(
        positions=tuple(Position(b"%d" % count, count, step) for step, count in enumerate(tokens)),
        markers=tuple(Marker(position, ttl) for position, ttl in marks.items()),
        total_tokens=tokens[-1] + 10 if total is None else total,
        minimum_tokens=minimum,
    )


SHORT = prompt(100, marks={0: "5m"})
LONG = prompt(100, marks={0: "1h"})
READ = Charge(read_tokens=100, plain_tokens=10)
WRITTEN_5M = Charge(write_5m_tokens=100, plain_tokens=10)
WRITTEN_1H = Charge(write_1h_tokens=100, plain_tokens=10)


# ------------------------------------------------------------------------------------------------ what is charged


def test_each_token_is_in_one_bucket_and_buckets_add_up_one_by_one() -> None:
    one = Charge(read_tokens=1, write_1h_tokens=20, write_5m_tokens=300, plain_tokens=4000)
    assert one.total_tokens == 4321
    assert one + Charge(read_tokens=5, write_1h_tokens=50, write_5m_tokens=500, plain_tokens=5000) == Charge(
        read_tokens=6, write_1h_tokens=70, write_5m_tokens=800, plain_tokens=9000
    )


def test_what_lies_behind_the_hit_is_written_as_its_markers_say_and_the_rest_is_plain() -> None:
    cache = PromptCache()
    cache.warm(SHORT, 0, now=0.0)
    charge = cache.charge(prompt(100, 250, 450, 700, marks={0: "5m", 1: "1h", 2: "5m"}, total=1000), now=1.0)
    assert charge == Charge(read_tokens=100, write_1h_tokens=150, write_5m_tokens=200, plain_tokens=550)


def test_a_marker_under_the_minimum_neither_reads_nor_writes_and_one_that_reaches_it_does() -> None:
    cache = PromptCache()
    cache.warm(SHORT, 0, now=0.0)
    assert cache.charge(prompt(100, marks={0: "5m"}, minimum=101), now=1.0) == Charge(plain_tokens=110)
    assert cache.charge(prompt(100, marks={0: "5m"}, minimum=100), now=1.0) == READ


def test_without_a_marker_nothing_is_read() -> None:
    cache = PromptCache()
    cache.warm(SHORT, 0, now=0.0)
    assert cache.charge(prompt(100, marks={}), now=1.0) == Charge(plain_tokens=110)


# --------------------------------------------------------------------------------------------------- what is found


def test_a_marker_finds_an_entry_up_to_19_steps_before_it_and_none_20_before() -> None:
    for behind, read in ((1, 100), (2, 100), (19, 100), (20, 0)):
        cache = PromptCache()
        cache.warm(SHORT, 0, now=0.0)
        counts = range(100, 101 + behind)
        assert cache.charge(prompt(*counts, marks={behind: "5m"}), now=1.0).read_tokens == read


def test_the_last_marker_is_asked_first_and_an_earlier_one_when_it_finds_nothing() -> None:
    cache = PromptCache()
    asked = prompt(*range(100, 160), marks={10: "5m", 50: "5m"})
    cache.warm(asked, 10, now=0.0)
    assert cache.look_up(asked, now=1.0).hit == 10
    cache.warm(asked, 45, now=0.0)
    assert cache.look_up(asked, now=1.0).hit == 45


@pytest.mark.parametrize(("inside_runs", "read"), [(False, 100), (True, 200)])
def test_an_entry_inside_a_run_is_found_where_the_settings_say_so(*, inside_runs: bool, read: int) -> None:
    asked = CachePrompt(
        positions=(
            Position(b"start", 100, 0),
            Position(b"in the run", 200, 1, ends_step=False),
            Position(b"its end", 300, 1),
            Position(b"last", 400, 2),
        ),
        markers=(Marker(3, "5m"),),
        total_tokens=400,
        minimum_tokens=0,
    )
    cache = PromptCache(CacheSettings(test_inside_runs=inside_runs))
    cache.warm(asked, 0, now=0.0)
    cache.warm(asked, 1, now=0.0)
    assert cache.charge(asked, now=1.0).read_tokens == read


def test_a_marker_inside_a_run_finds_its_own_entry() -> None:
    asked = CachePrompt(
        positions=(Position(b"in the run", 200, 0, ends_step=False), Position(b"its end", 300, 0)),
        markers=(Marker(0, "5m"),),
        total_tokens=300,
        minimum_tokens=0,
    )
    cache = PromptCache()
    cache.warm(asked, 0, now=0.0)
    assert cache.charge(asked, now=1.0).read_tokens == 200


def test_chance_decides_over_live_entries_alone() -> None:
    drawn = iter([0.5, 0.49])
    cache = PromptCache(CacheSettings(hit_probability=0.5), draw=lambda: next(drawn))
    cache.charge(SHORT, now=0.0)
    assert cache.look_up(SHORT, now=1.0).hit is None, "0.5 is not under 0.5"
    assert cache.look_up(SHORT, now=1.0).hit == 0
    assert cache.look_up(SHORT, now=9999.0).hit is None, "dead: nothing is drawn"


def test_a_cache_that_was_cleared_finds_nothing() -> None:
    cache = PromptCache()
    cache.charge(SHORT, now=0.0)
    assert len(cache) == 1
    cache.clear()
    assert len(cache) == 0
    assert cache.charge(SHORT, now=1.0) == WRITTEN_5M


# ---------------------------------------------------------------------------------------------- from when, until when


@pytest.mark.parametrize(("written", "lifetime"), [(SHORT, 300.0), (LONG, 3600.0)])
def test_an_entry_lives_up_to_its_last_second_and_not_in_it(written: CachePrompt, lifetime: float) -> None:
    for later, read in ((lifetime - 0.5, 100), (lifetime, 0)):
        cache = PromptCache()
        cache.charge(written, now=10.0)
        assert cache.charge(written, now=10.0 + later).read_tokens == read


def test_an_entry_outlives_its_lifetime_by_what_the_settings_add() -> None:
    for later, read in ((319.5, 100), (320.0, 0)):
        cache = PromptCache(CacheSettings(extra_lifetime_s=20.0))
        cache.charge(SHORT, now=0.0)
        assert cache.charge(SHORT, now=later).read_tokens == read


def test_a_lifetime_runs_from_the_start_of_the_call_and_not_from_its_answer() -> None:
    cache = PromptCache()
    cache.charge(SHORT, now=0.0, first_byte_at=200.0)
    assert cache.look_up(SHORT, now=199.0).hit is None
    assert cache.charge(SHORT, now=299.0, first_byte_at=299.0) == READ
    late = PromptCache()
    late.charge(SHORT, now=0.0, first_byte_at=200.0)
    assert late.charge(SHORT, now=300.0).read_tokens == 0


def test_an_entry_is_visible_from_the_moment_at_which_its_answer_began() -> None:
    cache = PromptCache()
    cache.commit(cache.look_up(SHORT, now=0.0), first_byte_at=5.0, order=2)
    assert cache.look_up(SHORT, now=4.9, order=9).hit is None
    assert cache.look_up(SHORT, now=5.0, order=1).hit is None, "the clock cannot tell them apart, their order can"
    assert cache.look_up(SHORT, now=5.0, order=2).hit == 0


def test_a_request_comes_first_in_its_moment_unless_it_is_said() -> None:
    cache = PromptCache()
    cache.commit(cache.look_up(SHORT, now=0.0), first_byte_at=5.0, order=1)
    assert cache.look_up(SHORT, now=5.0).hit is None
    cache = PromptCache()
    cache.commit(cache.look_up(SHORT, now=0.0), first_byte_at=5.0)
    assert cache.look_up(SHORT, now=5.0).hit == 0


def test_of_two_that_write_the_same_the_earlier_answer_makes_it_visible() -> None:
    for first, second in ((2.0, 7.0), (7.0, 2.0)):
        cache = PromptCache()
        lookups = [cache.look_up(SHORT, now=0.0), cache.look_up(SHORT, now=0.0)]
        cache.commit(lookups[0], first_byte_at=first)
        cache.commit(lookups[1], first_byte_at=second)
        assert cache.look_up(SHORT, now=1.9).hit is None
        assert cache.look_up(SHORT, now=2.0).hit == 0


def test_an_entry_that_is_written_anew_after_its_end_is_visible_from_the_new_answer_on() -> None:
    cache = PromptCache()
    cache.charge(SHORT, now=0.0)
    cache.commit(cache.look_up(SHORT, now=1000.0), first_byte_at=1010.0)
    assert cache.look_up(SHORT, now=1005.0).hit is None
    assert cache.look_up(SHORT, now=1299.0).hit == 0
    assert len(cache) == 1


def test_of_two_that_write_the_same_the_longer_life_stays() -> None:
    for first, second in ((SHORT, LONG), (LONG, SHORT)):
        cache = PromptCache()
        lookups = [cache.look_up(first, now=0.0), cache.look_up(second, now=0.0)]
        for lookup in lookups:
            cache.commit(lookup, first_byte_at=1.0)
        assert cache.charge(SHORT, now=3000.0) == READ
        assert cache.charge(SHORT, now=6500.0) == READ, "a read renewed it for an hour, which is its lifetime"


def test_a_call_that_begins_later_writes_the_same_entry_for_as_long_again() -> None:
    cache = PromptCache()
    lookups = [cache.look_up(SHORT, now=0.0), cache.look_up(SHORT, now=100.0)]
    for lookup in lookups:
        cache.commit(lookup, first_byte_at=110.0)
    assert cache.charge(SHORT, now=399.0) == READ


def test_a_read_renews_and_never_shortens() -> None:
    cache = PromptCache()
    cache.charge(SHORT, now=100.0)
    assert cache.charge(SHORT, now=350.0) == READ
    assert cache.look_up(SHORT, now=50.0).hit is None, "it was not visible before it was written"
    cache.warm(SHORT, 0, now=1000.0)
    cache.charge(SHORT, now=900.0)
    assert cache.charge(SHORT, now=1299.0) == READ


def test_a_warmed_prefix_is_there_from_before_any_call_and_lives_from_the_moment_named() -> None:
    cache = PromptCache()
    cache.warm(SHORT, 0, now=100.0)
    assert cache.look_up(SHORT, now=0.0).hit == 0
    assert PromptCache().look_up(SHORT, now=0.0).hit is None
    ended, hour = PromptCache(), PromptCache()
    ended.warm(SHORT, 0, now=100.0)
    assert ended.charge(SHORT, now=400.0) == WRITTEN_5M
    hour.warm(SHORT, 0, now=100.0, ttl="1h")
    assert hour.charge(SHORT, now=3699.0) == READ


# ---------------------------------------------------------------------------------- what a read does to what it found

TWO = prompt(100, 200, marks={0: "5m", 1: "5m"})
END_OF_TWO = prompt(100, 200, marks={1: "5m"})


@pytest.mark.parametrize(("renewed", "read"), [(True, 100), (False, 0)])
def test_a_read_renews_the_entries_on_its_way_where_the_settings_say_so(*, renewed: bool, read: int) -> None:
    cache = PromptCache(CacheSettings(refresh_ancestors=renewed))
    cache.charge(TWO, now=0.0)
    cache.charge(END_OF_TWO, now=200.0)
    assert cache.charge(SHORT, now=400.0).read_tokens == read
    assert cache.charge(END_OF_TWO, now=400.0).read_tokens == 200


def test_a_read_wakes_no_entry_that_had_run_out() -> None:
    cache = PromptCache()
    cache.charge(prompt(100, 200, marks={1: "1h"}), now=0.0)
    cache.warm(SHORT, 0, now=0.0)
    cache.charge(END_OF_TWO, now=400.0)
    assert cache.charge(SHORT, now=401.0) == WRITTEN_5M


@pytest.mark.parametrize(("written_anew", "read"), [(True, 100), (False, 0)])
def test_a_marker_below_the_hit_writes_its_lost_entry_anew_and_free_where_the_settings_say_so(
    *, written_anew: bool, read: int
) -> None:
    cache = PromptCache(CacheSettings(rewrite_expired_below_hit=written_anew))
    cache.warm(END_OF_TWO, 1, now=0.0)
    assert cache.charge(TWO, now=1.0) == Charge(read_tokens=200, plain_tokens=10)
    assert cache.charge(SHORT, now=2.0).read_tokens == read


def test_a_live_entry_below_the_hit_is_not_written_again() -> None:
    cache = PromptCache()
    cache.charge(TWO, now=0.0)
    assert cache.look_up(TWO, now=1.0).writes == ()
    assert cache.look_up(TWO, now=301.0).writes == ((b"100", "5m"), (b"200", "5m")), "both had run out"


def test_a_1h_marker_on_a_5m_entry_makes_it_an_hour_where_the_settings_say_so() -> None:
    cache = PromptCache(CacheSettings(one_hour_hit_upgrades=True, rewrite_expired_below_hit=False))
    cache.charge(SHORT, now=0.0)
    cache.charge(LONG, now=10.0)
    assert cache.charge(SHORT, now=3000.0) == READ, "for an hour from the read on"
    assert cache.charge(SHORT, now=6500.0) == READ, "and renewed for another"
    as_documented = PromptCache()
    as_documented.charge(SHORT, now=0.0)
    as_documented.charge(LONG, now=10.0)
    assert as_documented.charge(LONG, now=3000.0) == WRITTEN_1H


def test_a_5m_marker_or_one_elsewhere_makes_no_hour() -> None:
    cache = PromptCache(CacheSettings(one_hour_hit_upgrades=True))
    cache.charge(SHORT, now=0.0)
    cache.charge(prompt(100, 200, marks={0: "5m", 1: "1h"}), now=10.0)
    assert cache.charge(SHORT, now=400.0).read_tokens == 0


# ------------------------------------------------------------------------------------------------- what is forgotten


def test_entries_that_ran_out_are_dropped_once_an_hour_and_not_before() -> None:
    cache = PromptCache()
    cache.charge(SHORT, now=0.0)
    cache.charge(prompt(7, marks={0: "1h"}), now=0.0)
    cache.look_up(prompt(8, marks={}), now=3599.0)
    assert len(cache) == 2
    cache.look_up(prompt(8, marks={}), now=3599.9)
    cache.charge(prompt(7, marks={0: "1h"}), now=3599.9)
    cache.look_up(prompt(8, marks={}), now=3600.0)
    assert len(cache) == 1, "the hour was renewed, the five minutes ran out"
    cache.charge(SHORT, now=3600.0)
    cache.look_up(prompt(8, marks={}), now=7199.0)
    assert len(cache) == 2
    cache.look_up(prompt(8, marks={}), now=7200.0)
    assert len(cache) == 0
