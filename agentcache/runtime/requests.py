"""From an agent and its messages to one planned request: render, lay out, plan, write.

Pure: variables are already plain values, what earlier calls wrote comes in as `reuse`, and the result is a value
that carries the layout and the plan beside the request, so that the ledger, `show` and tests read the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agentcache.errors import MissingVariable, SettingsError
from agentcache.prompt.breakpoints import plan
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.prompt.compaction import betas_for
from agentcache.prompt.layout import Layout, Level, lay_out
from agentcache.prompt.plans import Plan
from agentcache.prompt.provenance import Provenance
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import NOTHING_KNOWN, Reuse
from agentcache.prompt.sections import Stability
from agentcache.prompt.spans import Span, spans_of
from agentcache.prompt.wire import CallSettings, to_request
from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.output import OutputSpec

_IN_SYSTEM = (Stability.STATIC, Stability.SEMI_STATIC, Stability.SESSION)


def _from_nowhere(digests: Iterable[str]) -> tuple[Provenance, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """A request ready to be sent, with the layout and the plan that it was written from."""

    request: JsonObject
    layout: Layout
    plan: Plan
    reuse: Reuse = NOTHING_KNOWN
    """What the plan was told of the calls around this one."""
    notes: JsonObject = field(default_factory=dict)
    """What else was decided about the prefix of this call, by name."""
    previous: Layout | None = field(default=None, repr=False)
    """The last layout of the conversation."""
    sources: Callable[[Iterable[str]], tuple[Provenance, ...]] = field(default=_from_nowhere, repr=False)
    """What sections are made of, by the digests that `spans` have; those that are not known here are left out."""
    betas: tuple[str, ...] = ()
    """Beta features that the request needs, for its `anthropic-beta` header."""

    def spans(self, found: Iterable[str] = ()) -> tuple[Span, ...]:
        """Return the prompt's runs as the ledger keeps them; `found` are digests of earlier writes in it."""
        cuts = {*found, *(point.prefix_digest for point in self.plan.kept)}
        return spans_of(self.layout, cuts=cuts, previous=self.previous)

    def plan_json(self) -> JsonObject:
        """Return the plan as the ledger keeps it, the notes beside the breakpoints."""
        return {**self.plan.to_json(), **self.notes}


def render_system(
    agent: Agent[OutputT],
    output: OutputSpec,
    *,
    static: Mapping[str, JsonValue],
    semi_static: Mapping[str, JsonValue],
    session: Mapping[str, JsonValue],
) -> tuple[RenderedSection, ...]:
    """Return the agent's system sections, most stable first.

    A model without structured outputs is told the answer's schema in words, at the end of the static layer: constant
    for an agent, so it is part of the prefix that the cache keeps.

    Raises `MissingVariable` when the run does not bring what a section needs, `SettingsError` for what none needs.
    """
    _require(agent, Stability.SEMI_STATIC, semi_static, "return it from `semi_static`")
    # What a semi-static function brings is known only now, and any less stable layer may use it.
    _require(agent, Stability.SESSION, {**semi_static, **session}, "pass it in `session`")
    _refuse_shadows(agent, session, {**static, **semi_static}, "session")
    known: dict[str, JsonValue] = {}
    sections: list[RenderedSection] = []
    for stability, own in zip(_IN_SYSTEM, (static, semi_static, session), strict=True):
        known.update(own)
        sections.extend(agent.renderer.render(stability, known))
        if stability is Stability.STATIC and output.needs_words(structured_outputs=agent.facts.structured_outputs):
            sections.append(
                RenderedSection(name="output", stability=stability, text=output.instruction(), breakpoint=None)
            )
    return tuple(sections)


def render_turn(
    agent: Agent[OutputT], variables: Mapping[str, JsonValue], turn: Mapping[str, JsonValue]
) -> list[JsonObject]:
    """Return the turn layer as text blocks; they stand before the input in the newest user message."""
    _require(agent, Stability.TURN, {**variables, **turn}, "pass it in `turn`")
    _refuse_shadows(agent, turn, variables, "turn")
    rendered = agent.renderer.render(Stability.TURN, {**variables, **turn})
    return [{"type": "text", "text": section.text} for section in rendered]


def lay_out_call(
    agent: Agent[OutputT],
    *,
    system: Sequence[RenderedSection],
    messages: Sequence[JsonObject],
    settings: CallSettings,
    previous: Layout | None = None,
) -> Layout:
    """Return the blocks of one call of `agent`; `previous` is the last layout of the conversation."""
    return lay_out(
        facts=agent.facts,
        tools=agent.definitions,
        system=system,
        messages=messages,
        previous=previous,
        level_salts=level_salts(settings),
        shared_tools=len(agent.shared_tools),
    )


def prepare(
    agent: Agent[OutputT],
    *,
    system: Sequence[RenderedSection],
    messages: Sequence[JsonObject],
    settings: CallSettings,
    expect: Callable[[Layout], Reuse],
    previous: Layout | None = None,
    alike: Layout | None = None,
) -> PreparedCall:
    """Return the planned request for these sections and messages.

    `expect` tells what is known of the reuse of a layout; `previous` is the last layout of the conversation. `alike` is
    one of another conversation whose tools and sections need not be read again where they are the same.
    """
    layout = lay_out_call(agent, system=system, messages=messages, settings=settings, previous=previous or alike)
    reuse = expect(layout)
    planned = plan(layout, agent.facts, reuse, policy=agent.cache)
    return PreparedCall(
        request=to_request(layout, planned, settings),
        layout=layout,
        plan=planned,
        reuse=reuse,
        previous=previous,
        sources=agent.renderer.provenance,
        betas=betas_for(messages[:1], settings.extra),
    )


def level_salts(settings: CallSettings) -> dict[Level, str]:
    """Return what the API renders beside the blocks, at the level that a change of it invalidates (spec 1.2)."""
    beside_system: JsonValue = settings.output_format
    beside_messages: JsonValue = [settings.tool_choice, settings.thinking, settings.effort]
    return {"system": canonical_json(beside_system), "messages": canonical_json(beside_messages)}


def _require(agent: Agent[OutputT], layer: Stability, given: Mapping[str, JsonValue], remedy: str) -> None:
    missing = sorted(agent.needs[layer] - given.keys())
    if missing:
        spoken = (
            f" (for an agent on the command line: --{layer} {missing[0]}=…)"
            if layer in {Stability.SESSION, Stability.TURN}
            else ""
        )
        raise MissingVariable(
            f"agent {agent.name!r}: the {layer} layer needs {', '.join(map(repr, missing))}; {remedy}{spoken}"
        )


def _refuse_shadows(
    agent: Agent[OutputT], given: Mapping[str, JsonValue], more_stable: Mapping[str, JsonValue], layer: str
) -> None:
    shadowed = sorted(given.keys() & more_stable.keys())
    if shadowed:
        names = ", ".join(map(repr, shadowed))
        raise SettingsError(
            f"agent {agent.name!r}: {layer} variable {names} already belongs to a more stable layer; rename it"
        )
