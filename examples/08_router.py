"""Router: a small model decides who answers, and only who is on the list.

    agentcache run examples/08_router.py:help_desk "My boat was late, I want my money!" --emulate

The route is one of the dictionary's keys, by a schema that never changes, so the router's prefix stays the same; an
answer that is none of them is sent back to be corrected.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from agentcache import Agent, Prompt, Run, route, workflow

router = Agent(
    name="router",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You choose who answers a passenger: refunds for money back, travel for all else."),
)
specialists: dict[Literal["refunds", "travel"], Agent[str]] = {
    "refunds": Agent(name="refunds", model="claude-sonnet-5-5", prompt=Prompt(static="You decide on refunds.")),
    "travel": Agent(name="travel", model="claude-haiku-5-5", prompt=Prompt(static="You answer questions on travel.")),
}


@workflow
async def help_desk(run: Run, message: str) -> str:
    """Route a passenger's message and let the chosen specialist answer it."""
    routed = await route(run, router, specialists, message)
    return f"{routed.route}: {routed.output}"


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for all models, known by the first words of their prompts; the router's first try is no route."""
    system, asked = request["system"][0]["text"], request["messages"][0]["content"][-1]["text"]
    if "choose" in system:
        right = "refunds" if "money" in asked else "travel"
        return json.dumps({"value": right if len(request["messages"]) > 1 else "cashier"})
    return "A quarter of the price comes back to you." if "refunds" in system else "Gate 2."
