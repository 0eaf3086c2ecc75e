"""A run's life: its row in the ledger, its start and end as events, its time bound, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from agentcache.accounting.usage import RunRecord, RunStatus
from agentcache.errors import StoreError
from agentcache.runtime.despite_cancellation import row_kept
from agentcache.runtime.events import EventSink, RunFinished, RunStarted
from agentcache.runtime.limits import Limits, Meter
from agentcache.runtime.results import RunResult
from agentcache.stores.protocols import Ledger

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class OpenRun:
    """A run that is under way. Whoever performs it sets `output`."""

    run_id: str
    meter: Meter
    output: object = None

    def result(self, output: T) -> RunResult[T]:
        """Return the finished run's result with its output under its own type."""
        meter = self.meter
        return RunResult(
            output=output, run_id=self.run_id, usage=meter.usage, cost_usd=meter.cost_usd, turns=meter.turns
        )


@asynccontextmanager
async def opened_run(
    ledger: Ledger,
    emit: EventSink,
    *,
    record: RunRecord,
    limits: Limits,
    above: Meter | None,
    clock: Callable[[], float],
    reopen: bool = False,
) -> AsyncIterator[OpenRun]:
    """Keep the row of a run from its start to its end, and bound its time. With `reopen` the row may be there already.

    Raises `LimitReached` when the block takes longer than the nearest bound in seconds, of this run or one above.
    """
    meter = Meter(limits=limits, started_at=record.started_at, name=record.name, parent=above)
    run = OpenRun(run_id=record.run_id, meter=meter)
    await _row_begun(ledger, record, clock, reopen=reopen)
    emit(
        RunStarted(
            run_id=run.run_id,
            agent=record.agent,
            at=record.started_at,
            name=record.name,
            parent_run_id=record.parent_run_id,
        )
    )
    status, error = RunStatus.FINISHED, None
    ended_by: BaseException | None = None
    try:
        async with _time_bound(run.meter, record.name, clock):
            yield run
    except asyncio.CancelledError as cancellation:
        status, error, ended_by = RunStatus.CANCELLED, "cancelled", cancellation
        raise
    except BaseException as failure:
        status, error, ended_by = RunStatus.FAILED, f"{type(failure).__name__}: {failure}", failure
        raise
    finally:
        ended_at = clock()
        finished = RunFinished(
            run_id=run.run_id,
            agent=record.agent,
            at=ended_at,
            name=record.name,
            status=status,
            error=error,
            output=run.output,
        )
        try:
            await row_kept(ledger.finish_run(run.run_id, ended_at=ended_at, status=status, error=error))
        except StoreError as unwritten:
            if ended_by is None:
                raise
            ended_by.add_note(f"the end of run {run.run_id} is not in the ledger: {unwritten}")
        finally:
            emit(finished)  # also when it was cancelled while its row was being closed


async def _row_begun(ledger: Ledger, record: RunRecord, clock: Callable[[], float], *, reopen: bool) -> None:
    """Write the row of a run; where it is cancelled meanwhile, the row gets its end as well."""
    try:
        await row_kept(ledger.reopen_run(record) if reopen else ledger.start_run(record))
    except asyncio.CancelledError:
        status, ended_at = RunStatus.CANCELLED, clock()
        await row_kept(ledger.finish_run(record.run_id, ended_at=ended_at, status=status, error="cancelled"))
        raise


@asynccontextmanager
async def _time_bound(meter: Meter, name: str, clock: Callable[[], float]) -> AsyncIterator[None]:
    left = meter.seconds_left(at=clock())
    scope = asyncio.timeout(left)
    try:
        async with scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        now = clock()
        bounded = meter.nearest_in_time(at=now) or meter
        raise bounded.reached("seconds", None, at=now, by=name) from None
