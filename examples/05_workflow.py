"""A workflow is a plain async function: ask one agent, map another over a list, gather different things.

    agentcache run examples/05_workflow.py:answer_letters --emulate

`map` sends the first call ahead and the others when its reply has begun: one writes the shared handbook to the cache,
the rest read it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Prompt, Run, workflow

HANDBOOK = (Path(__file__).parent / "handbook.md").read_text(encoding="utf-8")

clerk = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static=HANDBOOK))
editor = Agent(
    name="editor", model="claude-sonnet-5-5", prompt=Prompt(static="You join answers into one letter, in their order.")
)
translator = Agent(
    name="translator",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You translate letters into the language asked for."),
)

QUESTIONS = [
    "Can I take a kayak to Ellen Island?",
    "My boat was 70 minutes late because of an engine. What do I get back?",
    "Is there a lift to the sun deck?",
    "When does the gate close?",
]


@workflow
async def answer_letters(run: Run) -> dict[str, str]:
    """Answer all questions, join the answers, and translate the letter into two languages at once."""
    answers = await run.map(clerk, QUESTIONS, concurrency=8)
    letter = await run.ask(editor, answers)
    french, welsh = await run.gather(
        run.ask(translator, f"Into French:\n{letter}"),
        run.ask(translator, f"Into Welsh:\n{letter}"),
    )
    return {"letter": letter, "fr": french, "cy": welsh}


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for all three models: repeat the last line of what was asked, so that the flow can be seen."""
    asked = request["messages"][-1]["content"][-1]["text"]
    return f"[{asked.splitlines()[-1]}]"
