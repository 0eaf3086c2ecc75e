"""What an agent is asked, and what identifies it: when the same is asked again, it is the same ask.

A durable run is gone through again by running its Python again. Its asks are then told apart by what they ask, not by
the order in which they happen to start: that order is a matter of timing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, digest
from agentcache.prompt.plain_values import plain_value, plain_variables
from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.agent_run import Input, content_of
from agentcache.runtime.fork_point import ForkPoint
from agentcache.runtime.limits import Limits
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.server_tools import ServerTool
from agentcache.runtime.toolsets import McpServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One ask: an agent, what it is asked, the type of its answer, and the bounds of its run."""

    agent: Agent[object]
    input: Input
    session: Mapping[str, object]
    turn: Mapping[str, object]
    conversation: str | None
    output: type[object]
    limits: Limits
    fork_of: str | ForkPoint | None = None
    repeated: bool = False

    @property
    def spec(self) -> OutputSpec:
        """The form of the answer; a fork from within a run answers as that run does."""
        return self.fork_of.output if isinstance(self.fork_of, ForkPoint) else OutputSpec.of(self.output)

    def identity(self) -> list[JsonValue]:
        """Return what tells this ask from others of its run: equal asks have equal identities.

        How the agent is declared is no part of it, so that an answer on record outlives a change of prompt. Raises
        `SettingsError` for an input or a variable without a JSON form.
        """
        spec, fork = self.spec, self.fork_of
        return [
            "agent",
            self.agent.name,
            list(content_of(self.input, self.agent.name)),
            plain_variables(self.session),
            plain_variables(self.turn),
            self.conversation,
            [spec.name, spec.schema],
            list(fork.pending) if isinstance(fork, ForkPoint) else fork,
        ]

    def to_json(self) -> JsonObject:
        """Return the ask as a worker process needs it; its agent is named by name and declaration."""
        return {
            "agent": self.agent.name,
            "declaration": declaration(self.agent),
            "input": list(content_of(self.input, self.agent.name)),
            "session": dict(plain_variables(self.session)),
            "turn": dict(plain_variables(self.turn)),
            "limits": plain_value(self.limits),
        }

    @classmethod
    def from_json(cls, told: JsonObject, agent: Agent[object]) -> Asked:
        """Return the ask that `to_json` gave, for `agent`, which has its name and declaration."""
        limits = cast("dict[str, object]", told["limits"])
        return cls(
            agent=agent,
            input=told["input"],
            session=cast("Mapping[str, object]", told["session"]),
            turn=cast("Mapping[str, object]", told["turn"]),
            conversation=None,
            output=agent.output,
            limits=Limits(**limits),  # type: ignore[arg-type]  # the fields that plain_value took from one
        )


def asked(
    agent: Agent[OutputT],
    input: Input,  # noqa: A002  # the word of the public surface
    *,
    session: Mapping[str, object] | None = None,
    turn: Mapping[str, object] | None = None,
    output: type[object] | None = None,
    conversation: str | None = None,
    fork_of: str | ForkPoint | None = None,
    repeated: bool = False,
    limits: Limits | None = None,
) -> Asked:
    """Return the ask that the arguments of `Run.ask` mean."""
    return Asked(
        agent=cast("Agent[object]", agent),
        input=input,
        session=session or {},
        turn=turn or {},
        conversation=conversation,
        output=output or agent.output,
        limits=agent.limits.replaced_by(limits),
        fork_of=fork_of,
        repeated=repeated,
    )


@lru_cache(maxsize=256)
def declaration(agent: Agent[object]) -> str:
    """Return a digest of all that an agent's declaration says to the model: equal for equal prompts, tools, settings.

    Semi-static values are not in it, since they change by design; nor is the code of tools.
    """
    spec = OutputSpec.of(agent.output)
    sections = [[item.name, item.template, str(item.stability)] for item in agent.prompt.sections]
    run_by_api: list[JsonValue] = [tool.definition() for tool in agent.tools if isinstance(tool, ServerTool)]
    servers: list[JsonValue] = [f"{each.name} {each.source}" for each in agent.toolsets if isinstance(each, McpServer)]
    told: list[JsonValue] = [
        agent.name,
        agent.model,
        plain_value(sections),
        plain_value(agent.prompt.includes),
        plain_variables(agent.variables),
        [[tool.name, tool.description, tool.input_schema] for tool in agent.toolbox.values()],
        [spec.name, spec.schema],
        plain_value([agent.thinking, agent.effort, agent.max_tokens, agent.cache]),
        *([run_by_api] if run_by_api else []),
        *([servers] if servers else []),
    ]
    return digest(canonical_json(told))


def arguments_json(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> JsonValue:
    """Return a workflow's arguments as JSON; raises `SettingsError` naming the one that has no JSON form."""
    try:
        positional = [plain_value(value, name=f"argument {place}") for place, value in enumerate(args, start=1)]
        return [positional, dict(plain_variables(kwargs))]
    except SettingsError as error:
        raise SettingsError(f"workflow {name!r} runs durably, so its arguments must be JSON: {error}") from error
