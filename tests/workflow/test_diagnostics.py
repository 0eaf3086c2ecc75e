"""`diagnostics=True`: the API is asked how a request differs from the one before, and its answer is in the ledger."""

from __future__ import annotations

from typing import Any, cast

from agentcache import Prompt, tool
from tests.workflow.conftest import RULES, Request, agent, staged


@tool
def look_up(order: int) -> str:
    """Look an order up."""
    return f"order {order} is on its way"


def looks_up(request: Request) -> Any:
    last = request["messages"][-1]["content"][-1]
    return (
        "done" if last["type"] == "tool_result" else [{"type": "tool_use", "name": "look_up", "input": {"order": 17}}]
    )


async def test_each_call_names_the_message_before_it_and_growth_is_no_difference() -> None:
    async with staged(looks_up, diagnostics=True) as on:
        await on.runtime.run(agent(tools=[look_up]), "first", conversation="c")
        await on.runtime.run(agent(tools=[look_up]), "second", conversation="c")
        calls = await on.runtime.ledger.calls()

    ids = [call.message_id for call in calls]
    assert [request["diagnostics"] for request in on.emulator.requests] == [
        {"previous_message_id": previous} for previous in [None, *ids[:-1]]
    ]
    assert [call.plan["diagnostics"] for call in calls] == [
        {"previous_message_id": previous, "answer": None} for previous in [None, *ids[:-1]]
    ]


async def test_the_apis_reason_stands_beside_ours() -> None:
    async with staged(lambda request: "ok", diagnostics=True) as on:
        await on.runtime.run(agent(), "first", conversation="c")
        await on.runtime.run(agent(prompt=Prompt(static=f"Changed. {RULES}")), "second", conversation="c")
        _, call = await on.runtime.ledger.calls()

    told = cast("dict[str, Any]", call.plan)
    assert told["diagnostics"]["answer"]["cache_miss_reason"]["type"] == "system_changed"
    assert told["moved"]


async def test_runs_without_a_conversation_are_no_turns_of_each_other() -> None:
    async with staged(lambda request: "ok", diagnostics=True) as on:
        await on.runtime.run(agent(), "first")
        await on.runtime.run(agent(), "second")

    assert [request["diagnostics"] for request in on.emulator.requests] == [{"previous_message_id": None}] * 2


async def test_nobody_is_asked_unless_told_to() -> None:
    async with staged(lambda request: "ok") as on:
        await on.runtime.run(agent(), "hi")
        (call,) = await on.runtime.ledger.calls()

    assert "diagnostics" not in on.emulator.requests[0]
    assert "diagnostics" not in call.plan
