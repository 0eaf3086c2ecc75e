"""Draft and verify: a small model answers, a large one checks, and writes an answer only where it must.

    agentcache run examples/19_draft_and_verify.py:quoted "Two adults to Ellen Island" --emulate
    agentcache run examples/19_draft_and_verify.py:quoted "Two adults and a dog to Ellen Island" --emulate

The verdict has the draft's type in it; one that rejects a draft without correcting it is sent back.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from agentcache import Agent, Prompt, Run, verified, workflow


class Quote(BaseModel):
    """What a trip costs."""

    euros: int


drafter = Agent(
    name="drafter", model="claude-haiku-5-5", prompt=Prompt(static="You quote: 15 euros a head."), output=Quote
)
checker = Agent(
    name="checker", model="claude-opus-4-8", prompt=Prompt(static="You check quotes: 15 euros a head, dogs are free.")
)


@workflow
async def quoted(run: Run, trip: str) -> str:
    """Quote a price that was checked."""
    found = await verified(run, drafter, checker, trip)
    return f"{found.answer.euros} euros" + ("" if found.accepted else f" (not {found.draft.euros}: {found.problem})")


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for both models: the small one lets dogs pay."""
    asked = request["messages"][-1]["content"]
    dog = "dog" in asked[0]["text"]
    if "quote:" in request["system"][0]["text"]:
        return json.dumps({"euros": 45 if dog else 30})
    return json.dumps(
        {"correct": not dog, "problem": "dogs are free" if dog else "", "corrected": {"euros": 30} if dog else None}
    )
