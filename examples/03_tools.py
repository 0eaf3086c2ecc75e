"""Tools: typed functions, run side by side, with errors that the model can read.

    agentcache run examples/03_tools.py:booking "Two adults to Ellen Island and to Mars, please." --emulate

The schema comes from the signature, the description from the docstring. `ToolFailed` does not end the run: its message
is the tool's result, and the model goes on. `deterministic=True` lets equal calls share one result.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from agentcache import Agent, Prompt, ToolFailed, tool

FARES = {"Ellen Island": Decimal("14.50"), "Saint Bride": Decimal("19.00")}


@tool(deterministic=True, ttl="1h", tags=["fares"])
async def fare(
    destination: Annotated[str, Field(description="Where to, for example Saint Bride")],
    adults: Annotated[int, Field(description="How many grown-ups travel", ge=1)] = 1,
) -> Decimal:
    """Return the price in euros of a single crossing from Northquay."""
    if destination not in FARES:
        raise ToolFailed(f"no boat goes to {destination!r}; destinations are {', '.join(sorted(FARES))}")
    return FARES[destination] * adults


booking = Agent(
    name="booking",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You sell ferry tickets. Look every fare up; never guess one."),
    tools=[fare],
)


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for the model: ask for two fares at once, then report what the tool answered."""
    last = request["messages"][-1]["content"]
    results = [block for block in last if block["type"] == "tool_result"]
    if not results:
        return [
            {"type": "tool_use", "name": "fare", "input": {"destination": place, "adults": 2}}
            for place in ("Ellen Island", "Mars")
        ]
    answered = [
        block["content"] if isinstance(block["content"], str) else block["content"][0]["text"] for block in results
    ]
    return f"Ellen Island costs {answered[0]} euros. Mars: {answered[1]}."
