"""Who may call now: sets a call's worst case aside before it is sent, and lets it wait while others hold the room.

A call that cannot fit, whatever those under way turn out to cost, is refused at once. One that does not fit only
because calls under way hold the room waits until they have settled. Waiting is first come, first served among calls
that want the same room: a small call does not overtake a large one that waits for it. Nobody waits while holding
anything (tools and nested runs run between calls), so what is waited for always comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from agentcache.accounting.usage import CallRecord
from agentcache.accounting.worst_case import worst_case, worst_usage
from agentcache.errors import SettingsError, WorstCase
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.token_estimate import settings_tokens
from agentcache.runtime.events import CallRetried, Event, EventSink
from agentcache.runtime.limits import NO_CALL, Meter
from agentcache.runtime.requests import PreparedCall


@dataclass(slots=True, kw_only=True, eq=False)
class Reservation:
    """What one call holds of its run's budget and of those above, once for each attempt that may be billed."""

    meter: Meter
    need: WorstCase
    agent: str
    clock: Callable[[], float]
    attempts: int = 0

    def hold(self) -> None:
        """Hold the worst case of one attempt (more)."""
        self.attempts += 1
        self.meter.hold(self.need)

    def release(self) -> None:
        """Give everything back."""
        for _ in range(self.attempts):
            self.meter.release(self.need)
        self.attempts = 0

    def charge(self, record: CallRecord) -> None:
        """Count a row that the call caused; one whose usage nobody knows counts against bounds at its worst."""
        self.meter.add(record, worst=self.need)

    def watching(self, emit: EventSink) -> EventSink:
        """Return a sink that passes events on and holds one attempt more when one that may be billed is tried again.

        The server may bill both. The sink raises `LimitReached` where there is no room for another attempt. Once the
        reservation is released, it only passes on.
        """

        def sink(event: Event) -> None:
            if isinstance(event, CallRetried) and event.may_be_billed and self.attempts:
                self._hold_one_more()
            emit(event)

        return sink

    def _hold_one_more(self) -> None:
        refusal = self.meter.crowded_out(self.need, at=self.clock(), by=self.agent)
        if refusal is not None:
            raise refusal
        self.hold()


@dataclass(slots=True, kw_only=True, eq=False)
class _Asker:
    """A call that wants to begin. `admitted` is done when it may, or carries why it may not."""

    reservation: Reservation
    lineage: frozenset[int]
    admitted: asyncio.Future[None]


@dataclass(slots=True, kw_only=True, eq=False)
class Budget:
    """Admits the calls of one runtime. `clock` gives Unix seconds."""

    clock: Callable[[], float]
    _waiting: list[_Asker] = field(default_factory=list)
    _crowded: set[int] = field(default_factory=set)
    """Identities of the meters in which somebody waits for room."""

    @asynccontextmanager
    async def reserved(self, meter: Meter, need: WorstCase, *, agent: str) -> AsyncIterator[Reservation]:
        """Wait until a call of `agent` has room for its worst case, count its turn and hold the room for the block.

        Raises `LimitReached` when there never will be room, `SettingsError` when dollars are bounded and the call has
        no known price.
        """
        reservation = Reservation(meter=meter, need=need, agent=agent, clock=self.clock)
        await self._admitted(reservation)
        try:
            yield reservation
        finally:
            reservation.release()
            self._admit_those_who_fit()

    @contextmanager
    def beside(self, meter: Meter, need: WorstCase, *, agent: str) -> Iterator[Reservation | None]:
        """Hold room for a call that no turn waits for; `None` where dollars or tokens leave none, or nobody knows."""
        try:
            has_room = meter.crowded(need, by=agent) is None
        except SettingsError:
            has_room = False
        if not has_room:
            yield None
            return
        reservation = Reservation(meter=meter, need=need, agent=agent, clock=self.clock)
        reservation.hold()
        try:
            yield reservation
        finally:
            reservation.release()
            self._admit_those_who_fit()

    def repeated(self, meter: Meter, need: WorstCase, *, agent: str) -> Reservation:
        """Count the turn of a call that was admitted before and has its answer on record: it holds no room."""
        meter.begin_turn(agent)
        return Reservation(meter=meter, need=need, agent=agent, clock=self.clock)

    async def _admitted(self, reservation: Reservation) -> None:
        asker = _Asker(
            reservation=reservation,
            lineage=frozenset(map(id, reservation.meter.lineage())),
            admitted=asyncio.get_running_loop().create_future(),
        )
        if not self._decided(asker):
            self._waiting.append(asker)
        try:
            await asker.admitted
        except asyncio.CancelledError:
            if asker in self._waiting:
                self._waiting.remove(asker)
            elif not asker.admitted.cancelled() and asker.admitted.exception() is None:
                reservation.release()
            self._admit_those_who_fit()
            raise

    def _admit_those_who_fit(self) -> None:
        """Go through those who wait, in their order; whoever cannot begin yet holds the place for those behind."""
        self._crowded.clear()
        self._waiting = [asker for asker in self._waiting if not asker.admitted.done() and not self._decided(asker)]

    def _decided(self, asker: _Asker) -> bool:
        """Admit the call or say why it never can be; return whether either was done."""
        if asker.lineage & self._crowded:
            return False
        held = asker.reservation
        try:
            refusal = held.meter.refusal(held.need, at=self.clock(), by=held.agent)
        except SettingsError as error:
            asker.admitted.set_exception(error)
            return True
        if refusal is not None:
            asker.admitted.set_exception(refusal)
            return True
        crowded = held.meter.crowded(held.need, by=held.agent)
        if crowded is not None:
            self._crowded.add(id(crowded))
            return False
        held.hold()
        held.meter.begin_turn(held.agent)
        asker.admitted.set_result(None)
        return True


def worst_of(prepared: PreparedCall, meter: Meter, *, at_s: float) -> WorstCase:
    """Return what a prepared call takes from the budget of `meter` at most, at the prices of `at_s` (Unix seconds)."""
    if not meter.bounds_spending:
        return NO_CALL
    layout, request = prepared.layout, prepared.request
    wanted = request.get("max_tokens")
    usage = worst_usage(
        layout,
        prepared.plan,
        max_tokens=wanted if isinstance(wanted, int) else 0,
        beside_tokens=settings_tokens(request, facts_for(layout.model)),
    )
    return worst_case(usage, model=layout.model, at_s=at_s)
