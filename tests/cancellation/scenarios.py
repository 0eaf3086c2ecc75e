"""What is struck: everything that a runtime does for a run."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel

from agentcache import (
    ApprovalRequest,
    Compaction,
    Limits,
    Prompt,
    Run,
    ToolStarted,
    agent_tool,
    fork_tool,
    handoff,
    tool,
    workflow,
)
from agentcache.emulator.faults import Fault
from agentcache.emulator.latency import Latency
from agentcache.runtime.client import DEFAULT_MAX_ATTEMPTS
from agentcache.runtime.events import CallStarted
from tests.cancellation.stage import Scenario, Stage, until
from tests.stores.redis_server import REDIS_URL, need_redis
from tests.workflow.conftest import RULES, Request, agent


@tool
async def slowly(task: str) -> str:
    """Take a moment."""
    await asyncio.sleep(0.001)
    return f"{task} done"


@tool(concurrency=1)
def in_a_thread(task: str) -> str:
    """Count in a thread."""
    return f"{task} counted"


@tool(deterministic=True, version="1", concurrency=1)
async def looked_up(task: str) -> str:
    """Look something up."""
    await asyncio.sleep(0.001)
    return f"{task} found"


@tool(approval=True)
async def pay(task: str) -> str:
    """Pay."""
    return f"{task} paid"


class Verdict(BaseModel):
    sound: bool
    reason: str


def asked(request: Request) -> str:
    return str(request["messages"][-1]["content"][-1].get("text", ""))


def works(request: Request) -> Any:
    """Ask for every tool at once; answer when all results are there, or where there is no tool."""
    last = request["messages"][-1]["content"]
    if not request.get("tools") or last[0]["type"] == "tool_result" or "sub-agent" in asked(request):
        return "all is done"
    names = [each["name"] for each in request["tools"]]
    return [{"type": "tool_use", "name": name, "input": {"task": asked(request)}} for name in names]


def judges(request: Request) -> Any:
    return json.dumps({"sound": True, "reason": "it holds"})


def hands_over(request: Request) -> Any:
    first = "the first" in json.dumps(request["system"])
    told = {"hand_over_to": "second", "summary": "s", "answer": None}
    return json.dumps(told if first else {"hand_over_to": None, "summary": "", "answer": "all is done"})


CLERK = agent()
HANDS = agent(tools=[slowly, in_a_thread])
LIBRARIAN = agent(tools=[looked_up])
CASHIER = agent(tools=[pay])
JUDGE = agent(output=Verdict)
LEADER = agent(name="leader", tools=[agent_tool(CLERK, description="Ask the clerk."), fork_tool()])
DESK = {"first": agent(prompt=Prompt(static=f"You are the first. {RULES}")), "second": agent()}
STAND_IN = agent(fallbacks=("claude-opus-5",))
BRIEF = agent(compaction=Compaction(trigger_tokens=1, keep_turns=1, summary_tokens=10))
WORDS = "Tell me more of this. " * 20


def of_case(case: str) -> Any:
    """Return a clerk whose prefix nobody has written yet."""
    return agent(prompt=Prompt(static=f"This is case {case}. {RULES}"))


async def plain(on: Stage, case: str) -> Any:
    return (await on.runtime.run(CLERK, case)).output


async def streamed(on: Stage, case: str) -> Any:
    last: Any = None
    async with aclosing(on.runtime.stream(HANDS, case)) as events:
        async for event in events:
            last = event
    return last.output


async def left_early(on: Stage, case: str) -> Any:
    async with aclosing(on.runtime.stream(HANDS, case)) as events:
        async for event in events:
            if isinstance(event, ToolStarted):
                return event.tool
    raise AssertionError("no tool was started")


async def with_tools(on: Stage, case: str) -> Any:
    return (await on.runtime.run(HANDS, case)).output


async def remembered(on: Stage, case: str) -> Any:
    return (await on.runtime.run(LIBRARIAN, case)).output


async def remembered_beside(on: Stage, case: str) -> Any:
    """Ask for the same result while it is being looked up, or was going to be."""
    begun = len(on.told(ToolStarted))
    for _ in range(40):
        if len(on.told(ToolStarted)) > begun:
            break
        await asyncio.sleep(0.0005)
    return await remembered(on, case)


async def no_lease_is_left(on: Stage, case: str) -> None:
    """Check that another process could execute the same call at once."""
    from redis.asyncio import Redis  # an optional extra

    async with Redis.from_url(OWN_REDIS_URL) as redis:
        assert [key async for key in redis.scan_iter(match="agentcache:memo:lease:*")] == []


async def judged(on: Stage, case: str) -> Any:
    return (await on.runtime.run(JUDGE, case)).output


async def spoken(on: Stage, case: str) -> Any:
    return (await on.runtime.run(CLERK, f"first {case}", conversation=case)).output


async def spoken_on(on: Stage, case: str) -> Any:
    return (await on.runtime.run(HANDS, f"on {case}", conversation=case)).output


async def whole_turns(on: Stage, case: str) -> None:
    """Check that a conversation is what it was, or has the whole turn: no question without its answer."""
    messages = await on.runtime.conversations.messages(case)
    assert len(messages) in {2, 6}, "half a turn"
    assert messages[-1]["role"] == "assistant"


async def long_talk(on: Stage, case: str) -> None:
    for number in range(2):
        await on.runtime.run(BRIEF, f"{number} {case} {WORDS}", conversation=case)


async def shortened(on: Stage, case: str) -> Any:
    return (await on.runtime.run(BRIEF, f"now {case} {WORDS}", conversation=case)).output


async def whole_history(on: Stage, case: str) -> None:
    """Check that a history is as long as it was, or behind a summary; with its last turn whole in either case."""
    messages = await on.runtime.conversations.messages(case)
    roles = [message["role"] for message in messages]
    assert roles in (["user", "assistant"] * 2, ["user", "assistant"])
    [record] = [each for each in await on.runtime.conversations.all() if each.conversation_id == case]
    assert record.messages == len(messages)


async def delegated(on: Stage, case: str) -> Any:
    return (await on.runtime.run(LEADER, case)).output


@workflow
async def handed_over(run: Run, case: str) -> str:
    held = await handoff(run, DESK, case, first="first")
    return str(held.output)


@workflow
async def fanned_out(run: Run, case: str) -> list[str]:
    items = await run.map(of_case(case), ["a", "b", "c"])
    beside = await run.gather(run.ask(CLERK, f"one {case}"), run.ask(CLERK, f"two {case}"))
    return [*items, *beside]


def flow(target: Any) -> Any:
    async def perform(on: Stage, case: str) -> Any:
        return (await on.runtime.run(target, case)).output

    return perform


async def approved(on: Stage, case: str) -> Any:
    return (await on.runtime.run(CASHIER, case)).output


async def agrees(request: ApprovalRequest) -> bool:
    await asyncio.sleep(0.0005)
    return True


def agrees_in_a_thread(request: ApprovalRequest) -> bool:
    return True


async def overloaded(on: Stage, case: str) -> Any:
    on.faults.next = [Fault(kind="529")] * DEFAULT_MAX_ATTEMPTS
    return (await on.runtime.run(STAND_IN, case)).output


async def tried_again(on: Stage, case: str) -> Any:
    on.faults.next = [Fault(kind="529"), Fault(kind="cut"), Fault(kind="reset")]
    return (await on.runtime.run(CLERK, case)).output


async def led(on: Stage, case: str) -> Any:
    return (await on.runtime.run(of_case(case), "me too")).output


async def led_beside(on: Stage, case: str) -> Any:
    """Ask with a prefix that the other call is writing, or would have written."""
    begun = len(on.told(CallStarted))
    for _ in range(20):
        if len(on.told(CallStarted)) > begun:
            break
        await asyncio.sleep(0.0005)
    return await led(on, case)


async def led_after(on: Stage, case: str) -> Any:
    begun = len(on.told(CallStarted))
    other = asyncio.create_task(asyncio.sleep(0))
    await other
    await until(lambda: len(on.told(CallStarted)) > begun)
    return await led(on, case)


async def warmed(on: Stage, case: str) -> Any:
    return (await on.runtime.warm(of_case(case))).run_id


OWN_REDIS_URL = f"{REDIS_URL.rpartition('/')[0]}/9"
"""A database of the shared server that no other test uses."""

SLOW_START = Latency(base_s=0.002)
ROOM_FOR_ALL = Limits(turns=1000, tokens=10_000_000, usd=1000, seconds=3600)

SCENARIOS = (
    Scenario(name="plain", work=plain, replies=works),
    Scenario(name="bounded", work=plain, replies=works, options={"limits": ROOM_FOR_ALL}),
    Scenario(name="stream", work=streamed, replies=works),
    Scenario(name="stream left early", work=left_early, replies=works),
    Scenario(name="tools", work=with_tools, replies=works),
    Scenario(name="memo", work=remembered, beside=remembered_beside, replies=works),
    Scenario(
        name="memo in a file",
        work=remembered,
        beside=remembered_beside,
        replies=works,
        options={"memo": lambda folder: str(folder / "memo.db")},
    ),
    Scenario(
        name="memo in Redis",
        work=remembered,
        beside=remembered_beside,
        replies=works,
        holds=no_lease_is_left,
        options={"memo": lambda folder: OWN_REDIS_URL},
        needs=need_redis,
    ),
    Scenario(name="output", work=judged, replies=judges),
    Scenario(name="conversation", work=spoken_on, before=spoken, replies=works, holds=whole_turns),
    Scenario(name="compaction", work=shortened, before=long_talk, replies=works, holds=whole_history),
    Scenario(name="sub-agents", work=delegated, replies=works),
    Scenario(name="handoff", work=flow(handed_over), replies=hands_over),
    Scenario(name="fan-out", work=flow(fanned_out), replies=works, latency=SLOW_START),
    Scenario(name="approval", work=approved, replies=works, options={"approve": agrees}),
    Scenario(name="approval in a thread", work=approved, replies=works, options={"approve": agrees_in_a_thread}),
    Scenario(name="fallback", work=overloaded, replies=works),
    Scenario(name="retries", work=tried_again, replies=works),
    Scenario(name="leader", work=led, beside=led_beside, replies=works, latency=SLOW_START),
    Scenario(name="follower", work=led_after, beside=led, replies=works, latency=SLOW_START, again=False),
    Scenario(name="warm", work=warmed, replies=works, again=False),
)
