"""Runs under way, as the ledger tells them: rows come in as they are written, a view goes out for any moment.

Decides what is still shown, what nests in what, and from when on the ledger must be read again. A run's row counts
everything nested in it; runs of one name under one parent share a row, so that a fan-out is one line. A row of a call
is written when the call ends, so runs are told by their own rows and calls only once they are over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage

FADE_S = 60.0
"""How long a run that has ended is still shown."""

MINUTE_S = 60.0
"""The span that calls and dollars per minute are counted over."""

LATE_S = 900.0
"""How late a call's row may come after the call was sent: more than the ten minutes that the SDK waits for a reply."""

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSums:
    """What some calls used. Times are Unix seconds."""

    calls: int = 0
    errors: int = 0
    usage: Usage = field(default_factory=Usage)
    unknown_calls: int = 0
    """Calls of unknown usage: `usage` lacks them."""
    priced_usd: Decimal = _ZERO
    unpriced_calls: int = 0
    """Calls of unknown price: `priced_usd` lacks them."""
    minute_calls: int = 0
    """Calls that ended in the last minute."""
    minute_usd: Decimal = _ZERO
    held_s: float = 0.0
    """Seconds for which the scheduler held calls back, all together."""
    last_call_at: float | None = None

    def __add__(self, other: LiveSums) -> LiveSums:
        moments = [at for at in (self.last_call_at, other.last_call_at) if at is not None]
        return LiveSums(
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            usage=self.usage + other.usage,
            unknown_calls=self.unknown_calls + other.unknown_calls,
            priced_usd=self.priced_usd + other.priced_usd,
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
            minute_calls=self.minute_calls + other.minute_calls,
            minute_usd=self.minute_usd + other.minute_usd,
            held_s=self.held_s + other.held_s,
            last_call_at=max(moments, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """One line of the view: a run at the top (depth 0), or all runs of one name under the line above it."""

    name: str
    depth: int
    run_id: str
    """The run, or the first one of several."""
    runs: int
    under_way: int
    """Those of `runs` that have not ended."""
    started_at: float
    sums: LiveSums
    """With everything nested in the runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """What is shown at the time `at`: runs at the top by their start, each followed by what is nested in it."""

    at: float
    rows: tuple[LiveRow, ...]
    total: LiveSums


@dataclass(slots=True)
class LiveRuns:
    """Rows of the ledger that are still shown. `window_s`: a run that gave no sign for so long is taken for lost."""

    window_s: float
    _runs: dict[str, RunRecord] = field(default_factory=dict)
    _calls: dict[str, CallRecord] = field(default_factory=dict)
    _looked_at: float | None = None

    def take(self, runs: Iterable[RunRecord], calls: Iterable[CallRecord], *, now: float) -> None:
        """Add rows, or newer states of rows, that were read at the time `now`; forget what is shown no more."""
        self._runs |= {run.run_id: run for run in runs}
        self._calls |= {call.call_id: call for call in calls}
        self._looked_at = now
        # What the next look may read again stays too, so that its runs are known then.
        kept = self._shown(now) | {top for top, sign in self._signs().items() if sign >= self.since(now)}
        self._runs = {run_id: run for run_id, run in self._runs.items() if self._top(run) in kept}
        self._calls = {call_id: call for call_id, call in self._calls.items() if call.run_id in self._runs}

    def since(self, now: float) -> float:
        """Return from when on rows must be read: what the last look cannot have seen yet."""
        return now - max(self.window_s, LATE_S) if self._looked_at is None else self._looked_at - LATE_S

    def older_runs(self, now: float) -> list[str]:
        """Return ids of top-level runs that began before `since` and had not ended: they are to be read by their id."""
        since = self.since(now)
        return sorted(
            run.run_id
            for run in self._runs.values()
            if run.status is RunStatus.RUNNING and run.started_at < since and self._top(run) == run.run_id
        )

    def unknown_runs(self, runs: Iterable[RunRecord], calls: Iterable[CallRecord]) -> list[str]:
        """Return ids of runs that new rows belong to and that have not been read: they began before the window."""
        runs = list(runs)
        known = {*self._runs, *(run.run_id for run in runs)}
        named = {call.run_id for call in calls if call.call_id not in self._calls}
        named |= {run.parent_run_id for run in runs if run.parent_run_id is not None}
        return sorted(named - known)

    def view(self, now: float) -> LiveView:
        """Return what to show at the time `now`."""
        calls: dict[str, list[CallRecord]] = defaultdict(list)
        for call in self._calls.values():
            calls[call.run_id].append(call)
        children: dict[str | None, list[RunRecord]] = defaultdict(list)
        for run in sorted(self._runs.values(), key=lambda run: (run.started_at, run.run_id)):
            children[run.parent_run_id if run.parent_run_id in self._runs else None].append(run)
        drawing = _Drawing(calls=calls, children=children, now=now)
        shown = self._shown(now)
        rows = [row for run in children[None] if run.run_id in shown for row in drawing.rows([run], depth=0)]
        total = sum((row.sums for row in rows if row.depth == 0), LiveSums())
        return LiveView(at=now, rows=tuple(rows), total=total)

    def _shown(self, now: float) -> set[str]:
        """Return the ids of top-level runs that are under way or ended a moment ago."""
        return {top for top, sign in self._signs().items() if self._is_shown(self._runs[top], sign, now)}

    def _signs(self) -> dict[str, float]:
        """Return when each top-level run, or something nested in it, was last heard of."""
        signs: dict[str, float] = defaultdict(float)
        for run in self._runs.values():
            top = self._top(run)
            signs[top] = max(signs[top], run.started_at, run.ended_at or 0.0)
        for call in self._calls.values():
            if (its_run := self._runs.get(call.run_id)) is not None:
                top = self._top(its_run)
                signs[top] = max(signs[top], call.ended_at or call.sent_at)
        return signs

    def _is_shown(self, top: RunRecord, sign: float, now: float) -> bool:
        if top.status is RunStatus.RUNNING:
            return sign >= now - self.window_s
        return (top.ended_at or top.started_at) >= now - FADE_S

    def _top(self, run: RunRecord) -> str:
        while (above := self._runs.get(run.parent_run_id or "")) is not None:
            run = above
        return run.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """Rows by the run that they belong to or are nested in, and the time that is drawn."""

    calls: dict[str, list[CallRecord]]
    children: dict[str | None, list[RunRecord]]
    now: float

    def rows(self, runs: Sequence[RunRecord], *, depth: int) -> list[LiveRow]:
        """Return one line for `runs`, which share name and place, and the lines beneath it."""
        nested: dict[str, list[RunRecord]] = defaultdict(list)
        for run in runs:
            for child in self.children.get(run.run_id, ()):
                nested[child.name].append(child)
        below = [self.rows(group, depth=depth + 1) for group in nested.values()]
        own = [_sums_of(call, self.now) for run in runs for call in self.calls.get(run.run_id, ())]
        line = LiveRow(
            name=runs[0].name,
            depth=depth,
            run_id=runs[0].run_id,
            runs=len(runs),
            under_way=sum(run.status is RunStatus.RUNNING for run in runs),
            started_at=runs[0].started_at,
            sums=sum([*own, *(rows[0].sums for rows in below)], LiveSums()),
        )
        return [line, *(row for rows in below for row in rows)]


def _sums_of(call: CallRecord, now: float) -> LiveSums:
    at = call.ended_at or call.sent_at
    recent = now - MINUTE_S < at <= now
    return LiveSums(
        calls=1,
        errors=int(call.error is not None),
        usage=call.usage or Usage(),
        unknown_calls=int(call.usage is None),
        priced_usd=call.cost_usd or _ZERO,
        unpriced_calls=int(call.cost_usd is None),
        minute_calls=int(recent),
        minute_usd=(call.cost_usd or _ZERO) if recent else _ZERO,
        held_s=sum((call.held_s or {}).values()),
        last_call_at=at,
    )
