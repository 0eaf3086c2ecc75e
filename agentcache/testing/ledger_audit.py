"""Ledger against bill: every call that was charged has one row, with the same tokens in the same buckets.

Pure. What the emulator has billed is the truth; a row may say less than it (its usage is unknown, or its reply broke
off and the answer was not told to its end), never more and never something else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from agentcache.accounting.pricing import price_record
from agentcache.accounting.summary import Grouping, summarise
from agentcache.accounting.usage import SIDE_KINDS, CallKind, CallRecord, RunRecord, Usage
from agentcache.emulator.statement import Statement, StatementLine
from agentcache.runtime.results import RunResult

_GROUPINGS: tuple[Grouping, ...] = ("agent", "run", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAudit:
    """What became of the lines of a statement, and what is wrong; `equal + broken_off + unknown` lines are in order."""

    equal: int = 0
    """Lines whose row has every bucket of them."""
    broken_off: int = 0
    """Lines whose row ended in an error: the prompt is equal, the answer is told as far as it came."""
    unknown: int = 0
    """Lines whose usage nobody was told, as their row says, or a row without a message, for as many lines as rows."""
    problems: tuple[str, ...] = ()
    """What does not match, a sentence each; empty when all is right."""


def assert_ledger_equals_statement(
    calls: Iterable[CallRecord], statement: Statement | Iterable[StatementLine]
) -> LedgerAudit:
    """Fail unless the ledger's rows and what was billed are the same, call by call and bucket by bucket.

    calls: the rows of all runtimes that the emulator served, no others. statement: `emulator.statement`, or lines.
    Returns what matched how. Raises `AssertionError` naming every line without a row, row without a line, different
    bucket, and dollar amount that is not the price of its tokens.
    """
    found = audit(calls, statement.lines if isinstance(statement, Statement) else statement)
    if found.problems:
        raise AssertionError("the ledger is not what was billed:\n  " + "\n  ".join(found.problems))
    return found


def audit(calls: Iterable[CallRecord], lines: Iterable[StatementLine], *, earlier: Collection[str] = ()) -> LedgerAudit:
    """Return how rows and lines match. `earlier` has ids of rows that may be of other emulators: no line is missed."""
    calls = list(calls)
    rows: dict[str, list[CallRecord]] = defaultdict(list)
    for call in calls:
        if call.message_id is not None:
            rows[call.message_id].append(call)
    counted: Counter[str] = Counter()
    problems: list[str] = []
    unmatched: list[StatementLine] = []
    told_unknown = 0
    for line in lines:
        of_line = rows.pop(line.message_id, [])
        if not of_line:
            unmatched.append(line)
            continue
        if not line.usage_told and all(row.usage is None for row in of_line):
            told_unknown += 1
            continue
        wrong = _differences(line, of_line)
        problems += wrong
        counted["broken_off" if any(row.error for row in of_line) else "equal"] += not wrong
    unknown = sum(call.usage is None and call.message_id is None for call in calls)
    if len(unmatched) > unknown:
        problems += [f"billed, and no row: {_told(line)}" for line in unmatched]
        problems.append(f"({unknown} rows of unknown usage could account for as many of these {len(unmatched)} lines)")
    problems += [
        f"a row that nobody billed: {row.call_id} ({row.message_id}) of {row.agent}"
        for row in [*(row for left in rows.values() for row in left), *_nameless(calls)]
        if row.call_id not in earlier
    ]
    problems += _sums(calls)
    return LedgerAudit(
        equal=counted["equal"],
        broken_off=counted["broken_off"],
        unknown=told_unknown + min(len(unmatched), unknown),
        problems=tuple(problems),
    )


def result_problems(
    result: RunResult[object], calls: Iterable[CallRecord], runs: Iterable[RunRecord]
) -> tuple[str, ...]:
    """Return how a run's result differs from the sum of its rows and of those of the runs nested in it."""
    runs = list(runs)
    nested = _nested(result.run_id, runs)
    end = next((run.ended_at for run in runs if run.run_id == result.run_id), None)
    own = [call for call in calls if call.run_id in nested and not _is_after(call, end)]
    used = sum((call.usage for call in own if call.usage is not None), Usage())
    problems = []
    if used != result.usage:
        problems.append(f"run {result.run_id}: the result says {result.usage}, its rows {used}")
    cost = _sum_usd(call.cost_usd for call in own if call.usage is not None)
    if result.cost_usd is not None and cost != result.cost_usd:
        problems.append(f"run {result.run_id}: the result says ${result.cost_usd}, its rows ${cost}")
    return tuple(problems)


def _is_after(call: CallRecord, end: float | None) -> bool:
    """Tell a call that kept a silent prompt alive after its run had returned: billed to it, not in its result."""
    return call.kind is CallKind.KEEP_ALIVE and end is not None and call.sent_at > end


def _differences(line: StatementLine, rows: Sequence[CallRecord]) -> list[str]:
    """Say how the rows of one message differ from its line: one of the call itself, more where a part has its own."""
    where = f"{line.message_id} of {rows[0].agent}"
    own = [row for row in rows if row.kind not in SIDE_KINDS]
    if len(own) != 1:
        return [f"{where}: billed once, and {len(own)} rows: {', '.join(row.call_id for row in own)}"]
    if any(row.usage is None for row in rows):
        return [f"{where}: the row knows its message and not its usage"]
    used = sum((row.usage for row in rows if row.usage is not None), Usage())
    billed = _usage_of(line)
    if own[0].error is not None and used.output_tokens <= billed.output_tokens:
        billed = replace(billed, output_tokens=used.output_tokens)
    return [] if used == billed else [f"{where}: billed {billed}, kept {used}"]


def _nameless(calls: Iterable[CallRecord]) -> list[CallRecord]:
    """Return rows with tokens and without the message that they were billed for."""
    return [call for call in calls if call.message_id is None and call.usage not in (None, Usage())]


def _sums(calls: Sequence[CallRecord]) -> list[str]:
    """Say where dollars are not the price of the tokens, or a report is not the sum of the rows."""
    problems = [
        f"{call.call_id} of {call.agent}: kept as ${call.cost_usd}, its tokens cost ${priced}"
        for call in calls
        if (priced := price_record(call).cost_usd) != call.cost_usd
    ]
    used = sum((call.usage for call in calls if call.usage is not None), Usage())
    cost = _sum_usd(call.cost_usd for call in calls)
    for by in _GROUPINGS:
        report = summarise(calls, by=by)
        rows = [*report.rows, report.unattributed]
        if not sum((row.usage for row in rows), Usage()) == report.total.usage == used:
            problems.append(f"the report by {by} has {report.total.usage}, the rows {used}")
        if not _sum_usd(row.priced_usd for row in rows) == report.total.priced_usd == cost:
            problems.append(f"the report by {by} has ${report.total.priced_usd}, the rows ${cost}")
    return problems


def _nested(run_id: str, runs: Iterable[RunRecord]) -> set[str]:
    below: Mapping[str | None, list[str]] = defaultdict(list)
    for run in runs:
        below[run.parent_run_id].append(run.run_id)
    found, waiting = {run_id}, [run_id]
    while waiting:
        children = below.get(waiting.pop(), [])
        found.update(children)
        waiting.extend(children)
    return found


def _usage_of(line: StatementLine) -> Usage:
    return Usage(
        uncached_input_tokens=line.charge.plain_tokens,
        cache_write_5m_tokens=line.charge.write_5m_tokens,
        cache_write_1h_tokens=line.charge.write_1h_tokens,
        cache_read_tokens=line.charge.read_tokens,
        output_tokens=line.output_tokens,
    )


def _told(line: StatementLine) -> str:
    return f"{line.message_id}, {line.model}: {_usage_of(line)}"


def _sum_usd(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
