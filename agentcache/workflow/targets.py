"""What a runtime can run, an agent or a workflow: how it is performed, and what it is known by if runs are durable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast, get_type_hints

from pydantic import TypeAdapter

from agentcache.errors import DeclarationError
from agentcache.prompt.canonical import JsonValue
from agentcache.runtime.agent import Agent
from agentcache.runtime.results import RunResult
from agentcache.workflow.asking import arguments_json, asked
from agentcache.workflow.run import Run, Workflow

Args: TypeAlias = tuple[object, ...]
Kwargs: TypeAlias = Mapping[str, object]


async def perform(top: Run, target: object, args: Args, kwargs: Kwargs) -> RunResult[object]:
    """Run a target below `top`, with what `Runtime.run` was given for it. Raises what the run raises."""
    if isinstance(target, Workflow):
        return await top.perform(target, target.limits, *args, **kwargs)
    if isinstance(target, Agent):
        return await top.ask_result(target, *args, **kwargs)  # type: ignore[arg-type]  # checked by ask_result's names
    raise not_runnable(target)


def identity(target: object, args: Args, kwargs: Kwargs) -> list[JsonValue]:
    """Return what tells a durable run from others: what is run, and what it is given."""
    if isinstance(target, Workflow):
        return ["workflow", target.name, arguments_json(target.name, args, kwargs)]
    if isinstance(target, Agent):
        return asked(target, *args, **kwargs).identity()  # type: ignore[arg-type]  # checked by asked's names
    raise not_runnable(target)


def output_of(target: object, kwargs: Kwargs) -> TypeAdapter[object]:
    """Return how a durable run's result becomes JSON and comes back: by the type that it is declared with."""
    if isinstance(target, Agent):
        return TypeAdapter(cast("type[object]", kwargs.get("output") or target.output))
    declared = get_type_hints(target.function).get("return", object) if isinstance(target, Workflow) else object
    return TypeAdapter(declared)


def not_runnable(target: object) -> DeclarationError:
    """Return the error for what is neither an agent nor a workflow."""
    return DeclarationError(f"a runtime runs an Agent or a @workflow, not a {type(target).__name__}")
