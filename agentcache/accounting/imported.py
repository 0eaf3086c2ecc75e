"""Rows that a ledger did not write itself: calls that others recorded, and the runs that they belong to.

Ids are made of what the record itself calls a thing, so that the same call has the same id whichever file it is read
from, and reading a file again adds nothing. Decides which rows are new to a ledger; reads and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord
from agentcache.prompt.canonical import digest

_ID_DIGITS = 20


def whole_characters(text: str) -> str:
    """Return a text with halves of surrogate pairs, which no database takes, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def imported_id(kind: str, *names: str) -> str:
    """Return the id of a `run`, `call` or `tool` that others named with `names`."""
    return f"{kind}_{digest(whole_characters(chr(0).join(names))).rpartition(':')[2][:_ID_DIGITS]}"


def message_call_id(message_id: str) -> str:
    """Return the id of the call that the API answered with a message of this id, whoever recorded it."""
    return imported_id("call", "message", message_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRun:
    """A run as a record tells of it: when it began and ended follows from its calls."""

    run_id: str
    parent_run_id: str | None
    name: str
    agent: str | None
    conversation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRows:
    """Rows in an order in which a ledger takes them: runs before what is in them, a run before those nested in it."""

    runs: Sequence[RunRecord] = ()
    calls: Sequence[CallRecord] = ()
    tool_calls: Sequence[ToolCallRecord] = ()


def imported_rows(
    runs: Mapping[str, NamedRun], calls: Iterable[CallRecord], tool_calls: Iterable[ToolCallRecord] = ()
) -> ImportedRows:
    """Return calls priced and in the order of time, with the runs that have any, nested ones included.

    runs: by id, a run before those nested in it. A run spans its calls and those of the runs nested in it. Nobody
    recorded how it ended, so its status is `finished`.
    """
    priced = sorted(map(price_record, calls), key=lambda call: (call.sent_at, call.call_id))
    spans: dict[str, tuple[float, float]] = {}
    for call in priced:
        ended_at = call.sent_at if call.ended_at is None else call.ended_at
        for run in _upwards(runs, call.run_id):
            began, ended = spans.get(run.run_id, (call.sent_at, ended_at))
            spans[run.run_id] = (min(began, call.sent_at), max(ended, ended_at))
    found = [_run_record(run, *spans[run.run_id]) for run in runs.values() if run.run_id in spans]
    kept = [row for row in tool_calls if row.run_id in spans]
    return ImportedRows(runs=found, calls=_with_turns(priced), tool_calls=kept)


def _upwards(runs: Mapping[str, NamedRun], run_id: str) -> Iterator[NamedRun]:
    seen: set[str] = set()
    above: str | None = run_id
    while above is not None and above not in seen:
        seen.add(above)
        yield runs[above]
        above = runs[above].parent_run_id


def _run_record(run: NamedRun, began: float, ended: float) -> RunRecord:
    return RunRecord(
        run_id=run.run_id,
        parent_run_id=run.parent_run_id,
        name=run.name,
        agent=run.agent,
        conversation=run.conversation,
        started_at=began,
        ended_at=ended,
        status=RunStatus.FINISHED,
    )


def _with_turns(calls: Sequence[CallRecord]) -> list[CallRecord]:
    """Return the calls numbered from 1 within each run."""
    turns: dict[str, int] = {}
    numbered = []
    for call in calls:
        turns[call.run_id] = turns.get(call.run_id, 0) + 1
        numbered.append(replace(call, turn=turns[call.run_id]))
    return numbered


def new_to(rows: ImportedRows, *, runs: Mapping[str, RunRecord], calls: Iterable[CallRecord]) -> ImportedRows:
    """Return what a ledger that holds `runs` (by id) and `calls` lacks; empty when all has been imported before.

    A call that is there under another id, because the runtime recorded it itself, stays as it is. One that was
    imported while its answer still grew is replaced where the record now tells more tokens, and keeps its run.
    """
    by_id: dict[str, CallRecord] = {}
    by_message: dict[str, CallRecord] = {}
    for call in calls:
        by_id[call.call_id] = call
        if call.message_id is not None:
            by_message[call.message_id] = call
    lacking = []
    for call in rows.calls:
        there = by_id.get(call.call_id)
        if there is None and call.message_id not in by_message:
            lacking.append(call)
        elif there is not None and _tokens(call) > _tokens(there):
            lacking.append(replace(call, run_id=there.run_id, agent=there.agent, conversation=there.conversation))
    grown = [run for run in rows.runs if run.run_id not in runs or _ended(run) > _ended(runs[run.run_id])]
    needed = _with_parents(rows.runs, {call.run_id for call in lacking})
    return ImportedRows(
        runs=[run for run in grown if run.run_id in needed],
        calls=lacking,
        tool_calls=[row for row in rows.tool_calls if row.run_id in needed or row.run_id in runs],
    )


def _with_parents(runs: Sequence[RunRecord], needed: set[str]) -> set[str]:
    """Return `needed` and every run above one of them; in `runs` a parent stands before its children."""
    wanted = set(needed)
    for run in reversed(runs):
        if run.run_id in wanted and run.parent_run_id is not None:
            wanted.add(run.parent_run_id)
    return wanted


def _tokens(call: CallRecord) -> int:
    return -1 if call.usage is None else call.usage.total_tokens


def _ended(run: RunRecord) -> float:
    return run.started_at if run.ended_at is None else run.ended_at
