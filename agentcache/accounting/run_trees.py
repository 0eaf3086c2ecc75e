"""Runs as they nest, each with its own calls and with the cost of everything below it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from agentcache.accounting.usage import CallRecord, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTree:
    """A run, the calls it made itself, and the runs nested in it that made any, dearest first.

    `total_calls`, `priced_usd` and `unpriced_calls` count everything in the tree; dollars lack the unpriced calls.
    """

    run: RunRecord
    calls: tuple[CallRecord, ...]
    below: tuple[RunTree, ...]
    total_calls: int
    priced_usd: Decimal
    unpriced_calls: int

    @property
    def cost_usd(self) -> Decimal | None:
        """What the run cost with everything nested in it; `None` when a call of it is unpriced."""
        return None if self.unpriced_calls else self.priced_usd


def run_trees(runs: Iterable[RunRecord], calls: Iterable[CallRecord]) -> tuple[RunTree, ...]:
    """Return the top-level runs that made calls, dearest first. A run whose parent is not given is a top-level one.

    Calls of runs that are not given are left out.
    """
    known = {run.run_id: run for run in runs}
    own: dict[str, list[CallRecord]] = defaultdict(list)
    for call in calls:
        own[call.run_id].append(call)
    nested: dict[str | None, list[str]] = defaultdict(list)
    for run in known.values():
        nested[run.parent_run_id if run.parent_run_id in known else None].append(run.run_id)
    trees: dict[str, RunTree] = {}
    for run_id in reversed(_parents_first(nested)):
        below = [trees[child] for child in nested[run_id] if child in trees]
        if below or own[run_id]:
            trees[run_id] = _tree(known[run_id], own[run_id], below)
    return _dearest_first(trees[run_id] for run_id in nested[None] if run_id in trees)


def dearest_runs(runs: Iterable[RunRecord], spent: Iterable[tuple[str, Decimal]]) -> tuple[RunRecord, ...]:
    """Return the top-level runs that made calls, or that runs did which are nested in them, as `run_trees` sorts them.

    spent: the id of a run with what some calls of its own cost, which may come several times.
    """
    known = {run.run_id: run for run in runs}
    own: dict[str, Decimal] = defaultdict(Decimal)
    for run_id, usd in spent:
        own[run_id] += usd
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for run_id, usd in own.items():
        if run_id in known:
            sums[_top(known, run_id)] += usd
    found = (known[run_id] for run_id in sums)
    return tuple(sorted(found, key=lambda run: (-sums[run.run_id], run.started_at, run.run_id)))


def _top(known: Mapping[str, RunRecord], run_id: str) -> str:
    while (above := known[run_id].parent_run_id) in known:
        run_id = str(above)
    return run_id


def _parents_first(nested: Mapping[str | None, Sequence[str]]) -> list[str]:
    """Return the ids of all runs below no run, each before those nested in it; without recursion, however deep."""
    order = list(nested.get(None, ()))
    for run_id in order:
        order.extend(nested.get(run_id, ()))
    return order


def _tree(run: RunRecord, calls: Sequence[CallRecord], below: Sequence[RunTree]) -> RunTree:
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    return RunTree(
        run=run,
        calls=tuple(calls),
        below=_dearest_first(below),
        total_calls=len(calls) + sum(tree.total_calls for tree in below),
        priced_usd=sum(costs, Decimal(0)) + sum((tree.priced_usd for tree in below), Decimal(0)),
        unpriced_calls=len(calls) - len(costs) + sum(tree.unpriced_calls for tree in below),
    )


def _dearest_first(trees: Iterable[RunTree]) -> tuple[RunTree, ...]:
    return tuple(sorted(trees, key=lambda tree: (-tree.priced_usd, tree.run.started_at, tree.run.run_id)))
