"""Parallel: different agents at once, each result under its own type. No helper but `run.gather`.

    agentcache run examples/13_parallel.py:briefing "Saint Bride, tomorrow" --emulate

When one fails the others are cancelled, and what they used until then is in the ledger. Agents of one `Team` that
begin together write the prefix that they share once.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from agentcache import Agent, Prompt, Run, workflow


class Weather(BaseModel):
    """What the sea will be like."""

    beaufort: int


forecaster = Agent(
    name="forecaster", model="claude-haiku-5-5", prompt=Prompt(static="You know the weather."), output=Weather
)
counter = Agent(name="counter", model="claude-haiku-5-5", prompt=Prompt(static="You count bookings."), output=list[int])
purser = Agent(name="purser", model="claude-sonnet-5-5", prompt=Prompt(static="You know what is in the galley."))


@workflow
async def briefing(run: Run, trip: str) -> str:
    """Ask three agents at once and put their answers together."""
    weather, bookings, galley = await run.gather(
        run.ask(forecaster, trip), run.ask(counter, trip), run.ask(purser, trip)
    )
    return f"Force {weather.beaufort}, {sum(bookings)} passengers, {galley}"


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for all three models."""
    system = request["system"][0]["text"]
    if "weather" in system:
        return json.dumps({"beaufort": 4})
    return json.dumps({"value": [40, 12]}) if "bookings" in system else "soup for 60"
