"""Evaluator-optimiser: one agent writes, another judges, until it is good or the rounds are over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from agentcache.errors import DeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.agent import Agent
from agentcache.runtime.agent_run import Input, content_of
from agentcache.workflow.run import Run

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Improved(Generic[T, V]):
    """The last draft with the verdict on it; `good` is false when the rounds were used up before."""

    draft: T
    verdict: V
    good: bool
    rounds: int


async def improve(
    run: Run,
    writer: Agent[T],
    critic: Agent[V],
    task: Input,
    *,
    good: Callable[[V], bool],
    advice: Callable[[V], str],
    rounds: int = 3,
) -> Improved[T, V]:
    """Let `writer` do the task below `run`, `critic` judge the draft, and `writer` do it again with the advice.

    good, advice: what a verdict says. rounds: drafts at most. What comes back was always judged.

    Every draft is asked for with the task in front, then the last draft and the advice on it, so the prompt does not
    grow with the rounds; writer and critic read their own prefixes from the second round on. Costs two calls a round.
    Raises `DeclarationError` for less than one round.
    """
    if rounds < 1:
        raise DeclarationError(f"improve with {writer.name!r}: {rounds} rounds give no draft; take at least 1")
    request = content_of(task, writer.name)
    draft, number = await run.ask(writer, request), 1
    while True:
        about = [*request, *_block("The draft to judge:", draft, critic.name)]
        verdict = await run.ask(critic, about)
        if good(verdict) or number == rounds:
            return Improved(draft=draft, verdict=verdict, good=good(verdict), rounds=number)
        words = [
            *_block("Your draft:", draft, writer.name),
            *_block("Improve it. The advice:", advice(verdict), writer.name),
        ]
        draft, number = await run.ask(writer, [*request, *words]), number + 1


def _block(title: str, value: object, agent: str) -> list[JsonObject]:
    return [{"type": "text", "text": title}, *content_of(value, agent)]
