"""Evaluator-optimiser: a writer improves until a critic is content, three drafts at most.

    agentcache run examples/16_evaluator_optimiser.py:polished "A notice: the lift is broken." --emulate

What comes back was judged, the last draft too. The writer is shown the task, its last draft and the advice on it:
the prompt does not grow with the rounds.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from agentcache import Agent, Prompt, Run, improve, workflow


class Judgement(BaseModel):
    """What the critic thinks of a draft."""

    good: bool
    advice: str


writer = Agent(name="writer", model="claude-sonnet-5-5", prompt=Prompt(static="You write notices for passengers."))
critic = Agent(
    name="critic",
    model="claude-sonnet-5-5",
    prompt=Prompt(static="You judge notices for passengers."),
    output=Judgement,
)


@workflow
async def polished(run: Run, wish: str) -> str:
    """Write a notice, and write it again with the critic's advice until it is good."""
    done = await improve(
        run, writer, critic, wish, good=lambda found: found.good, advice=lambda found: found.advice, rounds=3
    )
    return f"{done.draft} ({'good' if done.good else 'not good yet'} after {done.rounds})"


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for both models: the critic wants an apology, the writer takes the advice."""
    asked = str(request["messages"][-1]["content"])
    if "judge" in request["system"][0]["text"]:
        return json.dumps({"good": "Sorry" in asked, "advice": "Apologise."})
    return "Sorry: the lift is broken." if "Apologise" in asked else "The lift is broken."
