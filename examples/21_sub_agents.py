"""Sub-agents that fork their parent: in the middle of its work an agent has parts of it done by copies of itself.

    agentcache run examples/21_sub_agents.py:inspector "Check both boats against the handbook." --emulate

Each sub-agent sends the parent's model, tools, system prompt and messages up to the turn that started it, so it reads
the parent's prefix and pays only for its own task. Their runs are nested below the parent's and count once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Limits, Prompt, fork_tool, tool


@tool
async def look_at(boat: str) -> str:
    """Return what can be seen on a boat."""
    return f"{boat}: " + ("a dog in the saloon" if boat == "Heron" else "all in order")


inspector = Agent(
    name="inspector",
    model="claude-sonnet-5-5",
    prompt=Prompt(static=(Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")),
    tools=[look_at, fork_tool(limits=Limits(turns=5))],
)


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for the model: two sub-agents look at one boat each, the parent puts together what they say."""
    (*_, last) = request["messages"][-1]["content"]
    results = [block["content"] for block in request["messages"][-1]["content"] if block["type"] == "tool_result"]
    if last["type"] == "text" and results:
        return [{"type": "tool_use", "name": "look_at", "input": {"boat": last["text"].split()[-1]}}]
    if last["type"] == "text":
        tasks = ("Inspect the Heron", "Inspect the Tern")
        return [{"type": "tool_use", "name": "fork", "input": {"task": task}} for task in tasks]
    return " and ".join(results)
