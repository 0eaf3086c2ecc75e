"""Handoff: the agent that is asked finds that another one should go on, and says so.

    agentcache run examples/15_handoff.py:chat "My boat was late, I want my money!" --emulate
    agentcache run examples/15_handoff.py:cheap "My boat was late, I want my money!" --emulate

`chat` moves the conversation: the next agent has the whole history, and since its system prompt is another, it writes
that history to the cache anew. `cheap` hands over the message and a summary, so nothing is written twice.
"""

from __future__ import annotations

import json
from typing import Any

from agentcache import Agent, Prompt, Run, handoff, workflow

WHO = "front welcomes, refunds decides on money. Hand over what is not yours."
desk = {
    "front": Agent(name="front", model="claude-haiku-5-5", prompt=Prompt(static=["You are the front desk.", WHO])),
    "refunds": Agent(name="refunds", model="claude-sonnet-5-5", prompt=Prompt(static=["You decide on refunds.", WHO])),
}


@workflow
async def chat(run: Run, message: str) -> list[str]:
    """Answer in a conversation that moves to whoever can, and go on with the agent that has it."""
    first = await handoff(run, desk, message, first="front", conversation="c-42")
    then = await handoff(run, desk, "Thank you!", first=first.agent, conversation="c-42")
    return [*first.path, first.output, then.output]


@workflow
async def cheap(run: Run, message: str) -> str:
    """Answer one message; who takes over gets a summary of what went before."""
    return (await handoff(run, desk, message, first="front")).output


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for both models: the front desk hands money over, the refunds desk decides."""
    asked = request["messages"][-1]["content"][-1]["text"]
    if "front" in request["system"][0]["text"]:
        return json.dumps({"hand_over_to": "refunds", "summary": "Late boat, wants a refund.", "answer": None})
    answer = "You are welcome." if "Thank" in asked else "A quarter of the price comes back to you."
    return json.dumps({"hand_over_to": None, "summary": "", "answer": answer})
