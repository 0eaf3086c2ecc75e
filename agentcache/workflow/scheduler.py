"""Decides when each call goes out: behind the call that writes its prefix, within limits, runs in turn.

The way of a call: it waits in the queue of its model. When its turn comes and there is room, it is looked at: if
another call is writing a prefix that it could read, it joins that call's followers; if the rate limits leave no room,
the queue pauses; else it goes, and leads the prefixes that it is the first to write. At a leader's first event its
followers return to the head of the queue; if it fails before, they return too and the first of them leads.

Decisions are pure and stand elsewhere (`fair_queue.py`, `leads.py`, `rate_limits.py`, `scheduling.py`); here are
asyncio, the clock and what is under way. Nothing wakes a call but its own admission.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal

from agentcache.accounting.waiting import Awaited
from agentcache.runtime.admission import CallToSend
from agentcache.runtime.events import Event, RunFinished, RunStarted
from agentcache.workflow.leads import HANDOVERS, Leads
from agentcache.workflow.scheduling import FirstTokenTime, Scheduling, choose_deadline
from agentcache.workflow.tickets import Lane, Lead, Ticket

TIMER = "agentcache scheduler timer"
"""Name of a task that waits for the end of a pause: the runtime's own, whoever the pause is for."""


class Scheduler:
    """The gate of one runtime. `clock` gives seconds, `sleep` waits for some of them; a pause is over when it returns.

    Runs are told apart by the events that `take` gets: calls of nested runs count for the topmost one.
    """

    def __init__(
        self, *, settings: Scheduling, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """Begin with nothing known and nothing under way."""
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self._per_run = settings.concurrency.per_run
        self._leads = Leads(second_usd=Decimal(settings.second_usd))
        self._lanes: dict[str, Lane] = {}
        self._tops: dict[str, str] = {}
        self._runs_under_way: dict[str, int] = {}
        self._timers: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def entered(self, call: CallToSend) -> AsyncIterator[ScheduledCall]:
        """Wait until `call` may go out; leaving the context, however, ends it."""
        lane = self._lanes.get(call.model)
        if lane is None:
            lane = self._lanes[call.model] = Lane(room=self._settings.concurrency.of_model(call.model))
        ticket = Ticket(call=call, run=self._tops.get(call.run_id, call.run_id), lane=lane)
        await self.admit(ticket)
        try:
            yield ScheduledCall(self, ticket)
        finally:
            self.leave(ticket)

    def take(self, event: Event) -> None:
        """Take an event: it says how runs nest."""
        if isinstance(event, RunStarted):
            above = event.parent_run_id
            self._tops[event.run_id] = event.run_id if above is None else self._tops.get(above, above)
        elif isinstance(event, RunFinished):
            self._tops.pop(event.run_id, None)

    async def aclose(self) -> None:
        """Stop the timers. Raises what went wrong in one of them."""
        timers = list(self._timers)
        for timer in timers:
            timer.cancel()
        for outcome in await asyncio.gather(*timers, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def admit(self, ticket: Ticket, *, again: bool = False) -> None:
        """Wait until the call may go out; one that comes `again`, for a retry, goes before the others of its run."""
        now = self._clock()
        ticket.began = False
        self._enqueue([ticket], now, first=again)
        self._dispatch(ticket.lane, now)
        if ticket.under_way:
            return
        ticket.admitted = asyncio.get_running_loop().create_future()
        try:
            await ticket.admitted
        except BaseException:
            # It may have been admitted just before it was cancelled.
            self._leads.forget(ticket)
            ticket.lane.queue.discard(ticket, ticket.run)
            self.leave(ticket)
            raise
        finally:
            ticket.admitted = None

    def responded(self, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """Learn what the server says about its limits."""
        now = ticket.heard_at = self._clock()
        if self._settings.rate_limits:
            ticket.lane.limits.heard(status, headers, now=now)
            self._count(ticket)
            self._dispatch(ticket.lane, now)

    def begun(self, ticket: Ticket) -> None:
        """Let those go who waited for what the call wrote."""
        if ticket.began:
            return
        ticket.began = True
        now = self._clock()
        ticket.lane.first_tokens.append(FirstTokenTime(ticket.need.input_tokens, now - ticket.sent_at))
        # What is warm is noted even where nobody waits for it: reads take nothing from the limits.
        self._enqueue(self._leads.readable(ticket, now=now), now, first=True)
        self._dispatch(ticket.lane, now)

    def leave(self, ticket: Ticket) -> None:
        """End a call's attempt: another takes its place, and its followers go on without it."""
        if not ticket.under_way:
            return
        ticket.under_way = False
        lane, now = ticket.lane, self._clock()
        lane.under_way -= 1
        self._count(ticket)
        lane.limits.ended(ticket.need)
        self._enqueue(self._leads.end(ticket.lead, now=now), now, first=True)
        ticket.lead = None
        if self._per_run is not None:
            self._leave_run(ticket.run, now)
        self._dispatch(lane, now)

    def _leave_run(self, run: str, now: float) -> None:
        left = self._runs_under_way.pop(run) - 1
        if left:
            self._runs_under_way[run] = left
        for lane in self._lanes.values():
            if lane.queue.unblock(run):
                self._dispatch(lane, now)

    def _count(self, ticket: Ticket) -> None:
        if ticket.uncounted:
            ticket.uncounted = False
            ticket.lane.limits.counted(ticket.need)

    def _enqueue(self, tickets: Iterable[Ticket], now: float, *, first: bool) -> None:
        """Queue calls in their order, before or behind those of their runs."""
        ordered = list(tickets)
        for ticket in reversed(ordered) if first else ordered:
            ticket.since, ticket.paused_before_s = now, ticket.lane.paused_until_now_s(now)
            ticket.lane.queue.add(ticket, ticket.run, first=first)

    def _dispatch(self, lane: Lane, now: float, *, rested: bool = False) -> None:
        """Let go what may go. `rested`: a pause is over, so the next call goes whatever the limits say."""
        while lane.has_room and (ticket := lane.queue.take()) is not None:
            if self._is_full(ticket.run):
                lane.queue.put_back(ticket, ticket.run)
                lane.queue.block(ticket.run)
                continue
            if self._follows(ticket, now):
                continue
            ticket.need = lane.limits.need(self._leads.uncached_tokens(ticket, now=now))
            wait_s = 0.0 if rested else lane.limits.wait_s(ticket.need, now=now)
            if wait_s > 0:
                lane.queue.put_back(ticket, ticket.run)
                self._pause(lane, wait_s, now)
                break
            rested = False
            self._go(ticket, now)
            lane.resume(now)

    def _is_full(self, run: str) -> bool:
        return self._per_run is not None and self._runs_under_way.get(run, 0) >= self._per_run

    def _follows(self, ticket: Ticket, now: float) -> bool:
        """Let a call wait for another that writes its prefix, if there is one."""
        if not self._settings.prefixes:
            return False
        queued_since = ticket.since
        lead = self._leads.follow(ticket, now=now)
        if lead is None:
            return False
        ticket.left_queue(queued_since, now)
        if lead.timer is None:
            leader = lead.leader
            deadline = choose_deadline(
                ticket.lane.first_tokens,
                uncached_tokens=leader.need.input_tokens,
                setting=self._settings.deadline_s,
            )
            left_s = leader.sent_at + deadline.seconds / HANDOVERS - now
            lead.timer = self._after(left_s, lambda: self._overdue(lead))
        return True

    def _go(self, ticket: Ticket, now: float) -> None:
        ticket.left_queue(ticket.since, now)
        lane = ticket.lane
        ticket.under_way = ticket.uncounted = True
        ticket.sent_at = ticket.heard_at = now
        lane.under_way += 1
        lane.limits.sent(ticket.need)
        if self._per_run is not None:
            self._runs_under_way[ticket.run] = self._runs_under_way.get(ticket.run, 0) + 1
        if self._settings.prefixes:
            self._leads.begin(ticket, now=now)
        if ticket.admitted is not None and not ticket.admitted.done():
            ticket.admitted.set_result(None)

    def _overdue(self, lead: Lead) -> None:
        """Let the next in line lead, since no event of the leader came in time."""
        lead.timer = None
        if not lead.followers:
            return
        now = self._clock()
        for ticket in lead.followers:
            ticket.overdue_leaders += 1
        self._enqueue(self._leads.end(lead, now=now), now, first=True)
        self._dispatch(lead.leader.lane, now)

    def _pause(self, lane: Lane, wait_s: float, now: float) -> None:
        if lane.paused_since is None:
            lane.paused_since = now
        lane.due = now + wait_s
        if lane.timer is not None:
            if lane.timer_due <= lane.due:
                return
            lane.timer.cancel()
        lane.timer_due = lane.due
        lane.timer = self._after(wait_s, lambda: self._rested(lane))

    def _rested(self, lane: Lane) -> None:
        # The pause grew meanwhile if something was heard; then the calls look at the limits again.
        lane.timer = None
        self._dispatch(lane, self._clock(), rested=lane.due <= lane.timer_due)

    def _after(self, seconds: float, act: Callable[[], None]) -> asyncio.Task[None]:
        async def wait() -> None:
            await self._sleep(max(0.0, seconds))
            act()

        timer = asyncio.get_running_loop().create_task(wait(), name=TIMER)
        self._timers.add(timer)
        timer.add_done_callback(self._timer_done)
        return timer

    def _timer_done(self, timer: asyncio.Task[None]) -> None:
        # One that failed stays, for `aclose` to tell.
        if timer.cancelled() or timer.exception() is None:
            self._timers.discard(timer)


class ScheduledCall:
    """The admission of one call (`runtime/admission.py` says what its parts mean)."""

    __slots__ = ("_scheduler", "_ticket")

    def __init__(self, scheduler: Scheduler, ticket: Ticket) -> None:
        """Stand for `ticket`, which the scheduler has admitted."""
        self._scheduler, self._ticket = scheduler, ticket

    @property
    def held_s(self) -> Mapping[str, float]:
        """Seconds for which the call was held back, by reason."""
        return self._ticket.held_s

    @property
    def awaited(self) -> Awaited | None:
        """The prefix that it was held for."""
        return self._ticket.awaited

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Note what the server said about its limits."""
        self._scheduler.responded(self._ticket, status, headers)

    def began(self) -> None:
        """Note the first event of the reply."""
        self._scheduler.begun(self._ticket)

    def failed(self) -> None:
        """Note that an attempt failed."""
        self._scheduler.leave(self._ticket)

    async def readmitted(self) -> None:
        """Wait until another attempt may go out."""
        await self._scheduler.admit(self._ticket, again=True)

    def answered(self, output_tokens: int) -> None:
        """Note how long the answer was."""
        self._ticket.lane.limits.answered(output_tokens, heard_at=self._ticket.heard_at)
