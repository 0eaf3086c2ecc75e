"""An answer with a shape: a pydantic model comes back, or the run fails.

    agentcache run examples/04_structured_output.py:reader "Ana, two bicycles, to Ellen Island" --emulate

The model's schema goes with the request. An answer that does not fit is sent back with what is wrong; here the script
leaves a field out at first, so the run takes two calls.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from agentcache import Agent, Prompt


class Booking(BaseModel):
    """What the desk needs to know."""

    passenger: str
    destination: Literal["Ellen Island", "Saint Bride"]
    bicycles: int = Field(description="How many bicycles come along; 0 when none are mentioned")


reader = Agent(
    name="reader",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You read booking requests. Take over what is written; invent nothing."),
    output=Booking,
)


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for the model: forget the bicycles once, then answer completely."""
    booking: dict[str, object] = {"passenger": "Ana", "destination": "Ellen Island"}
    if len(request["messages"]) > 1:
        booking["bicycles"] = 2
    return json.dumps(booking)
