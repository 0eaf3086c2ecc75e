"""Human approval: nothing runs without a yes, a no is told in words, and nobody else waits meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from agentcache import (
    ApprovalDecided,
    ApprovalRequest,
    ApprovalRequested,
    Decision,
    Notice,
    SettingsError,
    ToolFinished,
    ToolStarted,
    agent_tool,
    current_tool_call,
    tool,
)
from tests.workflow.conftest import Request, agent, staged


class Bank:
    """A tool that must not run unasked, and one that anybody may use."""

    def __init__(self, **options: Any) -> None:
        self.paid: list[int] = []
        self.keys: list[str] = []

        @tool(**{"approval": True, **options})
        async def pay(euros: int) -> str:
            """Pay."""
            self.paid.append(euros)
            self.keys.append(current_tool_call().idempotency_key)
            return f"paid {euros}"

        @tool
        async def balance() -> str:
            """Tell the balance."""
            return "100"

        self.clerk = agent(tools=[pay, balance])


def pays(*amounts: object, also: tuple[str, ...] = ()) -> Any:
    """Return a script that asks for these payments and other tools at once, then repeats the results."""

    def script(request: Request) -> Any:
        last = request["messages"][-1]["content"]
        if last[0]["type"] == "tool_result":
            return " | ".join(f"{bool(block.get('is_error'))} {block['content']}" for block in last)
        others = [{"type": "tool_use", "name": name, "input": {}} for name in also]
        return [{"type": "tool_use", "name": "pay", "input": {"euros": euros}} for euros in amounts] + others

    return script


async def test_a_yes_lets_the_tool_run_and_the_request_says_what_is_asked():
    bank, asked = Bank(), []

    async def approve(request: ApprovalRequest) -> Decision:
        asked.append(request)
        return Decision(True)

    async with staged(pays(5), approve=approve) as on:
        result = await on.runtime.run(bank.clerk, "go")
        (row,) = await on.runtime.ledger.tool_calls()
    (request,) = asked
    assert result.output == "False paid 5"
    assert (request.run_id, request.agent, request.tool) == (result.run_id, "clerk", "pay")
    assert request.arguments == {"euros": 5}
    assert request.tool_use_id in str(on.emulator.requests[1])
    assert bank.keys == [request.idempotency_key]
    assert row.outcome == "ok"


async def test_a_no_is_told_to_the_model_with_its_reason_and_the_run_goes_on():
    bank = Bank()
    async with staged(pays(5), approve=lambda request: Decision(False, reason="too dear")) as on:
        result = await on.runtime.run(bank.clerk, "go")
        (row,) = await on.runtime.ledger.tool_calls()
    assert result.output.startswith("True A person declined this call of pay")
    assert "was not run. Reason: too dear. Do not repeat" in result.output
    assert (bank.paid, row.outcome) == ([], "declined")


async def test_what_an_approver_does_to_its_copy_changes_neither_the_call_nor_the_prompt():
    bank = Bank()

    def approve(request: ApprovalRequest) -> bool:
        request.arguments["euros"] = 5000
        return True

    async with staged(pays(5), approve=approve) as on:
        await on.runtime.run(bank.clerk, "go")
    assert bank.paid == [5]
    assert "5000" not in str(on.emulator.requests)


async def test_a_turn_tells_of_the_question_the_answer_and_then_the_tool():
    kinds = (ApprovalRequested, ApprovalDecided, ToolStarted, ToolFinished)
    bank = Bank(approval=lambda euros: euros > 10)
    async with staged(pays(50, 60, 5), approve=lambda request: request.arguments == {"euros": 50}) as on:
        await on.runtime.run(bank.clerk, "go")
        told = [event for event in on.events if isinstance(event, kinds)]
    by_call: dict[str, list[str]] = {}
    for event in told:
        by_call.setdefault(event.tool_call_id, []).append(type(event).__name__)
    assert sorted(by_call.values()) == [
        ["ApprovalRequested", "ApprovalDecided"],
        ["ApprovalRequested", "ApprovalDecided", "ToolStarted", "ToolFinished"],
        ["ToolStarted", "ToolFinished"],
    ]
    assert sorted(bank.paid) == [5, 50]
    assert {event.run_id for event in told} == {told[0].run_id}


async def test_who_waits_holds_up_no_other_tool_and_no_slot():
    bank, balance_is_told = Bank(), asyncio.Event()

    async def approve(request: ApprovalRequest) -> bool:
        await balance_is_told.wait()
        return True

    def note(event: object) -> None:
        if isinstance(event, ToolFinished) and event.tool == "balance":
            balance_is_told.set()

    clerk = agent(tools=list(bank.clerk.tools), tool_concurrency=1)
    async with staged(pays(1, 2, also=("balance",)), approve=approve) as on:
        events = on.runtime.stream(clerk, "go")
        async with asyncio.timeout(10):
            async for event in events:
                note(event)
    assert sorted(bank.paid) == [1, 2]


async def test_a_plain_callback_may_block_its_thread_and_more_of_them_than_any_pool_has():
    bank, waiting = Bank(), threading.Barrier(41)

    def approve(request: ApprovalRequest) -> bool:
        waiting.wait(timeout=10)  # all of them at once, or none
        return True

    async with staged(pays(*range(40)), approve=approve) as on:
        running = asyncio.create_task(on.runtime.run(bank.clerk, "go"))
        await asyncio.to_thread(waiting.wait, 10)
        await running
    assert sorted(bank.paid) == list(range(40))


async def test_without_anybody_to_ask_nothing_is_sent():
    async with staged(pays(5)) as on:
        with pytest.raises(SettingsError, match="calls of 'pay' wait for approval, and nobody can be asked"):
            await on.runtime.run(Bank().clerk, "go")
    assert on.emulator.requests == []


async def test_that_nobody_can_be_asked_is_also_known_of_agents_behind_tools():
    clerk = agent_tool(Bank().clerk, description="Have something paid.")
    boss = agent(name="boss", tools=[agent_tool(agent(name="chief", tools=[clerk]), description="Ask.")])
    async with staged(pays(5)) as on:
        with pytest.raises(SettingsError, match="agent 'boss': calls of 'pay' wait for approval"):
            await on.runtime.run(boss, "go")
    assert on.emulator.requests == []


async def broken(request: ApprovalRequest) -> bool:
    raise OSError("the queue is down")


@pytest.mark.parametrize(
    ("options", "approve", "told"),
    [
        ({}, broken, "OSError: the queue is down"),
        ({}, lambda request: "yes", "returned 'yes'"),
        ({}, lambda request: Decision("no"), "returned Decision(approved='no'"),  # type: ignore[arg-type]
        ({"approval": lambda euros: 1 / 0}, lambda request: True, "ZeroDivisionError"),
    ],
    ids=["approver fails", "no decision", "no bool", "rule fails"],
)
async def test_what_breaks_on_the_way_to_a_decision_is_no_yes(options, approve, told):
    bank = Bank(**options)
    async with staged(pays(5), approve=approve) as on:
        result = await on.runtime.run(bank.clerk, "go")
    assert bank.paid == []
    assert result.output.startswith("True ")
    assert told in next(event.message for event in on.told(Notice) if event.code == "tool_error")


async def test_arguments_that_do_not_fit_are_sent_back_before_anybody_is_asked():
    bank = Bank(approval=lambda euros: euros > 0)
    async with staged(pays("many"), approve=lambda request: True) as on:
        result = await on.runtime.run(bank.clerk, "go")
    assert "euros" in result.output
    assert on.told(ApprovalRequested) == bank.paid == []


async def test_cancelling_a_run_that_waits_runs_nothing_and_closes_its_rows():
    bank, asked = Bank(), asyncio.Event()

    async def approve(request: ApprovalRequest) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    async with staged(pays(5), approve=approve) as on:
        running = asyncio.create_task(on.runtime.run(bank.clerk, "go"))
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (row,), (run,) = await on.runtime.ledger.tool_calls(), await on.runtime.ledger.runs()
    assert (bank.paid, row.outcome, run.status) == ([], "cancelled", "cancelled")


async def test_an_agent_inside_a_tool_asks_the_same_person():
    bank, asked = Bank(), []
    boss = agent(name="boss", tools=[agent_tool(bank.clerk, description="Have something paid.")])

    def script(request: Request) -> Any:
        if len(request["tools"]) == 2:
            return pays(5)(request)
        if len(request["messages"]) == 1:
            return [{"type": "tool_use", "name": "clerk", "input": {"task": "Pay 5."}}]
        return "done"

    def approve(request: ApprovalRequest) -> bool:
        asked.append(request.agent)
        return True

    async with staged(script, approve=approve) as on:
        await on.runtime.run(boss, "go")
    assert (asked, bank.paid) == (["clerk"], [5])
