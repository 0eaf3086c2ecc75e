"""Map-reduce: one agent over many inputs, another over all that they gave. No helper: `run.map`, then `run.ask`.

    agentcache run examples/14_map_reduce.py:complaints --emulate

The handbook is written to the cache by the first reader and read by all others. The reducer gets the outputs as one
JSON list: its input is new in every run, so only its instructions are worth a prefix.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agentcache import Agent, Prompt, Run, workflow

HANDBOOK = (Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")
LETTERS = ["My boat was late.", "The lift was broken.", "Late again!", "The soup was cold.", "Forty minutes late."]


class Complaint(BaseModel):
    """What a letter complains of."""

    topic: str


reader = Agent(
    name="reader",
    model="claude-sonnet-5-5",
    prompt=Prompt(static=[HANDBOOK, "Say what a letter complains of, in one word."]),
    output=Complaint,
)
summariser = Agent(name="summariser", model="claude-sonnet-5-5", prompt=Prompt(static="You sum complaints up."))


@workflow
async def complaints(run: Run) -> str:
    """Read all letters and sum them up."""
    found = await run.map(reader, LETTERS, concurrency=4)
    return await run.ask(summariser, found)


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for both models: the topic is a letter's keyword, the summary counts topics."""
    asked = request["messages"][-1]["content"][-1]["text"]
    if "sum" in request["system"][0]["text"][:10]:
        return str(Counter(item["topic"] for item in json.loads(asked)).most_common())
    return json.dumps({"topic": next(word for word in ("late", "lift", "soup") if word in asked.lower())})
