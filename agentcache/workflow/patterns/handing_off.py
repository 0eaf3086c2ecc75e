"""Handoff: an agent that is not the right one says who is, and that one goes on with the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from agentcache.errors import DeclarationError, RunError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.agent import Agent, Variables
from agentcache.runtime.agent_run import Input, content_of
from agentcache.runtime.results import RunResult
from agentcache.workflow.patterns.routing import one_of
from agentcache.workflow.run import Run

NameT = TypeVar("NameT", bound=str)
T = TypeVar("T")

_TAKE_OVER = "You take over from here. What your colleague says about it: "


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOff(Generic[NameT, T]):
    """The `output`, the `agent` that gave it (begin with that one next time), and the `path` of all who were asked."""

    agent: NameT
    output: T
    path: tuple[NameT, ...]


async def handoff(
    run: Run,
    agents: Mapping[NameT, Agent[T]],
    input: Input,  # noqa: A002  # the word of the public surface
    *,
    first: NameT,
    conversation: str | None = None,
    most: int = 3,
    session: Variables | None = None,
    turn: Variables | None = None,
) -> HandedOff[NameT, T]:
    """Ask the agent under `first`; whoever is asked answers, or hands over to another one of `agents` with a summary.

    conversation: the whole history moves along. Another system prompt, other tools or another model are another prefix,
    so the next agent writes the history anew; agents of one `Team` share what the team declares in front. Without it
    the next agent gets the input and the summary, a few tokens: the cheap way, when that is all it needs.

    session, turn: variables of those layers, for every agent. All are asked below `run`, and answer by one schema, the
    same whatever order they stand in: an answer as the agent declares it, or a name and a summary; what is neither is
    sent back. Costs one short answer for each handoff, and at most `most` of them. Raises `DeclarationError` where
    there is nobody to hand over to, `RunError` when nobody answers.
    """
    if first not in agents or len(agents) < 2:
        raise DeclarationError(f"handoff: give two agents or more, {first!r} among them; there are {sorted(agents)}")
    path, asked = [first], input
    for _ in range(most + 1):
        agent = agents[path[-1]]
        held = await _ask(run, agent, tuple(sorted(agents)), asked, session, turn, conversation)
        if held.hand_over_to is None:
            return HandedOff(agent=path[-1], output=cast("T", held.answer), path=tuple(path))
        path.append(cast("NameT", held.hand_over_to))
        told: JsonObject = {"type": "text", "text": f"{_TAKE_OVER}{held.summary}"}
        asked = [told] if conversation is not None else [*content_of(input, agent.name), told]
    raise RunError(
        f"handoff: nobody answered after {most} handoffs ({' > '.join(path)}); raise `most`, or say in the "
        "prompts who does what"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Generic[NameT, T]):
    """What an agent does that holds the conversation: it answers, or hands over with a summary."""

    hand_over_to: NameT | None
    summary: str
    answer: T | None

    def __post_init__(self) -> None:
        if (self.hand_over_to is None) == (self.answer is None):
            raise ValueError("give either `answer`, or `hand_over_to` and a `summary`; the other one is null")


async def _ask(
    run: Run,
    agent: Agent[T],
    names: tuple[str, ...],
    asked: Input,
    session: Variables | None,
    turn: Variables | None,
    conversation: str | None,
) -> Held[str, T]:
    held_type = cast("type[object]", Held[one_of(names), agent.output])  # type: ignore[misc]  # known at run time only
    held: object = await run.ask_result(
        agent, asked, session=session, turn=turn, output=held_type, conversation=conversation
    )
    return cast("RunResult[Held[str, T]]", held).output
