"""Keeps prompts alive that have gone silent and are likely to be asked for again: a read now against a write later.

Decides when to look (shortly before a prefix expires), who may come back (a run that is still open, a conversation
with an id) and whether there is room, in its own bounds and in those of the run that is kept alive. Whether a read pays
is decided in `prompt/keep_alive.py`. Off unless a runtime is given `KeepAlive`; nothing outlives that runtime.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from agentcache.accounting.pricing import cost_usd
from agentcache.accounting.usage import BilledPart, CallKind, CallRecord, Usage
from agentcache.errors import CallError, SettingsError
from agentcache.prompt.keep_alive import due_after_s, keep_alive_point, weigh_keep_alive
from agentcache.prompt.layout import Layout
from agentcache.prompt.model_facts import TTL_SECONDS, facts_for
from agentcache.prompt.plans import Breakpoint
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.runtime.budget import Budget, Reservation, worst_of
from agentcache.runtime.calls import CallContext, Caller
from agentcache.runtime.events import Event, Notice, RunFinished
from agentcache.runtime.requests import PreparedCall
from agentcache.runtime.warm_calls import keep_alive_call


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """Lets a runtime keep silent prompts alive, within these bounds for its whole life.

    usd: dollars for keep-alive reads. Each counts at its worst before it is sent: as a write of the whole prompt,
    which it would be had the prefix been lost. pings: how many reads. threshold_tokens: prefixes shorter than this are
    left to expire.

    Raises `SettingsError` for a bound below zero.
    """

    usd: Decimal | int | str
    pings: int = 100
    threshold_tokens: int = 4096

    def __post_init__(self) -> None:
        try:
            dollars = Decimal(self.usd)
        except InvalidOperation as error:
            raise SettingsError(f"KeepAlive: usd is {self.usd!r}, which is no amount; write usd='0.50'") from error
        if not dollars.is_finite() or dollars < 0 or self.pings < 0 or self.threshold_tokens < 0:
            raise SettingsError(f"KeepAlive: a bound is a number of zero or more, not {self}")
        object.__setattr__(self, "usd", dollars)


@dataclass(slots=True, kw_only=True)
class Allowance:
    """What is left of a budget. A read is admitted at its worst price and settled at its real one."""

    usd: Decimal
    pings: int
    spent_usd: Decimal = Decimal(0)
    reserved_usd: Decimal = Decimal(0)
    made: int = 0

    def admit(self, worst_usd: Decimal) -> bool:
        """Reserve room for one read, if there is any."""
        if self.made >= self.pings or self.spent_usd + self.reserved_usd + worst_usd > self.usd:
            return False
        self.made += 1
        self.reserved_usd += worst_usd
        return True

    def settle(self, worst_usd: Decimal, paid_usd: Decimal | None) -> None:
        """Put what a read cost in place of its reserve; what nobody knows (`None`) counts at its worst."""
        self.reserved_usd -= worst_usd
        self.spent_usd += worst_usd if paid_usd is None else paid_usd


@dataclass(slots=True, kw_only=True, eq=False)
class _Silence:
    """A prompt whose next call has not come yet."""

    ping: PreparedCall
    context: CallContext
    point: Breakpoint
    worst_usd: Decimal
    began_at: float
    live_from: float
    reading: bool = False
    over: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def layout(self) -> Layout:
        return self.ping.layout


_Key = tuple[str, str]


@dataclass(slots=True, kw_only=True)
class KeepWarm:
    """Follows the calls of one runtime and reads what should not expire. Clock and sleep are in seconds.

    A silence has a task of its own, which sleeps until its prefix is about to expire; the next call, the end of a run
    that is no conversation and `aclose` end it. A read under way is waited for, so that its row tells what it cost.
    """

    bounds: KeepAlive
    caller: Caller
    history: ReuseHistory
    budget: Budget
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    allowance: Allowance = field(init=False)
    _silences: dict[_Key, _Silence] = field(default_factory=dict)
    _layouts: dict[_Key, Layout] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _closed: bool = False

    def __post_init__(self) -> None:
        self.allowance = Allowance(usd=Decimal(self.bounds.usd), pings=self.bounds.pings)

    def call_begins(self, context: CallContext) -> None:
        """End the silence that this call ends."""
        self._end(_key(context))

    def call_answered(self, prepared: PreparedCall, context: CallContext, row: CallRecord) -> None:
        """Begin to watch the silence behind an answered call, if there is anything in it to keep."""
        key = _key(context)
        if context.conversation is None:
            self._layouts[key] = prepared.layout
        silence = self._silence(prepared, context, row)
        if silence is None or self._closed:
            return
        self._end(key)
        self._silences[key] = silence
        silence.task = asyncio.get_running_loop().create_task(self._watch(silence))
        self._tasks.add(silence.task)
        silence.task.add_done_callback(self._done)

    def take(self, event: Event) -> None:
        """Take an event: when a run that is no conversation ends, its prompts cannot come back."""
        if not isinstance(event, RunFinished):
            return
        for key in [key for key in self._layouts if key[0] == event.run_id]:
            self.history.conversation_over(self._layouts.pop(key), agent=key[1])
            self._end(key)

    async def aclose(self) -> None:
        """Stop; wait for reads under way. Raises what went wrong in the background and was no failed call."""
        self._closed = True
        for key in list(self._silences):
            self._end(key)
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _end(self, key: _Key) -> None:
        silence = self._silences.pop(key, None)
        if silence is None:
            return
        silence.over = True
        if silence.task is not None and not silence.reading:
            silence.task.cancel()

    def _silence(self, prepared: PreparedCall, context: CallContext, row: CallRecord) -> _Silence | None:
        point, ping = keep_alive_point(prepared.plan), keep_alive_call(prepared)
        worst_usd = _worst_usd(prepared, row)
        if point is None or ping is None or worst_usd is None or point.prefix_tokens < self.bounds.threshold_tokens:
            return None
        return _Silence(
            ping=ping,
            context=replace(context, kind=CallKind.KEEP_ALIVE),
            point=point,
            worst_usd=worst_usd,
            began_at=row.sent_at,
            live_from=row.sent_at,
        )

    async def _watch(self, silence: _Silence) -> None:
        try:
            while not silence.over:
                await self.sleep(max(0.0, silence.live_from + due_after_s(silence.point) - self.clock()))
                silence.reading = True
                if silence.over or not await self._read(silence):
                    break
                silence.reading = False
        finally:
            if self._silences.get(_key(silence.context)) is silence:
                del self._silences[_key(silence.context)]

    def _done(self, task: asyncio.Task[None]) -> None:
        # A task that failed stays, for `aclose` to tell.
        if task.cancelled() or task.exception() is None:
            self._tasks.discard(task)

    async def _read(self, silence: _Silence) -> bool:
        """Read the prefix once more, if that pays and there is room; return whether to go on watching."""
        now = self.clock()
        expired = now >= silence.live_from + TTL_SECONDS[silence.point.ttl]
        if expired or not self._pays(silence, now):
            return False
        meter, agent = silence.context.meter, silence.context.agent
        with self.budget.beside(meter, worst_of(silence.ping, meter, at_s=now), agent=agent) as reserved:
            if reserved is None:
                self._notice(silence, "keep_alive_budget", "the bounds of its run leave no room for a keep-alive read")
                return False
            if not self.allowance.admit(silence.worst_usd):
                self._notice(silence, "keep_alive_budget", "the budget for keep-alive reads is used up")
                return False
            return await self._sent(silence, reserved)

    async def _sent(self, silence: _Silence, reserved: Reservation) -> bool:
        rows: list[CallRecord] = []

        def charge(row: CallRecord) -> None:
            rows.append(row)
            reserved.charge(row)

        try:
            await self.caller.call(silence.ping, replace(silence.context, charge=charge))
        except CallError as error:
            self._notice(silence, "keep_alive_failed", f"a keep-alive read failed: {error}")
            return False
        finally:
            self.allowance.settle(silence.worst_usd, _paid_usd(rows))
        return self._is_kept(silence, rows[-1])

    def _pays(self, silence: _Silence, now: float) -> bool:
        layout, agent = silence.layout, silence.context.agent
        chances = self.history.return_chances(layout, agent=agent, at_s=now, silent_s=now - silence.began_at)
        known = self.history.now_known(layout, agent=agent, at_s=now)
        choice = weigh_keep_alive(layout, silence.point, facts_for(layout.model), known, chances=chances)
        return choice.reads > 0

    def _is_kept(self, silence: _Silence, row: CallRecord) -> bool:
        """Note what a read found; one that found nothing says that the server keeps less than it promises."""
        silence.live_from = row.sent_at
        marks = [(point.prefix_digest, point.ttl) for point in silence.ping.plan.kept]
        self.history.read_or_written(marks, at_s=row.sent_at)
        if is_hit(row):
            return True
        self._notice(silence, "keep_alive_missed", "a keep-alive read found its prefix gone and wrote it anew")
        return False

    def _notice(self, silence: _Silence, code: str, message: str) -> None:
        whose = silence.context
        whose.emit(Notice(run_id=whose.run_id, agent=whose.agent, at=self.clock(), code=code, message=message))


def is_hit(row: CallRecord) -> bool:
    """Tell whether a keep-alive read (its row) found what it was to keep: it read, and wrote nothing."""
    return row.usage is not None and row.usage.cache_read_tokens > 0 and row.usage.cache_write_tokens == 0


def _key(context: CallContext) -> _Key:
    return context.conversation or context.run_id, context.agent


def _worst_usd(prepared: PreparedCall, row: CallRecord) -> Decimal | None:
    """Return what a read costs that has to write the whole prompt; `None` for a price that is not known."""
    if row.usage is None or len(row.own_parts) != 1:
        return None
    tokens = row.usage.input_tokens
    longest = "1h" if any(point.ttl == "1h" for point in prepared.plan.kept) else "5m"
    usage = Usage(cache_write_1h_tokens=tokens) if longest == "1h" else Usage(cache_write_5m_tokens=tokens)
    part: BilledPart = row.own_parts[0]
    return cost_usd(replace(part, usage=usage, web_searches=0))


def _paid_usd(rows: list[CallRecord]) -> Decimal | None:
    paid = [row.cost_usd for row in rows if row.cost_usd is not None]
    return sum(paid, Decimal(0)) if rows and len(paid) == len(rows) else None
