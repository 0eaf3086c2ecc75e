"""Orchestrator and workers: a planner makes typed tasks, workers do them side by side, a synthesiser ends.

    agentcache run examples/17_orchestrator_workers.py:answer "Ellen Island with a horse and a kayak?" --emulate

Plain code over `run.ask` and `run.map`. How many workers there are is the planner's decision, so a budget belongs to
the whole: `Runtime(limits=…)`. The first worker writes the handbook to the cache, the others read it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agentcache import Agent, Prompt, Run, workflow

HANDBOOK = (Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")


class Task(BaseModel):
    """One thing to find out."""

    question: str


planner = Agent(
    name="planner", model="claude-sonnet-5-5", prompt=Prompt(static="You split a question up."), output=list[Task]
)
worker = Agent(name="worker", model="claude-haiku-5-5", prompt=Prompt(static=[HANDBOOK, "You look one thing up."]))
synthesiser = Agent(name="synthesiser", model="claude-sonnet-5-5", prompt=Prompt(static="You put findings together."))


@workflow
async def answer(run: Run, question: str) -> str:
    """Plan, look everything up at once, and put the findings together."""
    tasks = await run.map(worker, plan) if (plan := await run.ask(planner, question)) else []
    return await run.ask(synthesiser, {"question": question, "findings": tasks})


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for all models: one task for each animal or thing, one line for each finding."""
    system, asked = request["system"][0]["text"], request["messages"][-1]["content"][-1]["text"]
    if "split" in system:
        return json.dumps({"value": [{"question": thing} for thing in ("horse", "kayak", "dog") if thing in asked]})
    if "findings" in system:
        return " ".join(json.loads(asked)["findings"])
    return f"The {json.loads(asked)['question']} may come."
