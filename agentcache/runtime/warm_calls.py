"""Calls of `max_tokens: 0` (spec section 7): they write a prefix before anybody asks for it, or read it to keep it.

A warm-up is laid out and planned like the agent's real calls, with the same thinking, effort, tools and system
prompt, so that they find what it wrote; behind it stands a placeholder that carries no breakpoint. Where the API
takes no such call from an agent, or no real call could read what it wrote, this is an error: it would only cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from agentcache.accounting.usage import Usage
from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.layout import Layout
from agentcache.prompt.lookback import shared_ends
from agentcache.prompt.payoff import Rates, layer_pays
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Outlook, Reuse
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.prompt.sections import Prompt, Stability
from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.requests import PreparedCall, prepare, render_system
from agentcache.runtime.snapshots import Snapshots

PLACEHOLDER: JsonObject = {"role": "user", "content": [{"type": "text", "text": "warmup"}]}
"""The API wants a user message; it reads it and answers nothing."""

SOON = Outlook(soon=1.0, later=0.0, basis="warmed on request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """What a warm-up did, for which `agent` and `model`; `usage` has its tokens.

    `cost_usd` is `None` when the model has no known price, `run_id` its run in the ledger.
    """

    agent: str
    model: str
    run_id: str
    usage: Usage
    cost_usd: Decimal | None

    @property
    def written_tokens(self) -> int:
        """Tokens that were not in the cache and are now."""
        return self.usage.cache_write_tokens

    @property
    def read_tokens(self) -> int:
        """Tokens that were there already and live on."""
        return self.usage.cache_read_tokens


async def warm_call(
    agent: Agent[OutputT],
    *,
    session: Mapping[str, object] | None,
    snapshots: Snapshots,
    history: ReuseHistory,
    at_s: float,
) -> PreparedCall:
    """Return the warm-up of what `agent`'s calls share: tools and system prompt, at `at_s` (Unix seconds).

    session: variables of that layer; with `None`, and a layer that needs some, the prefix ends before it and serves
    every session.

    Raises `SettingsError` when no call of `max_tokens: 0` can write a prefix that the agent's calls read, and
    `MissingVariable` as a run does.
    """
    output = OutputSpec.of(agent.output)
    settings = agent.settings(output)
    _refuse_what_cannot_be_warmed(agent, settings.output_format)
    # The API's own marker would stand on the placeholder, which no call shares.
    planned_like = replace(agent, cache="layers", strict=False) if agent.cache == "automatic" else agent
    prepared = prepare(
        planned_like,
        system=await _system(agent, output, session, snapshots),
        messages=[PLACEHOLDER],
        settings=replace(settings, max_tokens=0),
        expect=lambda layout: _wanted(agent, layout, history, at_s),
    )
    if not prepared.plan.kept:
        told = [point.detail for point in prepared.plan.refused if point.block < prepared.layout.messages_start]
        raise SettingsError(
            f"agent {agent.name!r}: there is nothing to warm: {told[-1] if told else 'it has no tools and no system'}"
        )
    return prepared


def _refuse_what_cannot_be_warmed(agent: Agent[OutputT], output_format: JsonObject | None) -> None:
    where = f"agent {agent.name!r} cannot be warmed"
    if agent.cache == "off":
        raise SettingsError(f"{where}: its policy is cache='off'; choose another")
    if isinstance(agent.thinking, int):
        raise SettingsError(
            f"{where}: the API takes no thinking budget with max_tokens 0, and without it the prefix is another; use "
            "thinking='adaptive' where the model has it, or let the first call write the prefix"
        )
    if output_format is not None:
        raise SettingsError(
            f"{where}: the API takes no output format with max_tokens 0, and the format of {_output_name(agent)} is "
            "part of the cached system prompt; let the first call write the prefix"
        )


def _output_name(agent: Agent[OutputT]) -> str:
    return OutputSpec.of(agent.output).name


async def _system(
    agent: Agent[OutputT], output: OutputSpec, session: Mapping[str, object] | None, snapshots: Snapshots
) -> tuple[RenderedSection, ...]:
    shared = agent
    if session is None and agent.needs[Stability.SESSION]:
        # One after the other, a layer's text does not depend on the less stable ones behind it.
        prompt = agent.prompt
        shared = replace(
            agent,
            prompt=Prompt(
                static=prompt.layer(Stability.STATIC),
                semi_static=prompt.layer(Stability.SEMI_STATIC),
                includes=prompt.includes,
                declared=prompt.declared,
            ),
        )
    return render_system(
        shared,
        output,
        static=plain_variables(agent.variables),
        semi_static=await snapshots.variables(agent),
        session=plain_variables(session or {}),
    )


def _wanted(agent: Agent[OutputT], layout: Layout, history: ReuseHistory, at_s: float) -> Reuse:
    """Return what the plan rests on: that calls will come soon, whatever was seen; how soon, where that is known."""
    known = history.now_known(layout, agent=agent.name, at_s=at_s)
    rates = Rates.of(agent.facts, prompt_tokens=layout.total_tokens)
    seen = {index: known.shared.get(index, SOON) for index in shared_ends(layout).values()}
    return Reuse(
        written=known.written,
        tail_continues=False,
        shared={index: outlook if layer_pays(outlook, rates) else SOON for index, outlook in seen.items()},
    )


def keep_alive_call(prepared: PreparedCall) -> PreparedCall | None:
    """Return the call that reads what `prepared` wrote or read; `None` where the API takes none."""
    request = without_answer(prepared.request)
    return None if request is None else replace(prepared, request=request)


def without_answer(request: JsonObject) -> JsonObject | None:
    """Return a request that reads the same prompt and asks for no answer.

    `None` where the API takes none: with a thinking budget, an output format or a forced tool (spec section 7), and
    for a prompt that ends with the model's own words.
    """
    config, thinking, choice = (request.get(key) for key in ("output_config", "thinking", "tool_choice"))
    messages = request.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    ruled_out = (
        isinstance(config, dict) and config.get("format") is not None,
        isinstance(thinking, dict) and thinking.get("type") == "enabled",
        isinstance(choice, dict) and choice.get("type") in {"any", "tool"},
        not isinstance(last, dict) or last.get("role") != "user",
    )
    if any(ruled_out):
        return None
    return {**{key: value for key, value in request.items() if key != "stream"}, "max_tokens": 0}
