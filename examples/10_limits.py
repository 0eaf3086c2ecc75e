"""Limits end a run that would go on for ever, before the call that would exceed them.

    agentcache run examples/10_limits.py:careful --emulate
    agentcache run examples/10_limits.py:searcher "Find the lost umbrella." --emulate     # fails, and says why

Turns, tokens, dollars and seconds can be bounded, for an agent, for one ask, for a whole runtime; what is nested
counts for all that is above it. `LimitReached` carries what was spent, and the ledger has every call.
"""

from __future__ import annotations

from typing import Any

from agentcache import Agent, LimitReached, Limits, Prompt, Run, tool, workflow


@tool
async def search(shelf: int) -> str:
    """Look for the umbrella on one shelf of the lost-property room."""
    return f"shelf {shelf}: nothing"


searcher = Agent(
    name="searcher",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You search the shelves one by one until you have found what was lost."),
    tools=[search],
    limits=Limits(turns=5, usd="0.10", seconds=120),
)


@workflow
async def careful(run: Run) -> str:
    """Search with a bound of three calls and give up in good order."""
    try:
        return await run.ask(searcher, "Find the lost umbrella.", limits=Limits(turns=3))
    except LimitReached as reached:
        return f"gave up: limit {reached.limit!r} after {reached.spent.turns} calls and {reached.spent.tokens} tokens"


def emulated_replies(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Stand in for a model that never stops: always the next shelf."""
    return [{"type": "tool_use", "name": "search", "input": {"shelf": len(request["messages"]) // 2 + 1}}]
