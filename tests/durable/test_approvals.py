"""Human approval in durable runs: a decision outlives the process that it was made in, a question is asked again."""

from __future__ import annotations

import asyncio

import pytest

from agentcache import ApprovalRequest, tool
from agentcache.testing import asks_for
from tests.durable.conftest import durably, interrupted
from tests.workflow.conftest import Request, agent


def asks_to_transfer(request: Request) -> object:
    last = request["messages"][-1]["content"][-1]
    return asks_for("transfer", euros=240) if last["type"] != "tool_result" else str(last["content"])


class Person:
    """Approves, and notes what was asked; while `away`, never answers."""

    def __init__(self, *, away: bool = False) -> None:
        self.away, self.reached = away, asyncio.Event()
        self.asked: list[str] = []

    async def __call__(self, request: ApprovalRequest) -> bool:
        self.asked.append(request.idempotency_key)
        self.reached.set()
        if self.away:
            await asyncio.sleep(60)
        return True


async def test_a_decision_is_not_asked_for_again_when_the_tool_was_cut_off(store: str):
    executing, first, second = asyncio.Event(), Person(), Person()
    cut_off = True

    @tool(approval=True)
    async def transfer(euros: int) -> str:
        """Transfer money."""
        executing.set()
        if cut_off:
            await asyncio.sleep(60)
        return f"{euros} euros are on their way"

    async with durably(asks_to_transfer, store, approve=first) as on:
        await interrupted(on.runtime.run_as("invoice-17", agent(tools=[transfer]), "Pay it."), executing)
    cut_off = False
    async with durably(asks_to_transfer, store, approve=second) as on:
        result = await on.runtime.run_as("invoice-17", agent(tools=[transfer]), "Pay it.")
        assert len(on.emulator.requests) == 1, "the first model call is on record"
    assert result.output == "240 euros are on their way"
    assert (len(first.asked), len(second.asked)) == (1, 0)


async def test_a_question_that_nobody_answered_is_asked_again_under_the_same_key(store: str):
    away, back = Person(away=True), Person()

    @tool(approval=True)
    async def transfer(euros: int) -> str:
        """Transfer money."""
        return f"{euros} euros are on their way"

    async with durably(asks_to_transfer, store, approve=away) as on:
        await interrupted(on.runtime.run_as("invoice-17", agent(tools=[transfer]), "Pay it."), away.reached)
    async with durably(asks_to_transfer, store, approve=back) as on:
        result = await on.runtime.run_as("invoice-17", agent(tools=[transfer]), "Pay it.")
    assert result.output == "240 euros are on their way"
    assert away.asked == back.asked


@pytest.mark.parametrize("approved", [True, False])
async def test_a_finished_run_asks_nobody(store: str, approved: bool):
    asked: list[str] = []

    def decide(request: ApprovalRequest) -> bool:
        asked.append(request.tool)
        return approved

    @tool(approval=True)
    async def transfer(euros: int) -> str:
        """Transfer money."""
        return f"{euros} euros are on their way"

    async with durably(asks_to_transfer, store, approve=decide) as on:
        once = await on.runtime.run_as("invoice-17", agent(tools=[transfer]), "Pay it.")
        again = await on.runtime.run_as("invoice-17", agent(tools=[transfer]), "Pay it.")
    assert once.output == again.output
    assert asked == ["transfer"]
