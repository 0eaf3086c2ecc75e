"""Sequence: one agent's output is the next one's input. No helper: it is what Python does anyway.

    agentcache run examples/12_sequence.py:announcement "The 16:20 to Saint Bride is cancelled." --emulate

Each step is a run of its own with its own prefix; what passes between them is only the output, never the history.
"""

from __future__ import annotations

from typing import Any

from agentcache import Agent, Prompt, Run, workflow

reporter = Agent(name="reporter", model="claude-haiku-5-5", prompt=Prompt(static="You list the facts of a message."))
writer = Agent(name="writer", model="claude-sonnet-5-5", prompt=Prompt(static="You write announcements from facts."))
translator = Agent(name="translator", model="claude-haiku-5-5", prompt=Prompt(static="You translate into Welsh."))


@workflow
async def announcement(run: Run, message: str) -> str:
    """Turn a message into an announcement in two languages."""
    facts = await run.ask(reporter, message)
    text = await run.ask(writer, facts)
    welsh = await run.ask(translator, text)
    return f"{text} / {welsh}"


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for all models: wrap what was asked, so that the flow can be seen."""
    who = {"list": "facts", "write": "text", "translate": "welsh"}[request["system"][0]["text"].split()[1]]
    return f"{who}({request['messages'][-1]['content'][-1]['text']})"
