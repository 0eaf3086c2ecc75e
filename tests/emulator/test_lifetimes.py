"""How long entries live, what renews them, and from when others can read them (sections 5.1 and 6)."""

from __future__ import annotations

from agentcache.emulator.cache_settings import CacheSettings
from tests.emulator.account import Account, columns, request, text, user

SHORT = request(user(text(2000, ttl="5m")))
LONG = request(user(text(2000, ttl="1h")))


def test_a_short_entry_lives_five_minutes_and_not_a_second_longer() -> None:
    account = Account()
    account.charge(SHORT)
    assert account.charge(SHORT, now=299.9)[2] == 2000
    account = Account()
    account.charge(SHORT)
    assert account.charge(SHORT, now=300)[2] == 0


def test_a_long_entry_lives_an_hour() -> None:
    account = Account()
    account.charge(LONG)
    assert account.charge(LONG, now=3599)[2] == 2000
    assert account.charge(LONG, now=3599 + 3600)[2] == 0


def test_a_read_renews_the_entry_for_its_own_lifetime() -> None:
    account = Account()
    account.charge(SHORT)
    for now in (290, 580, 870):
        assert account.charge(SHORT, now=now) == (0, 0, 2000, 0)
    assert account.charge(SHORT, now=1171) == (0, 2000, 0, 0)


def test_a_long_marker_on_a_short_entry_reads_it_and_leaves_it_short() -> None:
    account = Account()
    account.charge(SHORT)
    assert account.charge(LONG, now=100) == (0, 0, 2000, 0)
    assert account.charge(LONG, now=401) == (2000, 0, 0, 0)


def test_a_long_marker_may_upgrade_the_entry_where_the_setting_says_so() -> None:
    account = Account(CacheSettings(one_hour_hit_upgrades=True))
    account.charge(SHORT)
    account.charge(LONG, now=100)
    assert account.charge(LONG, now=3000) == (0, 0, 2000, 0)


def test_a_short_marker_on_a_long_entry_keeps_it_long() -> None:
    account = Account()
    account.charge(LONG)
    account.charge(SHORT, now=100)
    assert account.charge(SHORT, now=3000) == (0, 0, 2000, 0)


def test_a_hit_renews_the_older_entries_on_its_path() -> None:
    system = [text(2000, ttl="5m")]
    deep, shallow = request(user(text(2000, "m", ttl="5m")), system=system), request(user(text(9)), system=system)
    account = Account()
    account.charge(deep)
    account.charge(deep, now=290)
    assert account.charge(shallow, now=580)[2] == 2000
    unrefreshed = Account(CacheSettings(refresh_ancestors=False, rewrite_expired_below_hit=False))
    unrefreshed.charge(deep)
    unrefreshed.charge(deep, now=290)
    assert unrefreshed.charge(shallow, now=580)[2] == 0


def test_the_lifetime_runs_from_the_start_of_the_request_not_from_its_end() -> None:
    account = Account()
    slow = account.begin(SHORT, now=0)
    account.first_byte(slow, now=240)
    assert account.charge(SHORT, now=299)[2] == 2000
    account = Account()
    slow = account.begin(SHORT, now=0)
    account.first_byte(slow, now=240)
    assert account.charge(SHORT, now=301)[2] == 0


def test_an_entry_can_be_read_only_once_its_writer_s_answer_has_begun() -> None:
    account = Account()
    first = account.begin(SHORT, now=0)
    together = account.begin(SHORT, now=1)
    assert columns(together.lookup.charge) == (0, 2000, 0, 0), "both started before any answer: both pay"
    account.first_byte(first, now=2)
    after = account.begin(SHORT, now=2)
    assert columns(after.lookup.charge) == (0, 0, 2000, 0)


def test_on_a_clock_that_stands_still_the_order_of_events_decides() -> None:
    account = Account()
    arrived_before = account.api.moment(5)
    account.first_byte(account.begin(SHORT, now=5), now=5)
    arrived_after = account.api.moment(5)
    assert account.begin(SHORT, moment=arrived_before).lookup.charge.read_tokens == 0
    assert account.begin(SHORT, moment=arrived_after).lookup.charge.read_tokens == 2000


def test_a_call_that_never_begins_to_answer_writes_nothing() -> None:
    account = Account()
    account.begin(SHORT, now=0)
    assert account.charge(SHORT, now=1) == (0, 2000, 0, 0)
    assert len(account.api.statement.lines) == 1


def test_two_writers_of_one_prefix_leave_one_entry_that_is_visible_from_the_earlier_answer() -> None:
    account = Account()
    slow, quick = account.begin(SHORT, now=0), account.begin(SHORT, now=1)
    account.first_byte(quick, now=2)
    account.first_byte(slow, now=9)
    assert len(account.api.cache) == 1
    assert account.begin(SHORT, now=3).lookup.charge.read_tokens == 2000


def test_of_two_writers_with_different_lifetimes_the_longer_one_stays() -> None:
    account = Account()
    long, short = account.begin(LONG, now=0), account.begin(SHORT, now=1)
    account.first_byte(long, now=2)
    account.first_byte(short, now=3)
    assert account.charge(SHORT, now=3000) == (0, 0, 2000, 0)


def test_an_entry_may_outlive_its_lifetime_where_the_setting_says_so() -> None:
    account = Account(CacheSettings(extra_lifetime_s=30))
    account.charge(SHORT)
    assert account.charge(SHORT, now=329)[2] == 2000


def test_live_entries_are_found_with_the_probability_that_the_setting_gives() -> None:
    draws = iter([0.95, 0.05])
    account = Account(CacheSettings(hit_probability=0.9), draw=lambda: next(draws))
    account.charge(SHORT)
    assert account.charge(SHORT, now=1)[2] == 0
    assert account.charge(SHORT, now=2)[2] == 2000


def test_dead_entries_do_not_pile_up() -> None:
    account = Account()
    for number in range(50):
        account.charge(request(user(text(2000, f"w{number}", ttl="5m"))), now=number)
    assert len(account.api.cache) == 50
    account.charge(SHORT, now=10_000)
    assert len(account.api.cache) == 1
