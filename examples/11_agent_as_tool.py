"""An agent as another agent's tool: a function that asks it, made inside the workflow that owns the run.

    agentcache run examples/11_agent_as_tool.py:travel_plan "A day trip to Ellen Island with a horse" --emulate

The inner agent's calls are runs below the same workflow: they count against its limits, are cancelled with it, and
stand in the report under their own name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Prompt, Run, Tool, tool, workflow

expert = Agent(
    name="expert",
    model="claude-haiku-5-5",
    prompt=Prompt(static=(Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")),
)


def handbook_tool(run: Run) -> Tool:
    """Return a tool that has the expert answer, within `run`."""

    @tool
    async def ask_handbook(question: str) -> str:
        """Ask somebody who knows the passenger handbook by heart."""
        return await run.ask(expert, question)

    return ask_handbook


@workflow
async def travel_plan(run: Run, wish: str) -> str:
    """Plan a trip; the planner asks the expert as often as it likes."""
    planner = Agent(
        name="planner",
        model="claude-sonnet-5-5",
        prompt=Prompt(static="You plan day trips. Check every rule of the ferry with `ask_handbook`; never guess one."),
        tools=[handbook_tool(run)],
    )
    return await run.ask(planner, wish)


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for both models: the planner asks about the horse and builds its plan on the answer."""
    if "tools" not in request:
        return "Horses travel on the first boat of the day only, in a trailer."
    (*_, last) = request["messages"][-1]["content"]
    if last["type"] != "tool_result":
        return [{"type": "tool_use", "name": "ask_handbook", "input": {"question": "May a horse come along?"}}]
    known = last["content"] if isinstance(last["content"], str) else last["content"][0]["text"]
    return f"Take the first boat. {known}"
