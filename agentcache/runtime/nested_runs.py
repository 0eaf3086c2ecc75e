"""Runs that are charged from the ledger, because this process did not perform them.

A tool may begin runs. When its result comes from the record of a durable run, they are not begun again, but what they
cost still counts against the limits above them; so records name them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import cast

from agentcache.accounting.usage import CallKind
from agentcache.prompt.canonical import JsonValue
from agentcache.runtime.limits import NO_LIMITS, Meter
from agentcache.stores.protocols import Ledger

_TURNS = frozenset({CallKind.MESSAGE, CallKind.SUMMARY, CallKind.WARM})
"""Kinds of calls that are turns of their run; the rest come with one of these or keep what it cached."""


async def charged_run(ledger: Ledger, run_id: str, above: Meter) -> Meter:
    """Return a meter below `above` that counts a run and all beneath it, from its rows."""
    rows = await ledger.calls(run_id=run_id)
    meter = Meter(limits=NO_LIMITS, started_at=rows[0].sent_at if rows else above.started_at, parent=above)
    for row in rows:
        meter.add(row)
    turns = {(row.run_id, row.turn): row.agent or "" for row in rows if row.kind in _TURNS}
    for agent in turns.values():
        meter.begin_turn(agent)
    return meter


@dataclass(slots=True, kw_only=True)
class NestedRuns:
    """The runs that something durable begins: one call of a tool, or the tools of an agent's run.

    meter: the innermost that may count them. around: who notes what is begun around this, and so this too.
    """

    ledger: Ledger
    meter: Meter
    around: NestedRuns | None = None
    _begun: list[JsonValue] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[list[JsonValue]]:
        """Note what begins within the block: ids of runs, and how far up the meter is that counts them."""
        self.around = _NOTING.get()
        token = _NOTING.set(self)
        try:
            yield self._begun
        finally:
            _NOTING.reset(token)

    async def charge_again(self, begun: JsonValue) -> None:
        """Count runs that were noted before, as they were counted then, and note them."""
        for run_id, place in cast("list[tuple[str, int]]", begun):
            meter = self.meter.lineage()[place]
            note_run(run_id, meter)
            await charged_run(self.ledger, run_id, meter)

    def begins(self, run_id: str, meter: Meter) -> None:
        """Note a run. One that is counted by none of the meters above is nested in another that is noted."""
        places = [place for place, above in enumerate(self.meter.lineage()) if above is meter]
        self._begun.extend([[run_id, place] for place in places])
        if self.around is not None:
            self.around.begins(run_id, meter)


_NOTING: ContextVar[NestedRuns | None] = ContextVar("agentcache_nested_runs", default=None)


def note_run(run_id: str, meter: Meter) -> None:
    """Note that a run begins which `meter` counts; without effect outside the tools of durable runs."""
    noting = _NOTING.get()
    if noting is not None:
        noting.begins(run_id, meter)
