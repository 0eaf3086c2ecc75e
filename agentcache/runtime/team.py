"""A team: several agents that send the same tools and static sections first, and so share a prefix.

Decides the order of what is shared and what is an agent's own, and refuses what would break the shared bytes. What a
shared prefix is worth, and where its breakpoint goes, is the planner's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict, TypeVar, Unpack

from agentcache.errors import DeclarationError
from agentcache.prompt.compaction import Compaction
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.plans import Policy
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Section, Stability
from agentcache.prompt.variables import check_variables
from agentcache.runtime.agent import Agent, FallbackCause, OutputT, Snapshot, Thinking, Variables
from agentcache.runtime.durations import Duration
from agentcache.runtime.limits import Limits
from agentcache.runtime.tool_order import AnyTool, ordered_tools
from agentcache.runtime.toolsets import AnyToolset

NO_PROMPT = Prompt()

ValueT = TypeVar("ValueT")


class AgentOptions(TypedDict, total=False):
    """What else an agent of a team may declare; `Agent` says what each is for."""

    semi_static: Snapshot | None
    refresh: Duration | None
    thinking: Thinking | None
    effort: str | None
    max_tokens: int | None
    cache: Policy
    limits: Limits
    tool_concurrency: int | None
    fallbacks: tuple[str, ...] | list[str]
    fallback_on: tuple[FallbackCause, ...]
    compaction: Compaction | None
    toolsets: Sequence[AnyToolset]
    strict: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Team:
    """What several agents of one model have in common: leading tools, then leading static sections.

    name: stands in front of the names of the shared sections (`support.static`).
    model: of every agent; models share no cache.
    prompt: the shared sections, all of them static.
    tools: the shared tools, sent in the order of their names, before any tool of an agent's own.
    variables: values of the shared sections; every agent has them too.

    Tools stand before all text, and a declared output before the system prompt: an agent with tools of its own shares
    the team's tools alone, and only agents with the same `output` share the sections. Raises `DeclarationError` (or a
    kind of it) for a prompt with other layers and for whatever no agent could declare.
    """

    name: str
    model: str
    prompt: Prompt = NO_PROMPT
    tools: Sequence[AnyTool] = ()
    variables: Variables = field(default_factory=dict)
    shared: tuple[RenderedSection, ...] = field(init=False, repr=False)
    """The shared sections as every agent of the team sends them."""

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, Prompt):
            raise DeclarationError(f"team {self.name!r}: prompt is a {type(self.prompt).__name__}, not a Prompt")
        changing = [section.name for section in self.prompt.sections if section.stability is not Stability.STATIC]
        if changing:
            raise DeclarationError(
                f"team {self.name!r}: section {changing[0]!r} is not static, so the agents' own sections stand before "
                "it and it cannot be shared; declare it with each agent"
            )
        check_variables(self.prompt, static=frozenset(self.variables), semi_static=frozenset())
        rendered = Renderer(self.prompt).render(Stability.STATIC, plain_variables(self.variables))
        object.__setattr__(self, "tools", ordered_tools(self.tools))
        object.__setattr__(self, "shared", rendered)

    def agent(
        self,
        *,
        name: str,
        prompt: Prompt = NO_PROMPT,
        tools: Sequence[AnyTool] = (),
        variables: Variables | None = None,
        output: type[OutputT] = str,  # type: ignore[assignment]  # the default of the type variable is str
        **options: Unpack[AgentOptions],
    ) -> Agent[OutputT]:
        """Return an agent of this team: what the team shares comes first, what is given here follows.

        options: whatever else an `Agent` takes, its model left out. Its own sections keep their names. Raises
        `DeclarationError` for a variable or an included template that the team has under the same name with another
        value, and for a variable that changes a shared section.
        """
        own_tools = ordered_tools([tool for tool in tools if tool not in self.tools])
        agent = Agent(
            name=name,
            model=self.model,
            prompt=self._composed(name, prompt, parting=not (own_tools or options.get("toolsets"))),
            tools=list(own_tools),
            shared_tools=self.tools,
            variables=_merged(self.variables, variables or {}, f"agent {name!r}: variable"),
            output=output,
            **options,
        )
        self._check_bytes(agent)
        return agent

    def leads(self, agent: Agent[object]) -> bool:
        """Tell whether `agent` was made by this team."""
        begins = [section.name for section in agent.prompt.layer(Stability.STATIC)[: len(self.prompt.sections)]]
        return bool(self.tools or begins) and agent.shared_tools == self.tools and begins == self._names()

    def _names(self) -> list[str]:
        return [f"{self.name}.{section.name}" for section in self.prompt.sections]

    def _composed(self, agent: str, own: Prompt, *, parting: bool) -> Prompt:
        """Return one prompt of the shared sections and an agent's own.

        Behind tools of its own nothing is shared, so no prompts part at the end of these sections.
        """
        last = self.shared[-1].name if self.shared and parting else None
        shared = [
            replace(section, name=name, source=section.source or name, parting=section.name == last)
            for name, section in zip(self._names(), self.prompt.sections, strict=True)
        ]
        layers: dict[Stability, list[str | Section]] = {layer: list(own.layer(layer)) for layer in Stability}
        return Prompt(
            static=[*shared, *layers[Stability.STATIC]],
            semi_static=layers[Stability.SEMI_STATIC],
            session=layers[Stability.SESSION],
            turn=layers[Stability.TURN],
            includes=_merged(self.prompt.includes, own.includes, f"agent {agent!r}: included template"),
            declared={layer: self.prompt.declared[layer] | own.declared[layer] for layer in Stability},
            examples={layer: {**self.prompt.examples[layer], **own.examples[layer]} for layer in Stability},
        )

    def _check_bytes(self, agent: Agent[OutputT]) -> None:
        """Refuse an agent whose own variables change what a shared section says."""
        names = self._names()
        rendered = agent.renderer.render(Stability.STATIC, plain_variables(agent.variables))
        if [section.text for section in rendered if section.name in names] != [one.text for one in self.shared]:
            raise DeclarationError(
                f"agent {agent.name!r}: its own variables change the sections of team {self.name!r}, which all its "
                "agents send alike; rename the variable, or move that text to the agent's own sections"
            )


def _merged(first: Mapping[str, ValueT], second: Mapping[str, ValueT], what: str) -> dict[str, ValueT]:
    for name in sorted(first.keys() & second.keys()):
        if first[name] != second[name]:
            raise DeclarationError(f"{what} {name!r} is the team's already, with another value; rename one")
    return {**first, **second}
