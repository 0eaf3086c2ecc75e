"""What the record of durable runs no longer keeps: runs that finished long ago, with everything beneath them.

DBOS collects no garbage by a public name, but its public client lists and deletes what it keeps, outside of any process
that performs runs. A run that failed or was cancelled can go on; so it has not finished, however old it is, and stays.

Written against dbos 3.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dbos import DBOSClient

from agentcache.errors import StoreError
from agentcache.stores.database_errors import store_error
from agentcache.stores.databases import database_at
from agentcache.stores.opening import normal_url
from agentcache.workflow.durable_database import TASK, opened_from_outside

SETTLED_S = 60.0
"""A run that finished less than this ago stays: whoever waits for it in another process may not have looked yet."""

_FINISHED = "SUCCESS"
_ENDED = [_FINISHED, "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_PAGE = 5000
_RUNS_AT_ONCE = 100
_TASKS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedDurableRuns:
    """How many runs went, or would go, and how many that ended as long ago stay because they can go on."""

    runs: int
    can_go_on: int


async def prune_durable_runs(url: str, *, before: float, now: float, dry_run: bool = False) -> PrunedDurableRuns:
    """Remove the record of every durable run that finished before then, and give its room back (SQLite).

    Whoever asks for the id of such a run again begins a new one. before, now: Unix seconds. Raises `StoreError` when
    nothing was ever recorded there or the database cannot be used.
    """
    normal = normal_url(url)
    with _told(normal.render_as_string(hide_password=True)):
        pruned = await asyncio.to_thread(_pruned, url, min(before, now - SETTLED_S), dry_run=dry_run)
        if pruned.runs and not dry_run:
            database = database_at(normal)
            try:
                await database.compact()
            finally:
                await database.close()
    return pruned


def _pruned(url: str, before: float, *, dry_run: bool) -> PrunedDurableRuns:
    with opened_from_outside(url) as client:
        ended = dict(_ended(client, before))
        finished = [run_id for run_id, status in ended.items() if status == _FINISHED]
        count = 0
        for runs in _chunks(finished, _RUNS_AT_ONCE):
            below = _tasks_below(client, runs)
            count += len(below)
            if not dry_run:
                _remove(client, below)
    return PrunedDurableRuns(runs=count, can_go_on=len(ended) - len(finished))


def _ended(client: DBOSClient, before: float) -> Iterator[tuple[str, str]]:
    """Yield the id of each run that ended before, and how it ended. Tasks beneath a run have a '/' in theirs."""
    offset = 0
    while page := client.list_workflows(
        status=_ENDED,
        name=TASK,
        completed_before=datetime.fromtimestamp(before, UTC).isoformat(),
        load_input=False,
        load_output=False,
        limit=_PAGE,
        offset=offset,
    ):
        offset += len(page)
        for status in page:
            if "/" not in status.workflow_id and (status.completed_at or 0) < before * 1000:
                yield status.workflow_id, status.status


def _tasks_below(client: DBOSClient, runs: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the tasks beneath each of these runs, without the runs beneath which one has not ended."""
    below: dict[str, list[str]] = {run_id: [] for run_id in runs}
    prefixes = [f"{run_id}/" for run_id in runs]
    for status in client.list_workflows(workflow_id_prefix=prefixes, name=TASK, load_input=False, load_output=False):
        run_id = status.workflow_id.partition("/")[0]
        if run_id not in below:  # SQLite finds them whatever their case; or one is under way beside this one
            continue
        if status.status in _ENDED:
            below[run_id].append(status.workflow_id)
        else:
            del below[run_id]
    return below


def _remove(client: DBOSClient, below: Mapping[str, Sequence[str]]) -> None:
    """Remove tasks before the runs that they belong to: whatever ends this between, the rest goes the next time."""
    for ids in _chunks([task_id for tasks in below.values() for task_id in tasks], _TASKS_AT_ONCE):
        client.delete_workflows(list(ids))
    client.delete_workflows(list(below))


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Raise whatever the database or its driver raises as a `StoreError`."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        said = str(error)
        if "no such table" in said or ("relation" in said and "does not exist" in said):
            raise StoreError(f"{where}: no durable run was ever recorded here; name another database") from error
        raise store_error(error, where=where, doing="prune durable runs") from error
