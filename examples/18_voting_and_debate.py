"""Voting: several samples of one question, and the majority. Debate: agents see what the others said, and answer again.

    agentcache run examples/18_voting_and_debate.py:decided "May I bring a kayak?" --emulate
    agentcache run examples/18_voting_and_debate.py:debated "May I bring a kayak?" --emulate

The samples send the same bytes, so one writes the prefix and the others read it. In a debate the question and the
rounds so far are the same for all debaters; only who speaks stands in their own session layer, behind the handbook.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Prompt, Run, majority, vote, workflow

debater = Agent(
    name="debater",
    model="claude-sonnet-5-5",
    prompt=Prompt(
        static=[(Path(__file__).parent / "handbook.md").read_text(encoding="utf-8"), "Answer with yes or no."],
        session="You are {{ role }}.",
    ),
)
ROLES = ("the purser", "the mate", "the captain")


@workflow
async def decided(run: Run, question: str) -> str:
    """Ask five times and take the majority; a tie would have no winner."""
    found = await vote(run, debater, question, samples=5, same=str.casefold, tie="none", session={"role": "an officer"})
    return f"{found.winner} ({found.share:.0%})"


@workflow
async def debated(run: Run, question: str) -> str | None:
    """Let three officers answer, hear each other and answer again; then count."""
    said = [question]
    for _ in range(2):
        answers = await run.gather(*(run.ask(debater, "\n".join(said), session={"role": role}) for role in ROLES))
        said += [f"{role} said: {answer}" for role, answer in zip(ROLES, answers, strict=True)]
    return majority(answers, same=str.casefold).winner


def emulated_replies(request: dict[str, Any]) -> str:
    """Stand in for the model: the captain is against it until the others have spoken."""
    heard = "said" in request["messages"][-1]["content"][-1]["text"]
    return "no" if "captain" in request["system"][-1]["text"] and not heard else "Yes"
