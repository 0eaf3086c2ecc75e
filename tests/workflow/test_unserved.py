"""A queue that nobody serves is told of once, after a while, and never while its items are being performed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentcache.workflow.unserved import UnservedQueues

LOOKS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


def test_items_that_nobody_takes_are_told_of_once():
    queues = UnservedQueues(after_s=5.0)
    told = [queues.looked(["q"], [], now=float(second)) for second in range(12)]
    assert [bool(found) for found in told] == [False] * 5 + [True] + [False] * 6


def test_items_that_wait_behind_others_which_are_performed_are_not_told_of():
    queues = UnservedQueues(after_s=5.0)
    assert not any(queues.looked(["q"], ["q"], now=float(second)) for second in range(20))


def test_a_queue_whose_last_worker_died_is_told_of():
    queues = UnservedQueues(after_s=5.0)
    assert not any(queues.looked(["q"], ["q"], now=float(second)) for second in range(10))
    told = [bool(queues.looked(["q"], [], now=float(second))) for second in (10, 14, 15, 16)]
    assert told == [False, False, True, False]


@given(LOOKS)
def test_what_is_told_was_quiet_at_every_look_for_so_long(looks):
    queues, quiet = UnservedQueues(after_s=3.0), 0
    for second, (waits, taken) in enumerate(looks):
        found = queues.looked(["q"] if waits else [], ["q"] if taken else [], now=float(second))
        quiet = quiet + 1 if waits and not taken else 0
        assert (found == {"q"}) == (quiet == 4)
