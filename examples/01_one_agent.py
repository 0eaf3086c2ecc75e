"""One agent, one question: the answer, what it used and what it cost.

    agentcache run examples/01_one_agent.py:greeter "Name a lighthouse." --emulate

Without `--emulate` the same command asks Claude; it needs ANTHROPIC_API_KEY.
"""

from __future__ import annotations

from typing import Any

from agentcache import Agent, Prompt, Run, workflow

greeter = Agent(
    name="greeter",
    model="claude-haiku-5-5",
    prompt=Prompt(static="You answer in one short sentence."),
)


@workflow
async def priced(run: Run, question: str) -> str:
    """Ask the agent and say what the answer took; `None` would mean that the model has no known price."""
    result = await run.ask_result(greeter, question)
    return f"{result.output} ({result.usage.output_tokens} output tokens, ${result.cost_usd})"


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for the model: name one lighthouse, whatever the question."""
    return "Lindau has the southernmost lighthouse of Germany."
