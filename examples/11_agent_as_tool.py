"""An agent as another agent's tool, declared once beside the agents.

    agentcache run examples/11_agent_as_tool.py:planner "A day trip to Ellen Island with a horse" --emulate

The expert's run is nested below the planner's: its calls count against both, are cancelled with it, and stand in the
report under its own name. `limits` is the share of the budget that one question may use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Limits, Prompt, agent_tool

expert = Agent(
    name="expert",
    model="claude-haiku-5-5",
    prompt=Prompt(static=(Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")),
)
planner = Agent(
    name="planner",
    model="claude-sonnet-5-5",
    prompt=Prompt(static="You plan day trips. Check every rule of the ferry with `expert`; never guess one."),
    tools=[
        agent_tool(
            expert,
            description="Ask somebody who knows the passenger handbook by heart.",
            limits=Limits(turns=3, usd="0.05"),
        )
    ],
    limits=Limits(usd="0.50"),
)


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for both models: the planner asks about the horse and builds its plan on the answer."""
    if "tools" not in request:
        return "Horses travel on the first boat of the day only, in a trailer."
    (*_, last) = request["messages"][-1]["content"]
    if last["type"] != "tool_result":
        return [{"type": "tool_use", "name": "expert", "input": {"task": "May a horse come along?"}}]
    return f"Take the first boat. {last['content']}"
