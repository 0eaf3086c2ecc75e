"""Several tenants in one process: what one of them says, has kept or is told never reaches another."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from agentcache import Prompt, tool
from agentcache.emulator.faults import Fault, ScheduledFaults
from tests.workflow.conftest import RULES, agent, at_once, staged

TENANTS = [f"tenant-{number:02}-secret" for number in range(6)]


@tool
async def own_name(name: str) -> str:
    """Return a name after others had their turn."""
    await asyncio.sleep(0.001)
    return f"result for {name}"


def asks_and_tells(request):
    session = request["system"][-1]["text"].removeprefix("You serve ")
    last = request["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        return f"{session} {last['content']}"
    return [{"type": "tool_use", "name": "own_name", "input": {"name": session}}]


async def test_no_session_variable_result_or_reply_of_a_tenant_reaches_another_s_prompt():
    clerk = agent(
        prompt=Prompt(static=RULES, session="You serve {{ tenant }}", turn="Asked by {{ asker }}."), tools=[own_name]
    )
    faults = ScheduledFaults([None, Fault(kind="529"), None, Fault(kind="cut"), Fault(kind="500")] * 2)
    async with staged(asks_and_tells, faults=faults, sleep=at_once) as on:

        async def serve(tenant: str) -> str:
            answers = [
                await on.runtime.run(
                    clerk,
                    f"question of {tenant}",
                    session={"tenant": tenant},
                    turn={"asker": tenant},
                    conversation=f"of {tenant}",
                )
                for _ in range(2)
            ]
            return " ".join(answer.output for answer in answers)

        outputs = await asyncio.gather(*map(serve, TENANTS))
        requests = [json.dumps(request) for request in on.emulator.requests]
    assert len(requests) >= 4 * len(TENANTS)
    for text in [*requests, *outputs]:
        assert sum(tenant in text for tenant in TENANTS) == 1


async def test_a_value_is_text_whatever_is_written_in_it():
    clerk = agent(prompt=Prompt(static=RULES, session="You serve {{ who }}."))
    attack = "{{ 7 * 7 }}{% include 'x' %}{# #}{{ ''.__class__ }}"
    async with staged(["ok"]) as on:
        await on.runtime.run(clerk, attack, session={"who": attack})
        request: Any = on.emulator.requests[0]
    assert request["system"][-1]["text"] == f"You serve {attack}."
    assert request["messages"][0]["content"][-1]["text"] == attack


async def test_a_result_kept_for_one_tenant_is_executed_anew_for_another(tmp_path):
    executed = []

    @tool(deterministic=True)
    async def price(of: str) -> str:
        """Look a price up."""
        executed.append(of)
        return "12"

    def asks(request):
        last = request["messages"][-1]["content"][-1]
        return (
            "done" if last["type"] == "tool_result" else [{"type": "tool_use", "name": "price", "input": {"of": "x"}}]
        )

    for tenant in ("one", "two", "one"):
        async with staged(asks, memo=str(tmp_path / "memo.db"), tenant=tenant) as on:
            await on.runtime.run(agent(tools=[price]), "what is it?")
    assert executed == ["x", "x"]
