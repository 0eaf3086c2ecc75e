"""What the books say at the end: nested agents count once, and where caching loses the report says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from agentcache import Agent, Prompt, Run, tool, workflow
from agentcache.accounting.summary import summarise
from agentcache.accounting.usage import Usage
from tests.scenarios.stage import MODEL, Request, prose, staged


def expert(name: str, **changes):
    declared = {"name": name, "model": MODEL, "prompt": Prompt(static=prose(name, 150))}
    return Agent(**{**declared, **changes})


@workflow
async def desk(run: Run, question: str) -> str:
    facts = await run.ask(expert("researcher"), question)
    return await run.ask(expert("writer"), facts)


@workflow
async def office(run: Run) -> str:
    @tool
    async def ask_desk(question: str) -> str:
        """Have the desk answer a question."""
        return await desk(run, question)

    manager = expert("manager", tools=[ask_desk])
    drafts = await run.gather(run.ask(manager, "Draft one."), run.ask(manager, "Draft two."))
    return await run.ask(expert("editor"), " ".join(drafts))


def office_replies(request: Request):
    tools, turns = request.get("tools"), len(request["messages"])
    if tools and turns == 1:
        return [
            {"type": "tool_use", "name": "ask_desk", "input": {"question": "What?"}},
            {"type": "tool_use", "name": "ask_desk", "input": {"question": "Why?"}},
        ]
    return "ok"


async def test_the_tokens_of_nested_agents_add_up_once():
    async with staged(office_replies) as on:
        result = await on.runtime.run(office)
        calls = await on.calls()
        runs = await on.runtime.ledger.runs()
    billed = sum((call.usage for call in calls), Usage())
    assert len(calls) == 2 * (2 + 2 * 2) + 1
    assert result.usage == billed
    assert result.cost_usd == sum(call.cost_usd for call in calls)
    by_agent = summarise(calls, [], by="agent")
    assert by_agent.total.usage == billed
    assert {row.agent: row.calls for row in by_agent.rows} == {
        "manager": 4,
        "researcher": 4,
        "writer": 4,
        "editor": 1,
    }
    assert {call.run_id for call in calls} <= {run.run_id for run in runs if run.agent}


async def test_one_shot_prompts_are_soon_written_no_more_and_the_report_owns_what_the_learning_cost():
    reader = expert("reader", prompt=Prompt(session="{{ letter }}"))
    async with staged(lambda request: "read") as on:
        for number in range(30):
            await on.runtime.run(reader, "What does it want?", session={"letter": prose(f"letter {number}", 120)})
            await on.pause(6)
        calls = await on.calls()
    writes = [call.usage.cache_write_tokens for call in calls]
    last_write = max(place for place, tokens in enumerate(writes) if tokens)
    assert writes[0] > 0
    assert last_write < 15
    assert calls[-1].plan["kept"] == []
    assert {point["refusal"] for point in calls[-1].plan["refused"]} == {"cannot_pay", "does_not_pay"}

    total: Any = summarise(calls, [], by="agent").total
    assert total.usage.cache_read_tokens == 0
    assert total.wasted_write_tokens == sum(writes)
    assert total.cost_usd > total.counterfactual_usd
    assert Decimal(total.to_json()["saved_usd"]) < 0
