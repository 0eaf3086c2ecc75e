"""Draft and verify: a small model proposes, a large one checks, and writes only what has to be corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from agentcache.errors import DeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.agent import Agent, Variables
from agentcache.runtime.agent_run import Input, content_of
from agentcache.runtime.results import RunResult
from agentcache.workflow.run import Run

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[T]):
    """The checker's verdict: the draft stands, or a correction does in its place."""

    correct: bool
    problem: str
    """What is wrong; empty when nothing is."""
    corrected: T | None
    """The right answer; `null` when the draft is right."""

    def __post_init__(self) -> None:
        if self.correct == (self.corrected is not None):
            raise ValueError("a draft that is not correct needs a correction in `corrected`, and only such a draft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Generic[T]):
    """The answer that was checked: `accepted` as drafted or corrected.

    `draft` is what was proposed, `problem` what was wrong with it, if anything.
    """

    answer: T
    draft: T
    accepted: bool
    problem: str


async def verified(
    run: Run,
    drafter: Agent[T],
    checker: Agent[str],
    input: Input,  # noqa: A002  # the word of the public surface
    *,
    session: Variables | None = None,
    turn: Variables | None = None,
) -> Verified[T]:
    """Let `drafter` answer the `input` below `run`, `checker` check, and return the draft or the checker's correction.

    The verdict is typed by the drafter's output, and a rejection without a correction is sent back. The checker's
    prompt and schema are constant, so its prefix is read from the second check on; drafter and checker are different
    models and share none. Costs the draft plus one call of the checker, whose answer is a few tokens when the draft is
    right: worth it where most drafts are. `session` and `turn` variables go to both.

    Raises `DeclarationError` for a checker with an output of its own.
    """
    if checker.output is not str:
        raise DeclarationError(f"checker {checker.name!r} declares an output; its answer is a verdict, leave it out")
    draft = await run.ask(drafter, input, session=session, turn=turn)
    title: JsonObject = {"type": "text", "text": "The draft to check:"}
    about = [*content_of(input, checker.name), title, *content_of(draft, checker.name)]
    verdict_type: type[object] = Check[drafter.output]  # type: ignore[name-defined]  # its type is known at run time
    told: object = await run.ask_result(checker, about, session=session, turn=turn, output=verdict_type)
    verdict = cast("RunResult[Check[T]]", told).output
    answer = draft if verdict.corrected is None else verdict.corrected
    return Verified(answer=answer, draft=draft, accepted=verdict.correct, problem=verdict.problem)
