"""A conversation outlives a run: history is kept by id, sent again byte for byte, and read from the cache.

    agentcache run examples/07_conversation.py:chat --emulate
    agentcache run examples/07_conversation.py:desk "And with a dog?" --conversation c-42 --keep-text

The second question makes sense only with the first. Keeping conversations across processes needs `--keep-text`
(`Runtime(keep_text=True)`): by default the ledger holds no text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Prompt, Run, workflow

desk = Agent(
    name="desk",
    model="claude-haiku-5-5",
    prompt=Prompt(static=(Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")),
)


@workflow
async def chat(run: Run, conversation: str = "c-42") -> list[str]:
    """Ask two questions in one conversation; each is a run of its own."""
    first = await run.ask(desk, "How long before departure must my car be there?", conversation=conversation)
    second = await run.ask(desk, "And I, if I leave the car at home?", conversation=conversation)
    return [first, second]


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for the model: answer by how many questions have been asked."""
    asked = [message for message in request["messages"] if message["role"] == "user"]
    return ["In its lane 35 minutes before.", "At the gate 15 minutes before."][len(asked) - 1]
