"""Which model answers when one is overloaded or declines: the same turn goes to the next one that the agent names.

Within its run the agent stays with the model that answered; the next run of the conversation begins with the first
model again, which then reads what it had cached. So the conversation itself is kept as the first model knows it, and
another model is sent a view of it: with the system prompt as it is now in place of what amendments said (not every
model takes system messages), and without thinking where a model binds its thinking to itself (specification 10).

Caches are per model: the other one starts cold. What that costs is told in a `Notice` and kept with the plan of the
call that pays it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.worst_case import prompt_usage, usage_usd
from agentcache.errors import CallError, Overloaded, RateLimited
from agentcache.prompt.amendments import is_amendment
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.token_estimate import settings_tokens
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent import Agent, FallbackCause
from agentcache.runtime.agent_calls import AgentCalls
from agentcache.runtime.agent_run import AgentRun
from agentcache.runtime.calls import Answer
from agentcache.runtime.continuing import GoingOn, without_thinking
from agentcache.runtime.conversation import Transcript
from agentcache.runtime.requests import PreparedCall
from agentcache.runtime.sent_prefix import SentPrefix

_CAUSES: Mapping[type[CallError], FallbackCause] = {Overloaded: "overloaded", RateLimited: "rate_limited"}

_WORDS: Mapping[FallbackCause, str] = {
    "overloaded": "is overloaded",
    "rate_limited": "takes no more calls for now",
    "refused": "declined to answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A turn that goes to another model.

    came_from, to: model ids. prompt_usd: what the prompt costs on the new model, which has none of it cached unless
    others used it there; stayed_usd: what it would have cost on the one before, with what that had cached; both
    estimated, `None` for a model without prices.
    """

    came_from: str
    to: str
    cause: FallbackCause
    prompt_usd: Decimal | None
    stayed_usd: Decimal | None
    thinking_dropped: bool

    @property
    def extra_usd(self) -> Decimal | None:
        """What the switch costs beyond staying; below zero when the other model is that much cheaper."""
        return None if self.prompt_usd is None or self.stayed_usd is None else self.prompt_usd - self.stayed_usd

    def to_json(self) -> JsonObject:
        """Return the switch as the ledger keeps it, beside the plan of the call that pays for it."""
        return {
            "from": self.came_from,
            "to": self.to,
            "cause": self.cause,
            "prompt_usd": _text(self.prompt_usd),
            "stayed_usd": _text(self.stayed_usd),
            "extra_usd": _text(self.extra_usd),
            "thinking_dropped": self.thinking_dropped,
        }

    def words(self) -> str:
        """Return the switch in one sentence."""
        cost = "nobody knows what its prompt costs there"
        if self.prompt_usd is not None and self.stayed_usd is not None:
            cost = f"its prompt costs ${self.prompt_usd:.6f} there, ${self.stayed_usd:.6f} where it came from"
        dropped = "; thinking so far is left out" if self.thinking_dropped else ""
        return f"{self.came_from} {_WORDS[self.cause]}, so the turn goes to {self.to}: {cost}{dropped}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Whom a run talks to, and what it sends.

    run: with the agent as the model of the moment has it. transcript: what that model is sent. rest: who is asked
    next, in order. home: the conversation itself, where `transcript` is a view of it; the first `seen` messages of the
    view stand for its own.
    """

    run: AgentRun
    transcript: Transcript
    going: GoingOn
    settings: CallSettings
    rest: tuple[Agent[object], ...]
    home: Transcript | None = None
    seen: int = 0

    def hand_in(self) -> Transcript:
        """Put what was said since the switch into the conversation itself and return that."""
        if self.home is None:
            return self.transcript
        since = self.transcript.messages[self.seen :]
        # The first model could not read another one's thinking.
        self.home.messages.extend(without_thinking(since) if _binds(self.home, self.run.agent) else since)
        return self.home

    def next_cause(self, told: CallError | str | None) -> FallbackCause | None:
        """Return why the turn goes to another model, given how the call ended (error or stop reason), if it does."""
        cause = _CAUSES.get(type(told)) if isinstance(told, CallError) else None
        if told == "refusal":
            cause = "refused"
        return cause if self.rest and cause in self.run.agent.fallback_on else None


async def answered(
    line: Line, calls: AgentCalls, render: Callable[[AgentRun], Awaitable[tuple[RenderedSection, ...]]]
) -> tuple[Line, Answer]:
    """Return the answer of the first model that gives one, and the line to it.

    render: the system prompt of a run as it is now. Raises what `AgentCalls` raises, for the last model.
    """
    switch_from: tuple[PreparedCall, int, FallbackCause] | None = None
    while True:
        prepared = calls.planned(line.run, line.transcript, line.going, line.settings)
        before, now = line.transcript.sent, calls.clock()
        if switch_from is not None:
            prepared = _told(line, prepared, *switch_from, now)
        found = _found_tokens(prepared, before, now)
        try:
            answer = await calls.sent(prepared, line.run, line.transcript, line.going, line.settings)
        except CallError as error:
            cause = line.next_cause(error)
            if cause is None:
                raise
            _nothing_written(line.transcript, before)
        else:
            cause = line.next_cause(answer.reply.stop_reason)
            if cause is None:
                return line, answer
        switch_from = prepared, found, cause
        line = await _next(line, render)


async def _next(line: Line, render: Callable[[AgentRun], Awaitable[tuple[RenderedSection, ...]]]) -> Line:
    """Return the line to the next model: what it is sent begins with the conversation as it stands."""
    home = line.hand_in()
    agent, *rest = line.rest
    run = replace(line.run, agent=agent)
    history = [message for message in home.messages if not is_amendment(message)]
    if _binds(home, agent):
        history = list(without_thinking(history))
    return Line(
        run=run,
        transcript=Transcript(messages=history),
        going=GoingOn(system=await render(run), history=(), amended={}),
        settings=agent.settings(run.output),
        rest=tuple(rest),
        home=home,
        seen=len(history),
    )


def _told(
    line: Line, prepared: PreparedCall, failed: PreparedCall, found: int, cause: FallbackCause, now: float
) -> PreparedCall:
    """Tell what the switch to this line costs; return its first call with that beside the plan."""
    home = line.home or line.transcript
    dropped = _binds(home, line.run.agent) and without_thinking(home.messages) != tuple(home.messages)
    switch = Switch(
        came_from=failed.layout.model,
        to=prepared.layout.model,
        cause=cause,
        prompt_usd=_prompt_usd(prepared, _found_tokens(prepared, None, now), now),
        stayed_usd=_prompt_usd(failed, found, now),
        thinking_dropped=dropped,
    )
    line.run.notice("fallback", switch.words(), at=now)
    return replace(prepared, notes={**prepared.notes, "fallback": switch.to_json()})


def _binds(home: Transcript, agent: Agent[object]) -> bool:
    """Tell whether thinking may not pass between this model and those that spoke before in the conversation."""
    return agent.facts.thinking_bound_to_prefix or (home.sent is not None and home.sent.bound)


def _nothing_written(transcript: Transcript, before: SentPrefix | None) -> None:
    """Note that a call was sent and not taken: the cache holds what it held before."""
    if transcript.sent is None or transcript.layout is None:
        return
    blocks = transcript.layout.blocks
    still = (
        mark
        for mark in (before.marks if before else ())
        if mark.block < len(blocks) and blocks[mark.block].prefix_digest == mark.digest
    )
    transcript.sent = replace(transcript.sent, marks=tuple(still))


def _found_tokens(prepared: PreparedCall, before: SentPrefix | None, now: float) -> int:
    """Return how much of a planned prompt should be in the cache, from calls of this conversation or of others."""
    live = {mark.digest for mark in before.marks if mark.until_s > now} if before else set()
    live |= prepared.reuse.live.keys()
    blocks = prepared.layout.blocks
    return next((block.prefix_tokens for block in reversed(blocks) if block.prefix_digest in live), 0)


def _prompt_usd(prepared: PreparedCall, found: int, now: float) -> Decimal | None:
    layout = prepared.layout
    beside = settings_tokens(prepared.request, facts_for(layout.model))
    usage = prompt_usage(layout, prepared.plan, found_tokens=found, beside_tokens=beside)
    return usage_usd(usage, model=layout.model, at_s=now)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain_usd(amount)
