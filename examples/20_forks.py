"""Forks: several questions on top of one conversation, which stays as it was.

    agentcache run examples/20_forks.py:interview --emulate

A fork is the same agent on a copy of the history: it sends what the conversation sent, byte for byte, and reads all of
it from the cache. Forks run beside each other, and none of them sees what another was asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Prompt, Run, workflow

reader = Agent(
    name="reader",
    model="claude-haiku-5-5",
    prompt=Prompt(static=(Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")),
)


@workflow
async def interview(run: Run) -> list[str]:
    """Have a letter read once, then ask three things about it at the same time."""
    await run.ask(reader, "A passenger writes: I missed the boat with two bicycles and a cat.", conversation="letter-7")
    return await run.map(reader, ["Who?", "With what?", "What went wrong?"], fork_of="letter-7")


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for the model: it has read the letter when it is in the history."""
    if len(request["messages"]) == 1:
        return "I have read it."
    asked = request["messages"][-1]["content"][-1]["text"]
    return {"Who?": "A passenger.", "With what?": "Two bicycles and a cat."}.get(asked, "The boat was missed.")
