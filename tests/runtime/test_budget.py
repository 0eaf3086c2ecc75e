"""Admission of calls to a budget: nobody overshoots, nobody starves, nobody waits for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.usage import CallRecord, Usage
from agentcache.errors import LimitReached, SettingsError, WorstCase
from agentcache.runtime.budget import Budget
from agentcache.runtime.events import CallRetried, Event
from agentcache.runtime.limits import NO_CALL, Limits, Meter


def need(amount: int) -> WorstCase:
    return WorstCase(tokens=Decimal(amount), usd=Decimal(amount))


def bill(amount: int | None, agent: str = "a") -> CallRecord:
    return CallRecord(
        call_id="call",
        run_id="run",
        agent=agent,
        model="m",
        sent_at=0.0,
        usage=None if amount is None else Usage(uncached_input_tokens=amount),
        cost_usd=None if amount is None else Decimal(amount),
    )


def meter(limits: Limits, parent: Meter | None = None) -> Meter:
    return Meter(limits=limits, started_at=0.0, parent=parent)


RETRIED = CallRetried(run_id="run", agent="a", at=0.0, call_id="call", attempt=1, wait_s=0.0, reason="529")
BROKE_OFF = replace(RETRIED, reason="cut", may_be_billed=True)


@dataclass
class Desk:
    """A budget and calls that stay under way until the test ends them."""

    budget: Budget = field(default_factory=lambda: Budget(clock=lambda: 0.0))
    begun: list[str] = field(default_factory=list)
    ends: dict[str, asyncio.Event] = field(default_factory=dict)

    def start(self, name: str, of: Meter, worst: int, *, paid: int = 0) -> asyncio.Task[None]:
        self.ends[name] = asyncio.Event()

        async def call() -> None:
            async with self.budget.reserved(of, need(worst), agent=name) as reserved:
                self.begun.append(name)
                await self.ends[name].wait()
                reserved.charge(bill(paid, name))

        return asyncio.create_task(call())

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_call_waits_while_others_hold_the_room_and_begins_when_they_settle():
    desk, run = Desk(), meter(Limits(usd=10))
    tasks = [desk.start("first", run, 6, paid=2), desk.start("second", run, 6, paid=1)]
    await settled()
    assert desk.begun == ["first"]
    await desk.end("first")
    assert desk.begun == ["first", "second"]
    await desk.end("second")
    await asyncio.gather(*tasks)
    assert (run.cost_usd, run.held) == (Decimal(3), NO_CALL)


async def test_a_call_that_can_never_fit_is_refused_at_once_though_others_are_under_way():
    desk, run = Desk(), meter(Limits(usd=10))
    first = desk.start("first", run, 6)
    await settled()
    with pytest.raises(LimitReached):
        await desk.start("too large", run, 11)
    await desk.end("first")
    await first


async def test_a_waiting_call_is_refused_once_what_others_spent_leaves_too_little():
    desk, run = Desk(), meter(Limits(usd=10))
    first, second = desk.start("first", run, 6, paid=5), desk.start("second", run, 6)
    await desk.end("first")
    await first
    with pytest.raises(LimitReached, match=r"the limit of \$10 of run leaves \$5.000000"):
        await second


async def test_a_small_call_does_not_overtake_a_large_one_that_waits_for_the_same_room():
    desk, run = Desk(), meter(Limits(usd=10))
    tasks = [desk.start("first", run, 6), desk.start("large", run, 9), desk.start("small", run, 1)]
    await settled()
    assert desk.begun == ["first"]
    await desk.end("first")
    assert desk.begun == ["first", "large", "small"]
    for name in ("large", "small"):
        await desk.end(name)
    await asyncio.gather(*tasks)


async def test_a_call_of_another_run_is_not_held_up():
    desk, run, other = Desk(), meter(Limits(usd=10)), meter(Limits(usd=1))
    tasks = [desk.start("first", run, 6), desk.start("large", run, 9), desk.start("elsewhere", other, 1)]
    await settled()
    assert desk.begun == ["first", "elsewhere"]
    for name in ("first", "elsewhere", "large"):
        await desk.end(name)
    await asyncio.gather(*tasks)


async def test_a_call_that_is_cancelled_while_it_waits_lets_those_behind_it_pass():
    desk, run = Desk(), meter(Limits(usd=10))
    first, large, small = desk.start("first", run, 6), desk.start("large", run, 9), desk.start("small", run, 1)
    await settled()
    large.cancel()
    await settled()
    assert desk.begun == ["first", "small"]
    for name in ("first", "small"):
        await desk.end(name)
    await asyncio.gather(first, small)
    assert run.held == NO_CALL


async def test_a_call_that_is_cancelled_just_when_it_was_admitted_holds_nothing():
    desk, run = Desk(), meter(Limits(usd=10))
    async with desk.budget.reserved(run, need(6), agent="first"):
        second = desk.start("second", run, 6)
        await settled()
    second.cancel()  # it was admitted when the block ended, and has not run since
    await settled()
    assert second.cancelled()
    assert (desk.begun, run.held) == ([], NO_CALL)


async def test_a_call_without_a_price_has_no_place_under_a_dollar_bound():
    with pytest.raises(SettingsError, match="no price"):
        async with Desk().budget.reserved(meter(Limits(usd=1)), WorstCase(tokens=Decimal(1), usd=None), agent="a"):
            pass


@pytest.mark.parametrize(("bound", "fits"), [(12, True), (11, False)])
async def test_an_attempt_after_a_reply_that_broke_off_needs_room_of_its_own(bound, fits):
    run = meter(Limits(usd=bound))
    seen: list[Event] = []
    async with Desk().budget.reserved(run, need(6), agent="a") as reserved:
        sink = reserved.watching(seen.append)
        sink(RETRIED)  # nothing had come: nothing to pay twice
        assert run.held == need(6)
        if fits:
            sink(BROKE_OFF)
            assert run.held == need(12)
        else:
            with pytest.raises(LimitReached):
                sink(BROKE_OFF)
    sink(BROKE_OFF)  # a later call that shares the sink, as keep-alive reads do, is none of this one's business
    assert run.held == NO_CALL
    assert seen[:-1] == [RETRIED, *([BROKE_OFF] if fits else [])]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A call of the property below: which run makes it, its worst case, what it costs, how long it is under way."""

    run: int
    worst: int
    paid_percent: int | None
    steps: int
    retried: bool


PLANNED = st.builds(
    Planned,
    run=st.integers(0, 3),
    worst=st.integers(1, 30),
    paid_percent=st.one_of(st.none(), st.integers(0, 100)),
    steps=st.integers(0, 5),
    retried=st.booleans(),
)


@given(
    bounds=st.lists(st.integers(0, 120), min_size=4, max_size=4),
    lines=st.lists(st.tuples(st.lists(PLANNED, max_size=4), st.booleans()), max_size=8),
)
@settings(max_examples=3 * settings().max_examples, deadline=None)
def test_no_interleaving_of_calls_exceeds_a_bound_holds_on_to_room_or_hangs(bounds, lines):
    """Runs nest as 0 > 1 > 2 and 0 > 3. Each line makes its calls one after the other, all lines at once; some are
    cancelled half-way."""
    asyncio.run(Play.of(bounds).all_at_once(lines))


@dataclass
class Play:
    budget: Budget
    meters: list[Meter]

    @classmethod
    def of(cls, bounds: list[int]) -> Play:
        top = meter(Limits(usd=bounds[0], tokens=bounds[0] + 7))
        middle = meter(Limits(usd=bounds[1]), parent=top)
        below = [meter(Limits(tokens=bounds[2]), parent=middle), meter(Limits(usd=bounds[3]), parent=top)]
        return cls(Budget(clock=lambda: 0.0), [top, middle, *below])

    async def all_at_once(self, lines: list[tuple[list[Planned], bool]]) -> None:
        tasks = [asyncio.create_task(self.line(calls)) for calls, _ in lines]
        for task, (_, cancelled) in zip(tasks, lines, strict=True):
            if cancelled:
                await asyncio.sleep(0)
                task.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
        self.check()
        assert all(each.held == NO_CALL for each in self.meters)
        assert not [task for task in tasks if not task.cancelled() and task.exception()]
        top = self.meters[0]
        assert sum(tally.turns for tally in top.by_agent.values()) == top.turns
        assert sum((tally.usage for tally in top.by_agent.values()), Usage()) == top.usage

    async def line(self, calls: list[Planned]) -> None:
        for call in calls:
            with suppress(LimitReached):
                await self.call(call)

    async def call(self, call: Planned) -> None:
        who = str(call.run)
        async with self.budget.reserved(self.meters[call.run], need(call.worst), agent=who) as reserved:
            if call.retried:
                sink = reserved.watching(lambda _: None)
                sink(BROKE_OFF)
                reserved.charge(bill(call.worst, who))
            for _ in range(call.steps):
                await asyncio.sleep(0)
            percent = call.paid_percent
            reserved.charge(bill(None if percent is None else call.worst * percent // 100, who))
            self.check()

    def check(self) -> None:
        for each in self.meters:
            for limit, used, unknown in (
                (each.limits.usd, each.cost_usd, each.unknown.usd),
                (each.limits.tokens, each.total.weighted_tokens, each.unknown.tokens),
            ):
                assert limit is None or (used or 0) + (unknown or 0) <= Decimal(limit)
