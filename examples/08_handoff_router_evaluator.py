"""Router, handoff and evaluator loop are ordinary Python over `run.ask`.

    agentcache run examples/08_handoff_router_evaluator.py:help_desk "My boat was late, I want my money!" --emulate
    agentcache run examples/08_handoff_router_evaluator.py:polished "A notice: the lift is broken." --emulate

`help_desk`: a small model routes; the specialist is handed a summary rather than the history, so its prefix is the
same for every passenger. `polished`: a writer improves until a critic is content, three rounds at most.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel

from agentcache import Agent, Prompt, Run, workflow


class Handoff(BaseModel):
    """Who goes on, and with what."""

    to: Literal["refunds", "travel"]
    summary: str


class Verdict(BaseModel):
    """What the critic thinks of a draft."""

    good: bool
    advice: str


router = Agent(
    name="router", model="claude-haiku-5-5", prompt=Prompt(static="You choose who answers a passenger."), output=Handoff
)
specialists = {
    "refunds": Agent(name="refunds", model="claude-sonnet-5-5", prompt=Prompt(static="You decide on refunds.")),
    "travel": Agent(name="travel", model="claude-haiku-5-5", prompt=Prompt(static="You answer questions on travel.")),
}
writer = Agent(name="writer", model="claude-sonnet-5-5", prompt=Prompt(static="You write notices for passengers."))
critic = Agent(
    name="critic", model="claude-sonnet-5-5", prompt=Prompt(static="You judge notices for passengers."), output=Verdict
)


@workflow
async def help_desk(run: Run, message: str) -> str:
    """Route a passenger's message and let the chosen specialist answer it."""
    handoff = await run.ask(router, message)
    return await run.ask(specialists[handoff.to], f"{handoff.summary}\n\nThe passenger wrote: {message}")


@workflow
async def polished(run: Run, wish: str) -> str:
    """Write a notice, have it judged, and write it again with the advice until it is good."""
    draft = await run.ask(writer, wish)
    for _ in range(3):
        verdict = await run.ask(critic, draft)
        if verdict.good:
            break
        draft = await run.ask(writer, f"{wish}\n\nYour draft: {draft}\nAdvice: {verdict.advice}")
    return draft


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for all models, known by the first words of their prompts."""
    system, asked = request["system"][0]["text"], request["messages"][-1]["content"][-1]["text"]
    if "choose" in system:
        return json.dumps({"to": "refunds" if "money" in asked else "travel", "summary": "Wants a refund."})
    if "judge" in system:
        return json.dumps({"good": "Sorry" in asked, "advice": "Say sorry."})
    if "notices" in system:
        return "Sorry: the lift is broken." if "Advice" in asked else "The lift is broken."
    return "A quarter of the price comes back to you." if "refunds" in system else "Gate 2."
