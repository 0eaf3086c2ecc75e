"""The agents of a storm, and the journal of what their tools did."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from pydantic import BaseModel

from agentcache import (
    Agent,
    Limits,
    Prompt,
    Run,
    ToolFailed,
    agent_tool,
    current_tool_call,
    fork_tool,
    handoff,
    tool,
    workflow,
)
from agentcache.runtime.tool_order import AnyTool
from tests.chaos.errands import HAIKU, OPUS, SONNET, errand_of

RULES = "Do what the task says, in its order, and answer with nothing else. " * 40
LATE_S = 0.05


@dataclass(slots=True)
class Journal:
    """What tools with side effects did, by errand while it is open; `late` has what happened when it was over."""

    open: dict[int, Counter[str]] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)

    def begin(self, number: int) -> None:
        self.open[number] = Counter()

    def end(self, number: int) -> Counter[str]:
        return self.open.pop(number)

    def executed(self, tool_use_id: str) -> None:
        done = self.open.get(errand_of(tool_use_id))
        if done is None:
            self.late.append(tool_use_id)
        else:
            done[tool_use_id] += 1


journal = Journal()


@tool(deterministic=True, ttl="1h", tags=["prices"])
async def price(item: int) -> str:
    """Look the price of an item up."""
    await asyncio.sleep(0)
    return f"item {item} costs {item * 7} cents"


@tool(side_effects=True)
async def pay(reference: str, cents: int) -> str:
    """Pay so many cents."""
    journal.executed(current_tool_call().tool_use_id)
    await asyncio.sleep(0.002)
    return f"{cents} cents are paid for {reference}"


@tool(concurrency=4)
def words(text: str) -> int:
    """Count the words of a text, in a thread."""
    return len(text.split())


@tool
async def flaky(how: str) -> str:
    """Fail as asked for."""
    if how == "told":
        raise ToolFailed("the register is closed")
    if how == "raised":
        raise ConnectionResetError("the register went away")
    return "it worked this time"


@tool(timeout=LATE_S)
async def late() -> str:
    """Take longer than anybody waits."""
    await asyncio.sleep(100 * LATE_S)
    return "too late"


class Receipt(BaseModel):
    """What was done."""

    task: str
    results: int


TOOLS: list[AnyTool] = [price, pay, words, flaky, late]
PROMPT = Prompt(static=RULES, session="The customer is {{ customer }}.")

clerk = Agent(name="clerk", model=SONNET, prompt=PROMPT, tools=TOOLS, max_tokens=2000)
auditor = Agent(name="auditor", model=HAIKU, prompt=PROMPT, output=Receipt, max_tokens=1000)
sturdy = Agent(
    name="sturdy",
    model=SONNET,
    prompt=PROMPT,
    tools=TOOLS,
    max_tokens=2000,
    fallbacks=(OPUS, HAIKU),
    fallback_on=("overloaded", "rate_limited", "refused"),
)
expert = Agent(name="expert", model=HAIKU, prompt=Prompt(static=["An expert.", RULES]), tools=TOOLS, max_tokens=1000)
planner = Agent(
    name="planner",
    model=OPUS,
    prompt=Prompt(static=["A planner.", RULES]),
    tools=[*TOOLS, agent_tool(expert, description="Ask an expert.", limits=Limits(turns=6)), fork_tool()],
    max_tokens=2000,
)
desks = {
    "front": Agent(name="front", model=HAIKU, prompt=Prompt(static=["The front desk.", RULES]), max_tokens=2000),
    "back": Agent(name="back", model=SONNET, prompt=Prompt(static=["The back desk.", RULES]), tools=TOOLS),
}

CUSTOMERS = ("Ana", "Bob", "Cem", "Dua")


def session_of(number: int) -> dict[str, str]:
    """Return the session variables of an errand."""
    return {"customer": CUSTOMERS[number % len(CUSTOMERS)]}


@workflow
async def mapped(run: Run, texts: list[str], customer: str) -> list[str]:
    """Ask about all at once."""
    return await run.map(clerk, texts, concurrency=3, session={"customer": customer})


@workflow
async def gathered(run: Run, one: str, other: str, customer: str) -> list[str]:
    """Ask two agents beside each other."""
    session = {"customer": customer}
    return list(await run.gather(run.ask(clerk, one, session=session), run.ask(sturdy, other, session=session)))


@workflow
async def forked(run: Run, first: str, others: list[str], conversation: str, customer: str) -> list[str]:
    """Ask something, then several things on top of it, each alone."""
    session = {"customer": customer}
    begun = await run.ask(clerk, first, session=session, conversation=conversation)
    return [begun, *await run.map(clerk, others, session=session, fork_of=conversation)]


@workflow
async def handed(run: Run, text: str, conversation: str | None) -> list[str]:
    """Ask the front desk, which hands over."""
    held = await handoff(run, desks, text, first="front", conversation=conversation)
    return [*held.path, held.output]
