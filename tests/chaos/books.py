"""What must hold of a storm when it is over, each with a message of its own. Pure."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache import Limits, RunError
from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.emulator.statement import StatementLine
from agentcache.errors import ConversationBusy
from agentcache.testing.ledger_audit import audit
from tests.chaos.errands import Errand, payments

MOST_SHOWN = 20


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One run of an errand as its user saw it: what came out, and what should if anything does."""

    expected: object
    output: object = None
    error: BaseException | None = None
    ending: str = "hang"
    """`result`, the name of an error, `cancelled`, `left`, or `hang`."""


def run_problems(attempt: Attempt) -> list[str]:
    """Say what is wrong with how a run ended."""
    error = attempt.error
    if attempt.ending == "hang":
        return ["hang: the run neither ended nor could be cancelled"]
    if error is not None and (not isinstance(error, RunError) or isinstance(error, ConversationBusy)):
        told = "".join(traceback.format_exception(error))[-3000:]
        return [f"bare exception: a run may end in a result or a RunError that its user can meet, not in:\n{told}"]
    if attempt.ending == "result" and attempt.output != attempt.expected:
        return [f"wrong answer: {attempt.output!r:.300} instead of {attempt.expected!r:.300}"]
    return []


def effect_problems(errand: Errand, attempts: Sequence[Attempt], executed: Mapping[str, int]) -> list[str]:
    """Say which tools with side effects ran twice, and which never did though the run that asked for them ended well.

    attempts: of the errand's tasks in their order, where each has one; fewer where one run has several tasks.
    """
    problems = [
        f"side effect twice: tool call {identifier} was executed {count} times"
        for identifier, count in executed.items()
        if count > 1
    ]
    answered = (
        [task for task, attempt in zip(errand.tasks, attempts, strict=True) if attempt.ending == "result"]
        if len(attempts) == len(errand.tasks)
        else [task for task in errand.tasks if all(attempt.ending == "result" for attempt in attempts)]
    )
    asked = [identifier for task in answered for identifier in payments(task.get("next", task))]
    problems += [
        f"side effect lost: the run ended well, and tool call {identifier} was never executed"
        for identifier in asked
        if identifier not in executed
    ]
    return problems


def ledger_problems(calls: Sequence[CallRecord], lines: Sequence[StatementLine]) -> list[str]:
    """Say where the rows of one errand are not what the emulator billed for it, call by call and bucket by bucket."""
    return [f"ledger: {problem}" for problem in audit(calls, lines).problems]


def run_row_problems(runs: Iterable[RunRecord]) -> list[str]:
    """Say which runs the ledger does not know to have ended."""
    return [
        f"open run: {run.run_id} of {run.name} is {run.status} in the ledger, and nothing runs any more"
        for run in runs
        if run.status is RunStatus.RUNNING or run.ended_at is None
    ]


def budget_problems(limits: Limits | None, begun_calls: int, lines: Sequence[StatementLine]) -> list[str]:
    """Say whether more was billed, or asked, than the bounds of the errand's one run allow.

    The bill is the emulator's own, with what no row knows the usage of.
    """
    if limits is None:
        return []
    problems = []
    if limits.turns is not None and begun_calls > limits.turns:
        problems.append(f"budget: {begun_calls} calls within a bound of {limits.turns} turns")
    billed = dollars(lines)
    if limits.usd is not None and billed > Decimal(limits.usd):
        problems.append(f"budget: ${billed} billed within a bound of ${limits.usd}")
    return problems


def dollars(lines: Iterable[StatementLine]) -> Decimal:
    """Return what lines of a statement cost at list price."""
    return sum((_price(line) for line in lines), Decimal(0))


def _price(line: StatementLine) -> Decimal:
    usage = Usage(
        uncached_input_tokens=line.charge.plain_tokens,
        cache_write_5m_tokens=line.charge.write_5m_tokens,
        cache_write_1h_tokens=line.charge.write_1h_tokens,
        cache_read_tokens=line.charge.read_tokens,
        output_tokens=line.output_tokens,
    )
    record = CallRecord(call_id="", run_id="", agent=None, model=line.model, sent_at=line.started_at, usage=usage)
    return price_record(record).cost_usd or Decimal(0)


def by_errand(runs: Iterable[RunRecord], roots: Mapping[str, int]) -> dict[str, int]:
    """Return the errand of every run; `roots` has those of the outermost ones."""
    parents = {run.run_id: run.parent_run_id for run in runs}

    def root(run_id: str) -> str:
        while (parent := parents.get(run_id)) is not None:
            run_id = parent
        return run_id

    return {run_id: roots[root(run_id)] for run_id in parents}


def memory_problem(mib_by_runs: Mapping[int, float], *, bound_mib: float) -> list[str]:
    """Say whether memory grew by more than a bound between the first and the last sample."""
    if len(mib_by_runs) < 2:
        return []
    (first, begun), (last, ended) = min(mib_by_runs.items()), max(mib_by_runs.items())
    if ended - begun <= bound_mib:
        return []
    return [
        f"memory: {begun:.1f} MiB after {first} errands, {ended:.1f} after {last}; at most {bound_mib:g} more is flat"
    ]


def left_behind(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> list[str]:
    """Say what is there after everything closed that was not there before: tasks, threads, handles, files."""
    return [
        f"left behind: {kind} {item}"
        for kind, found in after.items()
        for item in sorted(found - before.get(kind, frozenset()))
    ]


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was found, by errand (`None`: of the storm as a whole)."""

    problems: list[tuple[int | None, str]] = field(default_factory=list)

    def add(self, number: int | None, problems: Iterable[str]) -> None:
        """Take problems of one errand."""
        self.problems += [(number, problem) for problem in problems]

    def words(self, seed: str) -> str:
        """Return all of it in words, with how to see it again."""
        lines = [f"{len(self.problems)} problems in the storm of --chaos-seed {seed}"]
        for number, problem in self.problems[:MOST_SHOWN]:
            again = "" if number is None else f"  (again: pytest tests/chaos --chaos-seed {seed} --chaos-run {number})"
            lines.append(f"- {'the storm' if number is None else f'run {number}'}: {problem}{again}")
        more = len(self.problems) - MOST_SHOWN
        return "\n".join([*lines, f"… and {more} more"] if more > 0 else lines)
