"""The plan of a storm, and that its books see what they are there for: a planted fault for each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from agentcache import LimitReached, Limits, Spent
from agentcache.accounting.pricing import price_record
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, Usage
from agentcache.emulator.prompt_cache import Charge
from agentcache.emulator.statement import StatementLine
from agentcache.errors import ConversationBusy, RunError
from tests.chaos.books import (
    Attempt,
    Verdict,
    budget_problems,
    by_errand,
    effect_problems,
    ledger_problems,
    left_behind,
    memory_problem,
    run_problems,
    run_row_problems,
)
from tests.chaos.errands import JOBS, SONNET, Errand, answer_of, errand, errand_of, payments, text_of
from tests.chaos.model import errand_in, reply

LINE = StatementLine(
    message_id="msg_1",
    request_id="req_1",
    model=SONNET,
    workspace="default",
    started_at=1.0,
    first_byte_at=1.0,
    charge=Charge(plain_tokens=1000),
    output_tokens=100,
    complete=True,
)
ROW = price_record(
    CallRecord(
        call_id="call_1",
        run_id="run_1",
        agent="clerk",
        model=SONNET,
        sent_at=1.0,
        message_id="msg_1",
        usage=Usage(uncached_input_tokens=1000, output_tokens=100),
    )
)
RUN = RunRecord(run_id="run_1", parent_run_id=None, name="clerk", agent="clerk", started_at=1.0)


def paying() -> Errand:
    """Return an errand of one task that pays."""
    return next(each for number in range(100) if (each := errand("1", number)).job == "tools" and list(paid(each)))


def paid(planned: Errand) -> list[str]:
    return [identifier for task in planned.tasks for identifier in payments(task)]


def test_a_seed_and_a_number_are_the_whole_plan() -> None:
    planned = [errand("s", number) for number in range(200)]
    assert planned == [errand("s", number) for number in range(200)]
    assert planned != [errand("t", number) for number in range(200)]
    assert {each.job for each in planned} == set(JOBS)
    assert {each.fate for each in planned} == {"wait", "stream", "leave", "cancel"}


@pytest.mark.parametrize("number", range(20))
def test_the_model_does_what_the_task_says_and_needs_no_memory(number: int) -> None:
    (task, *_) = errand("s", number).tasks
    request: dict[str, Any] = {
        "model": "claude-haiku-5-5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": text_of(task)}]}],
    }
    asked: list[str] = []
    for _ in task["rounds"]:
        said: Any = reply(request)
        calls = [block for block in said if block["type"] == "tool_use"]
        asked += [block["id"] for block in calls if block["name"] == "pay"]
        results = [{"type": "tool_result", "tool_use_id": block["id"], "content": "ok"} for block in calls]
        request["messages"] += [{"role": "assistant", "content": said}, {"role": "user", "content": results}]
    for _ in range(task["bad"]):
        request["messages"] += [{"role": "assistant", "content": "no"}, {"role": "user", "content": "again"}]
    said = reply(request)
    assert said == [{"type": "text", "text": answer_of(task)}]
    assert asked == list(payments(task))
    assert errand_in(request) == number
    assert {errand_of(identifier) for identifier in asked} <= {number}


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (Attempt(expected="a", output="a", ending="result"), None),
        (Attempt(expected="a", error=RunError("typed"), ending="RunError"), None),
        (Attempt(expected="a", ending="cancelled"), None),
        (Attempt(expected="a", output="b", ending="result"), "wrong answer"),
        (Attempt(expected="a", error=KeyError("mine"), ending="KeyError"), "bare exception"),
        (Attempt(expected="a", error=ConversationBusy("held"), ending="ConversationBusy"), "bare exception"),
        (Attempt(expected="a", error=asyncio.CancelledError(), ending="cancelled"), "bare exception"),
        (Attempt(expected="a"), "hang"),
    ],
)
def test_a_run_ends_in_its_answer_or_a_typed_error(attempt: Attempt, words: str | None) -> None:
    problems = run_problems(attempt)
    assert [problem.partition(":")[0] for problem in problems] == ([] if words is None else [words])


def test_a_side_effect_happens_once() -> None:
    planned = paying()
    (first, *others) = paid(planned)
    answered = [Attempt(expected="", ending="result")]
    once = dict.fromkeys([first, *others], 1)
    assert effect_problems(planned, answered, once) == []
    assert effect_problems(planned, [Attempt(expected="", ending="cancelled")], {}) == []
    assert "twice" in effect_problems(planned, answered, {**once, first: 2})[0]
    assert "lost" in effect_problems(planned, answered, dict.fromkeys(others, 1))[0]


def test_a_ledger_is_the_bill() -> None:
    unknown = replace(ROW, message_id=None, usage=None, cost_usd=None, counterfactual_usd=None)
    assert ledger_problems([ROW], [LINE]) == []
    assert ledger_problems([unknown], [LINE]) == []
    assert "no row" in ledger_problems([], [LINE])[0]
    assert "nobody billed" in ledger_problems([ROW], [])[0]
    assert "billed Usage" in ledger_problems([ROW], [replace(LINE, charge=Charge(write_5m_tokens=1000))])[0]


def test_a_bound_holds_against_the_bill() -> None:
    cost = Decimal(str(ROW.cost_usd))
    assert budget_problems(Limits(usd=cost), 1, [LINE]) == []
    assert budget_problems(None, 99, [LINE]) == []
    assert "billed within" in budget_problems(Limits(usd=cost - Decimal("0.000001")), 1, [LINE])[0]
    assert "turns" in budget_problems(Limits(turns=1), 2, [])[0]


def test_no_run_stays_open_in_the_ledger() -> None:
    assert run_row_problems([replace(RUN, ended_at=2.0, status=RunStatus.FAILED)]) == []
    assert "open run" in run_row_problems([RUN])[0]


def test_a_nested_run_belongs_to_the_errand_of_its_outermost_one() -> None:
    below = replace(RUN, run_id="run_2", parent_run_id="run_1")
    assert by_errand([RUN, below, replace(RUN, run_id="run_3", parent_run_id="run_2")], {"run_1": 7}) == {
        "run_1": 7,
        "run_2": 7,
        "run_3": 7,
    }


def test_memory_is_flat_within_a_bound() -> None:
    assert memory_problem({100: 90.0, 500: 99.0}, bound_mib=10) == []
    assert "99.0 after 500" in memory_problem({100: 80.0, 500: 99.0}, bound_mib=10)[0]
    assert memory_problem({100: 80.0}, bound_mib=10) == []


def test_what_was_there_before_is_not_left_behind() -> None:
    before, after = {"thread": frozenset({"main"})}, {"thread": frozenset({"main", "worker"}), "task": frozenset({"t"})}
    assert left_behind(before, after) == ["left behind: thread worker", "left behind: task t"]


def test_a_verdict_says_how_to_see_it_again() -> None:
    verdict = Verdict()
    verdict.add(17, ["hang: …"])
    verdict.add(None, ["memory: …"])
    words = verdict.words("s")
    assert "--chaos-seed s --chaos-run 17" in words
    assert "the storm: memory" in words


def test_a_limit_is_an_end_that_users_can_meet() -> None:
    spent = Spent(turns=1, tokens=1, cost_usd=None, seconds=1.0)
    error = LimitReached("reached", limit="turns", spent=spent)
    assert run_problems(Attempt(expected="a", error=error, ending="LimitReached")) == []
