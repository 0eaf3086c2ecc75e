"""What an agent is: a frozen declaration, checked completely when it is made.

An agent knows its prompt, tools and settings. It knows nothing of runs, clocks or the network, and two agents
declared alike send the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Generic, Literal, TypeAlias, get_args

from typing_extensions import TypeVar

from agentcache.errors import DeclarationError, SettingsError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.compaction import Compaction
from agentcache.prompt.model_facts import ModelFacts, facts_for
from agentcache.prompt.plans import Policy
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Stability
from agentcache.prompt.variables import check_variables
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.durations import Duration, seconds
from agentcache.runtime.limits import Limits
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.server_tools import is_tool_search, tool_search
from agentcache.runtime.tool_order import AnyTool, ordered_tools
from agentcache.runtime.tools import Tool
from agentcache.runtime.toolsets import AnyToolset, McpServer, Toolset

OutputT = TypeVar("OutputT", default=str, covariant=True)  # noqa: PLC0105  # functions are generic in it too

Thinking: TypeAlias = Literal["adaptive", "between_tools", "disabled"] | int
"""How the model thinks before it answers: a mode of the API, or a budget in tokens on models that take one."""

Variables: TypeAlias = Mapping[str, object]
"""Values by the names that templates use; plain values, dataclasses and pydantic models."""

Snapshot: TypeAlias = Variables | Callable[[], Variables | Awaitable[Variables]]
"""Semi-static variables: a mapping, or a function (plain or async) that reads them anew."""

FallbackCause: TypeAlias = Literal["overloaded", "rate_limited", "refused"]
"""Why a turn goes to another model: 529 or 503 after all attempts, 429 after all attempts, `stop_reason: refusal`."""

DEFAULT_MAX_TOKENS = 16_384
"""Room for one answer when the agent does not say; cut to what the model can give."""
DEFAULT_LIMITS = Limits(turns=50)
"""Stops an agent that calls tools for ever; `limits=Limits()` takes the bound away."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agent(Generic[OutputT]):
    """One agent of a team.

    name: stands in the ledger and in reports; letters, digits, `_`, `.`, `-`.
    model: a Claude model id. One that is not in the facts table runs with conservative defaults and is unpriced.
    prompt: its layered sections.
    tools: functions made with `@tool`, and tools that the API runs (`web_search()`); sent in the order of their names,
        once made with `shared_tools` in front.
    toolsets: collections of tools that may be deferred, and MCP servers; sent behind `tools`.
    shared_tools: those that other agents send first too, as a `Team` gives them.
    variables: values of the static layer.
    semi_static: values that change now and then; a function is asked at most once per `refresh`.
    refresh: how long a snapshot holds, `"30m"` or seconds; `None` keeps the first for the runtime's life.
    output: `str`, or a type that pydantic validates; the answer is an instance of it.
    thinking, effort: held constant within a conversation, since changing either rewrites its cache.
    max_tokens: of one answer; default 16,384 or the model's own maximum if that is lower.
    cache: the policy that places breakpoints (`auto`, `layers`, `automatic`, `off`).
    limits: bounds of one run of this agent; default 50 model calls.
    tool_concurrency: how many tools of one turn run at once; `None` is all.
    fallbacks: ids of models that are asked in their order when the one before cannot or will not answer; every setting
        must suit each of them.
    fallback_on: when that is so; a rate limit is left out by default, since waiting costs less than a cold cache.
    compaction: when a conversation's older turns are replaced by a summary; `None` never does so.
    strict: lint the prompt at once (docs/strict.md): an error is raised, warnings are told with the agent's first run.

    Raises `DeclarationError` (or a kind of it) for anything that could never work, variables included, and
    `MistakesFound` for what would break the cache, where it is strict.
    """

    name: str
    model: str
    prompt: Prompt
    tools: Sequence[AnyTool] = ()
    variables: Variables = field(default_factory=dict)
    semi_static: Snapshot | None = None
    refresh: Duration | None = None
    output: type[OutputT] = str  # type: ignore[assignment]  # the default of the type variable is str
    thinking: Thinking | None = None
    effort: str | None = None
    max_tokens: int | None = None
    cache: Policy = "auto"
    limits: Limits = DEFAULT_LIMITS
    tool_concurrency: int | None = None
    shared_tools: Sequence[AnyTool] = ()
    fallbacks: tuple[str, ...] | list[str] = ()
    fallback_on: tuple[FallbackCause, ...] = ("overloaded", "refused")
    compaction: Compaction | None = None
    toolsets: Sequence[AnyToolset] = ()
    strict: bool = False
    facts: ModelFacts = field(init=False, repr=False)
    """What is known of the model: minimum, prices, features (`agentcache models`)."""
    renderer: Renderer = field(init=False, repr=False)
    """Renders the prompt's sections."""
    toolbox: Mapping[str, Tool] = field(init=False, repr=False)
    """The tools that can be called by their names; those of MCP servers come when a run begins."""
    definitions: tuple[JsonObject, ...] = field(init=False, repr=False)
    """All tools as they are sent."""
    needs: Mapping[Stability, frozenset[str]] = field(init=False, repr=False)
    """The names of the variables that each layer is to be given."""
    refresh_s: float | None = field(init=False, repr=False)
    """`refresh` in seconds."""
    stand_ins: tuple[Agent[OutputT], ...] = field(init=False, repr=False)
    """The same agent on each of `fallbacks`."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(
                f"agent name {self.name!r} must be 1 to 64 letters, digits, '_', '.' or '-', beginning with a letter "
                "or a digit"
            )
        if not isinstance(self.prompt, Prompt):
            raise DeclarationError(f"agent {self.name!r}: prompt is a {type(self.prompt).__name__}, not a Prompt")
        facts = facts_for(self.model)
        _check_settings(self, facts)
        shared = ordered_tools(self.shared_tools)
        tools = ordered_tools(self.tools, shared=shared)
        offered = _offered(self, tools, shared, facts)
        known = None if callable(self.semi_static) else frozenset(self.semi_static or {})
        needs = check_variables(self.prompt, static=frozenset(self.variables), semi_static=known)
        derived: dict[str, object] = {
            "facts": facts,
            "tools": tools,
            "shared_tools": shared,
            "toolsets": tuple(self.toolsets),
            "toolbox": MappingProxyType({item.name: item for item in offered if isinstance(item, Tool)}),
            "definitions": tuple(item.definition() for item in offered),
            "needs": needs,
            "renderer": Renderer(self.prompt),
            "refresh_s": None if self.refresh is None else seconds(self.refresh),
            "stand_ins": tuple(replace(self, model=model, fallbacks=(), strict=False) for model in _models(self)),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        if self.strict:
            # Start-up time: the linter is loaded by whoever asks for it.
            from agentcache.runtime.agent_lint import refuse_mistakes

            refuse_mistakes(self)

    def __repr__(self) -> str:
        return f"Agent(name={self.name!r}, model={self.model!r})"

    def settings(self, output: OutputSpec) -> CallSettings:
        """Return the parts of a request that are neither prompt nor cache, for the output type `output`."""
        longest = self.facts.max_output_tokens
        wanted = self.max_tokens or DEFAULT_MAX_TOKENS
        return CallSettings(
            max_tokens=wanted if longest is None else min(wanted, longest),
            thinking=_thinking(self.thinking),
            effort=self.effort,
            output_format=output.native_schema if self.facts.structured_outputs else None,
        )


def _offered(
    agent: Agent[OutputT], tools: tuple[AnyTool, ...], shared: tuple[AnyTool, ...], facts: ModelFacts
) -> tuple[AnyTool, ...]:
    """Return all tools in the order in which they are sent; with deferred ones there is a search for them."""
    strange = next((item for item in agent.toolsets if not isinstance(item, Toolset | McpServer)), None)
    if strange is not None:
        raise DeclarationError(f"agent {agent.name!r}: {strange!r} is neither a Toolset nor an McpServer")
    servers = [item.name for item in agent.toolsets if isinstance(item, McpServer)]
    if len(servers) != len(set(servers)):
        raise DeclarationError(f"agent {agent.name!r}: two MCP servers are named {max(servers, key=servers.count)!r}")
    collected = [each for item in agent.toolsets if isinstance(item, Toolset) for each in item.offered(facts)]
    searched = any(item.deferred for item in collected) and not any(map(is_tool_search, tools))
    return ordered_tools([*tools, *([tool_search()] if searched else []), *collected], shared=shared)


def _models(agent: Agent[OutputT]) -> tuple[str, ...]:
    """Return the models to fall back to. Raises `SettingsError` for names that are none, or no change."""
    where = f"agent {agent.name!r}"
    if not isinstance(agent.fallbacks, (tuple, list)):
        raise SettingsError(f"{where}: fallbacks are model ids in a tuple or list, not {agent.fallbacks!r}")
    if not isinstance(agent.fallback_on, tuple) or not set(agent.fallback_on) <= set(get_args(FallbackCause)):
        offered = ", ".join(get_args(FallbackCause))
        raise SettingsError(f"{where}: fallback_on is {agent.fallback_on!r}; it is a tuple of: {offered}")
    asked = [facts_for(model).canonical for model in (agent.model, *agent.fallbacks)]
    twice = next((model for at, model in enumerate(asked) if model in asked[:at]), None)
    if twice is not None:
        raise SettingsError(f"{where}: {twice} would be asked twice; name each model once, the agent's own not at all")
    return tuple(agent.fallbacks)


def _thinking(thinking: Thinking | None) -> JsonObject | None:
    if thinking is None:
        return None
    if isinstance(thinking, int):
        return {"type": "enabled", "budget_tokens": thinking}
    return {"type": thinking}


def _check_settings(agent: Agent[OutputT], facts: ModelFacts) -> None:
    where = f"agent {agent.name!r} on {agent.model}"
    if agent.max_tokens is not None and agent.max_tokens < 1:
        raise SettingsError(f"{where}: max_tokens is {agent.max_tokens}; an answer needs at least 1")
    if agent.tool_concurrency is not None and agent.tool_concurrency < 1:
        raise SettingsError(
            f"{where}: tool_concurrency is {agent.tool_concurrency}; at least one tool must be able to run"
        )
    if agent.effort is not None and facts.known and agent.effort not in facts.efforts:
        offered = ", ".join(facts.efforts) or "none"
        raise SettingsError(f"{where}: effort {agent.effort!r} is not one that the model takes (it takes: {offered})")
    _check_thinking(agent.thinking, agent.max_tokens, facts, where)
    if agent.limits.usd is not None and facts.prices_for() is None:
        raise SettingsError(f"{where}: a dollar limit needs a price, and this model has none in `agentcache models`")


def _check_thinking(thinking: Thinking | None, max_tokens: int | None, facts: ModelFacts, where: str) -> None:
    if isinstance(thinking, int):
        if facts.known and not facts.budget_thinking:
            raise SettingsError(f"{where}: takes no thinking budget; use thinking='adaptive'")
        if not 1024 <= thinking < (max_tokens or DEFAULT_MAX_TOKENS):
            raise SettingsError(f"{where}: a thinking budget is at least 1,024 and below max_tokens, not {thinking}")
    elif thinking == "adaptive" and facts.known and not facts.adaptive_thinking:
        raise SettingsError(f"{where}: has no adaptive thinking; give a budget in tokens instead")
    elif thinking == "disabled" and facts.thinking_always_on:
        raise SettingsError(f"{where}: always thinks; leave thinking out, or use effort to make it brief")
