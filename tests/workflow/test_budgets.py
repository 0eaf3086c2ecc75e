"""Budgets on a real socket: refused before anything is sent, never overshot together, shared by nested runs."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from agentcache import (
    Agent,
    CallFinished,
    LimitReached,
    Limits,
    OutputTruncated,
    Prompt,
    Run,
    SettingsError,
    tool,
    workflow,
)
from agentcache.accounting.usage import CallRecord
from agentcache.emulator.faults import Fault, ScheduledFaults
from agentcache.runtime.client import DEFAULT_MAX_ATTEMPTS
from agentcache.testing import assert_ledger_equals_statement
from tests.workflow.conftest import RULES, Request, Stage, at_once
from tests.workflow.conftest import agent as declared


def agent(**changes: Any) -> Agent[Any]:
    """Declare an agent whose calls cost $0.0073 at most, and far less when its rules are in the cache."""
    return declared(**{"max_tokens": 100, **changes})


WORST = Decimal("0.0073")


def cost(calls: list[CallRecord]) -> Decimal:
    return sum((call.cost_usd or Decimal(0) for call in calls), Decimal(0))


def equals_statement(on: Stage, calls: list[CallRecord]) -> bool:
    """Compare every row with what the emulator charged for it; no row and no charge stands alone."""
    return assert_ledger_equals_statement(calls, on.emulator.statement).unknown == 0


async def test_a_call_whose_worst_case_does_not_fit_is_refused_and_nothing_is_sent(stage):
    async with stage(lambda request: "never asked") as on:
        with pytest.raises(LimitReached) as caught:
            await on.runtime.run(agent(), "go", limits=Limits(usd="0.005"))
        assert on.emulator.requests == []
        assert await on.runtime.ledger.calls() == []
    error = caught.value
    assert (error.limit, error.run, error.spent.turns) == ("usd", "clerk", 0)
    assert error.needed is not None
    assert Decimal("0.005") < (error.needed.usd or 0) < WORST
    assert "raise Limits(usd=…) by $0.00" in str(error)


async def test_the_worst_case_bounds_the_bill(stage):
    async with stage(lambda request: "word " * 500) as on:
        with pytest.raises(LimitReached) as caught:
            await on.runtime.run(agent(), "go", limits=Limits(usd="0.000001"))
        with pytest.raises(OutputTruncated):
            await on.runtime.run(agent(), "go")
        (call,) = await on.runtime.ledger.calls()
    assert caught.value.needed is not None
    assert caught.value.needed.usd is not None
    assert call.cost_usd <= caught.value.needed.usd <= call.cost_usd * 2


async def test_twenty_calls_at_once_never_overshoot_their_dollar_bound(stage):
    bound = Decimal("0.02")

    @workflow(limits=Limits(usd=bound))
    async def crowd(run: Run) -> list[str | BaseException]:
        asked = [run.ask(agent(cache="off"), f"item {n}") for n in range(20)]
        answers: list[str | BaseException] = await asyncio.gather(*asked, return_exceptions=True)
        return answers

    seen: list[Decimal] = []
    async with stage(lambda request: "word " * 60) as on:
        result = await on.runtime.run(crowd)
        calls = await on.runtime.ledger.calls()
        seen = [cost(calls[: at + 1]) for at in range(len(calls))]
        assert equals_statement(on, calls)
    stopped = [item for item in result.output if isinstance(item, LimitReached)]
    assert 1 <= len(calls) == 20 - len(stopped) < 20
    assert max(seen) == result.cost_usd <= bound
    assert bound - result.cost_usd < WORST, "whoever still had room was let in"


async def test_calls_that_wait_for_room_are_let_in_when_others_cost_less_than_feared(stage):
    @workflow(limits=Limits(usd=WORST + Decimal("0.003")))
    async def crowd(run: Run) -> list[str]:
        return await run.map(agent(), [f"item {n}" for n in range(10)])

    async with stage(lambda request: "ok") as on:
        result = await on.runtime.run(crowd)
    assert result.output == ["ok"] * 10


async def test_a_cached_token_counts_for_what_it_costs(stage):
    """Ten calls of 1,400 tokens each under a bound of 6,000: nine of them read at a twentieth."""

    @workflow(limits=Limits(tokens=6000))
    async def many(run: Run) -> list[str]:
        return [await run.ask(agent(), f"item {n}") for n in range(10)]

    async with stage(lambda request: "ok") as on:
        result = await on.runtime.run(many)
        assert result.usage.total_tokens > 12_000
        with pytest.raises(LimitReached, match="weighted tokens of many"):
            await on.runtime.run(many.within(Limits(tokens=2500)))


async def test_a_nested_workflow_gets_a_share_at_the_call(stage):
    @workflow(limits=Limits(usd="1"))
    async def inner(run: Run) -> str:
        assert run.left.usd == Decimal("0.0100")
        return await run.ask(agent(), "one")

    @workflow(limits=Limits(usd="0.0200", turns=3))
    async def outer(run: Run) -> tuple[str, int | None, int]:
        answer = await inner.within(run.left.share(0.5))(run)
        return answer, run.left.turns, run.spent.turns

    async with stage(lambda request: "ok") as on:
        result = await on.runtime.run(outer)
    assert result.output == ("ok", 2, 1)


async def test_the_share_of_one_item_of_a_map_is_its_own(stage):
    @workflow
    async def fan_out(run: Run) -> list[str]:
        return await run.map(agent(), ["one", "two"], limits=Limits(usd="0.001"))

    async with stage(lambda request: "ok") as on:
        with pytest.raises(LimitReached) as caught:
            await on.runtime.run(fan_out)
    assert caught.value.run == "clerk"


async def test_the_error_says_who_spent_it(stage):
    @workflow(limits=Limits(turns=3))
    async def review(run: Run) -> None:
        for name in ("scout", "scout", "judge", "judge"):
            await run.ask(agent(name=name), "go")

    async with stage(lambda request: "ok") as on:
        with pytest.raises(LimitReached) as caught:
            await on.runtime.run(review)
        calls = await on.runtime.ledger.calls()
    error = caught.value
    assert (error.limit, error.run) == ("turns", "review")
    assert {name: spent.turns for name, spent in error.by_agent.items()} == {"scout": 2, "judge": 1}
    assert sum(spent.cost_usd or 0 for spent in error.by_agent.values()) == error.spent.cost_usd == cost(calls)


async def test_an_agent_that_is_a_tool_of_another_does_not_wait_for_its_caller(stage):
    """The caller's own call is settled while its tool runs: with its worst case in the way the expert had no room."""

    @workflow(limits=Limits(usd="0.0155"))
    async def plan(run: Run) -> str:
        @tool
        async def ask_expert(question: str) -> str:
            """Ask the expert."""
            return await run.ask(agent(name="expert"), question, limits=run.left.share(0.99))

        return await run.ask(agent(name="planner", tools=[ask_expert]), "go")

    def script(request: Request) -> Any:
        if "tools" in request and len(request["messages"]) == 1:
            return [{"type": "tool_use", "name": "ask_expert", "input": {"question": "where?"}}]
        return "there"

    async with stage(script) as on:
        result = await on.runtime.run(plan)
    assert result.output == "there"
    assert result.turns == 3


async def test_a_call_whose_bill_nobody_knows_counts_at_its_worst(stage):
    async with stage(
        lambda request: "ok", faults=ScheduledFaults([Fault(kind="reset")] * DEFAULT_MAX_ATTEMPTS), sleep=at_once
    ) as on:

        @workflow(limits=Limits(usd="0.01"))
        async def twice(run: Run) -> None:
            await asyncio.gather(run.ask(agent(), "one"), return_exceptions=True)
            assert run.spent.unknown_calls == 1
            assert run.spent.cost_usd == 0
            await run.ask(agent(), "two")

        with pytest.raises(LimitReached, match=r"leaves \$0\.00"):
            await on.runtime.run(twice)


async def test_a_reply_that_breaks_off_is_not_tried_again_without_room_for_a_second_bill(stage):
    async with stage(
        lambda request: "a fairly long answer", faults=ScheduledFaults([Fault(kind="cut")]), sleep=at_once
    ) as on:
        with pytest.raises(LimitReached):
            await on.runtime.run(agent(), "go", limits=Limits(usd="0.008"))
        calls = await on.runtime.ledger.calls()
        assert len(on.emulator.requests) == 1
    (call,) = calls
    assert (call.error or "").startswith("LimitReached")


async def test_a_reply_that_breaks_off_and_is_tried_again_is_two_rows_and_one_sum(stage):
    async with stage(
        lambda request: "a fairly long answer", faults=ScheduledFaults([Fault(kind="cut")]), sleep=at_once
    ) as on:
        result = await on.runtime.run(agent(), "go", limits=Limits(usd="0.02"))
        calls = await on.runtime.ledger.calls()
    assert len(calls) == 2
    assert result.cost_usd == cost(calls)
    assert result.turns == 1


async def test_a_reply_that_was_accepted_and_never_began_needs_room_for_a_second_bill(stage):
    faults = ScheduledFaults([Fault(kind="cut", place="start")])
    async with stage(lambda request: "ok", faults=faults, sleep=at_once) as on:
        with pytest.raises(LimitReached):
            await on.runtime.run(agent(), "go", limits=Limits(usd="0.008"))
        (call,) = await on.runtime.ledger.calls()
        assert len(on.emulator.statement.lines) == 1
    assert call.usage is None


async def test_a_reply_that_was_accepted_and_never_began_has_a_row_of_its_own(stage):
    faults = ScheduledFaults([Fault(kind="cut", place="start")])
    async with stage(lambda request: "ok", faults=faults, sleep=at_once) as on:
        result = await on.runtime.run(agent(), "go")
        lost, answered = sorted(await on.runtime.ledger.calls(), key=lambda call: call.message_id or "")
        assert len(on.emulator.statement.lines) == 2
    assert (lost.usage, lost.message_id, lost.cost_usd) == (None, None, None)
    assert (lost.error or "").startswith("ConnectionFailed")
    assert (answered.usage, answered.error) == (result.usage, None)


async def test_a_reply_whose_end_tells_no_usage_is_an_answer_at_an_unknown_price(stage):
    faults = ScheduledFaults([Fault(kind="no_usage", place="end")])

    @workflow(limits=Limits(usd="1"))
    async def asking(run: Run) -> int:
        assert await run.ask(agent(), "go") == "ok"
        return run.spent.unknown_calls

    async with stage(lambda request: "ok", faults=faults) as on:
        result = await on.runtime.run(asking)
        (call,) = await on.runtime.ledger.calls()
    assert (result.output, result.cost_usd) == (1, 0)
    assert (call.usage, call.cost_usd, call.error) == (None, None, None)
    assert call.message_id is not None


async def test_the_error_of_a_time_bound_names_the_run_that_is_bounded(stage):
    async def slow(request: Request) -> str:
        await asyncio.sleep(30)
        return "late"

    @workflow(limits=Limits(seconds=0.2))
    async def hurried(run: Run) -> str:
        return await run.ask(agent(), "go", limits=Limits(seconds=60))

    async with stage(slow) as on:
        with pytest.raises(LimitReached, match=r"the time limit of 0\.2 s") as caught:
            await on.runtime.run(hurried)
    assert (caught.value.limit, caught.value.run) == ("seconds", "hurried")


async def test_a_warm_up_is_refused_by_the_same_bounds(stage):
    async with stage(lambda request: "ok") as on:
        with pytest.raises(LimitReached):
            await on.runtime.warm(agent(limits=Limits(usd="0.001")))
        assert on.emulator.requests == []


async def test_a_runtime_bounds_everything_that_it_runs(stage):
    async with stage(lambda request: "ok", limits=Limits(usd="0.001")) as on:
        with pytest.raises(LimitReached, match="of runtime"):
            await on.runtime.run(agent(), "go")


async def test_dollars_of_a_model_without_a_price_cannot_be_bounded_from_above_either(stage):
    unknown = Agent(name="next", model="claude-next-9", prompt=Prompt(static=RULES))
    async with stage(lambda request: "ok", limits=Limits(usd=1)) as on:
        with pytest.raises(SettingsError, match="no price"):
            await on.runtime.run(unknown, "go")
        assert on.told(CallFinished) == []
