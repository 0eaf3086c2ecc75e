"""Router: a small model decides who answers, and can decide for nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Literal, TypeVar, cast

from agentcache.errors import DeclarationError
from agentcache.runtime.agent import Agent, Variables
from agentcache.runtime.agent_run import Input
from agentcache.runtime.limits import Limits
from agentcache.workflow.run import Run

RouteT = TypeVar("RouteT", bound=str)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed(Generic[RouteT, T]):
    """Which `route` was taken, and the `output` of the agent there."""

    route: RouteT
    output: T


async def route(
    run: Run,
    router: Agent[str],
    routes: Mapping[RouteT, Agent[T]],
    input: Input,  # noqa: A002  # the word of the public surface
    *,
    session: Variables | None = None,
    turn: Variables | None = None,
    conversation: str | None = None,
    limits: Limits | None = None,
) -> Routed[RouteT, T]:
    """Let `router` choose one of `routes` for the input, and the agent there answer it, both below `run`.

    The router's answer is one of the keys, by a schema that is the same whatever order they stand in, so its prefix is
    constant; an answer outside of them is sent back. Its prompt should say what each key is for. `session`,
    `turn`, `limits` and the `conversation` are the answering agent's; the router sees the input alone.

    Costs one short call more than asking the right agent at once. Raises `DeclarationError` for fewer than two routes
    and for a router with an output of its own, `OutputInvalid` when no route comes out.
    """
    if len(routes) < 2:
        raise DeclarationError(f"router {router.name!r} has {len(routes)} routes; with fewer than two, ask the agent")
    if router.output is not str:
        raise DeclarationError(f"router {router.name!r} declares an output; its answer is a route, leave `output` out")
    chosen = cast("RouteT", await run.ask(router, input, output=one_of(tuple(sorted(routes)))))
    answer = await run.ask(routes[chosen], input, session=session, turn=turn, conversation=conversation, limits=limits)
    return Routed(route=chosen, output=answer)


@lru_cache(maxsize=256)
def one_of(names: tuple[str, ...]) -> type[object]:
    """Return the type of exactly these texts."""
    return cast("type[object]", Literal[names])
