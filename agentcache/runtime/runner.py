"""Runs one agent: performs the steps, records each call, emits events.

The runner owns the order of things; what to send is decided in `requests.py`, what comes next in `steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agentcache.accounting.usage import CallRecord
from agentcache.errors import PrefixMoved, SettingsError
from agentcache.prompt.amendments import Way
from agentcache.prompt.canonical import JsonObject, canonical_json, digest
from agentcache.prompt.layout import Layout
from agentcache.prompt.plain_values import plain_value, plain_variables
from agentcache.prompt.rendering import RenderedSection
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent import Agent
from agentcache.runtime.calls import Answer, CallContext, Caller
from agentcache.runtime.continuing import GoingOn, go_on
from agentcache.runtime.conversation import Conversations, HeldSettings, Transcript
from agentcache.runtime.events import EventSink, Notice
from agentcache.runtime.limits import Meter
from agentcache.runtime.memo import Memo
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.prefix_guard import Cause, find_move, loss
from agentcache.runtime.replies import Reply
from agentcache.runtime.requests import PreparedCall, level_salts, prepare, render_system, render_turn
from agentcache.runtime.sent_prefix import SentPrefix, marks_after
from agentcache.runtime.snapshots import Snapshots
from agentcache.runtime.steps import CallAgain, Fail, Finish, Repair, RunTools, Step, next_step
from agentcache.runtime.tool_calls import ToolTurn, run_tool_calls

Input: TypeAlias = object
"""What a run is asked: text, a list of content blocks, or any value that pydantic can write as JSON."""

_BLOCKS = frozenset({"text", "image", "document", "search_result", "container_upload"})
"""Content blocks that a user message may bring (SDK 2.12.0, `ContentBlockParam`), tool results apart."""

REPAIRS = 2
"""How often an answer that does not fit the declared output is sent back before the run fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRun:
    """One run of one agent: who it is, what it is asked, what it may use."""

    run_id: str
    agent: Agent[object]
    input: Input
    session: Mapping[str, object]
    turn: Mapping[str, object]
    conversation: str | None
    output: OutputSpec
    meter: Meter
    emit: EventSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Everything that runs of one runtime share."""

    caller: Caller
    snapshots: Snapshots
    conversations: Conversations
    memo: Memo
    history: ReuseHistory
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    strict: bool = False
    """Whether a prefix that moves is an error."""

    async def run(self, run: AgentRun) -> object:
        """Perform the run and return its output.

        Raises a kind of `RunError` when it cannot be finished and `DeclarationError` when its variables do not fit;
        the conversation is then as it was before.
        """
        async with self.conversations.draft(run.conversation, agent=run.agent.name) as transcript:
            rendered, opening = await self._rendered(run)
            settings = self._settings(run, transcript)
            going = go_on(
                run.agent,
                sent=transcript.sent,
                layout=transcript.layout,
                history=transcript.messages,
                rendered=rendered,
                session_digest=_identity(run.session),
                settings=settings,
                at_s=self.clock(),
            )
            self._tell(run, going)
            question: JsonObject = {"role": "user", "content": [*opening, *content_of(run.input, run.agent.name)]}
            transcript.messages = [*going.history, question, *([going.amendment] if going.amendment else [])]
            return await self._turns(run, transcript, going, settings)

    async def _rendered(self, run: AgentRun) -> tuple[tuple[RenderedSection, ...], list[JsonObject]]:
        agent = run.agent
        layers = {
            "static": plain_variables(agent.variables),
            "semi_static": await self.snapshots.variables(agent),
            "session": plain_variables(run.session),
        }
        system = render_system(agent, run.output, **layers)
        above = {name: value for layer in layers.values() for name, value in layer.items()}
        return system, render_turn(agent, above, plain_variables(run.turn))

    def _settings(self, run: AgentRun, transcript: Transcript) -> CallSettings:
        """Return the run's settings, with thinking and effort as the conversation began with them.

        Another model has nothing cached to lose, and may not take what the first one took.
        """
        own = run.agent.settings(run.output)
        first = transcript.settings
        if first is None or (transcript.sent and transcript.sent.model != run.agent.facts.canonical):
            transcript.settings = HeldSettings(thinking=own.thinking, effort=own.effort)
            return own
        if (first.thinking, first.effort) != (own.thinking, own.effort):
            self._notice(
                run,
                "settings_held",
                "thinking and effort stay as this conversation began: a change would rewrite its cache",
            )
        return replace(own, thinking=first.thinking, effort=first.effort)

    def _tell(self, run: AgentRun, going: GoingOn) -> None:
        """Say what became of semi-static changes; it is done on purpose and is no error."""
        if going.choice is not None:
            names = ", ".join(map(repr, going.choice.sections))
            code, what = _WAYS[going.choice.way]
            self._notice(run, code, f"semi-static text changed (section {names}) and {what}: {going.choice.reason}")
        if going.thinking_dropped:
            self._notice(
                run,
                "thinking_dropped",
                "the prompt before it changed, so the model would refuse its earlier thinking: it is sent without",
            )

    async def _turns(self, run: AgentRun, transcript: Transcript, going: GoingOn, settings: CallSettings) -> object:
        repairs_left = REPAIRS
        while True:
            answer = await self._call(run, transcript, going, settings)
            going = replace(going, choice=None)
            reply = answer.reply
            if reply.content:
                transcript.messages.append({"role": "assistant", "content": list(reply.content)})
            step = self._step(run, reply, repairs_left)
            if isinstance(step, Finish):
                return step.output
            if isinstance(step, Fail):
                raise step.error
            if isinstance(step, Repair):
                repairs_left -= 1
                transcript.messages.append(_user(step.message))
            elif isinstance(step, RunTools):
                results = await self._tools(run, step.blocks, answer.call_id)
                transcript.messages.append({"role": "user", "content": list(results)})
            elif not isinstance(step, CallAgain):
                raise TypeError(f"unknown step {step!r}")

    def _step(self, run: AgentRun, reply: Reply, repairs_left: int) -> Step:
        return next_step(
            reply.content,
            reply.stop_reason,
            output=run.output,
            repairs_left=repairs_left,
            agent=run.agent.name,
            stop_details=reply.stop_details,
        )

    async def _call(self, run: AgentRun, transcript: Transcript, going: GoingOn, settings: CallSettings) -> Answer:
        agent, meter = run.agent, run.meter
        meter.begin_turn(at=self.clock(), run=agent.name)
        now = self.clock()
        prepared = prepare(
            agent,
            system=going.system,
            messages=transcript.messages,
            settings=settings,
            expect=lambda layout: self._expected(run, transcript, layout, now),
            previous=transcript.layout,
        )
        prepared = replace(prepared, notes=self._guarded(run, transcript, going, prepared, now))
        kept = prepared.plan.kept
        self.history.call_sent(prepared.layout, [(point.block, point.ttl) for point in kept], at_s=now)
        transcript.sent = _sent(run, transcript.sent, going, prepared, settings, now)
        transcript.layout = prepared.layout
        context = CallContext(
            run_id=run.run_id,
            agent=agent.name,
            conversation=run.conversation,
            turn=meter.turns,
            emit=run.emit,
            charge=lambda record: self._charge(run, record),
        )
        return await self.caller.call(prepared, context)

    def _guarded(
        self, run: AgentRun, transcript: Transcript, going: GoingOn, prepared: PreparedCall, now: float
    ) -> JsonObject:
        """Compare a call with the one before; return what the ledger keeps of that, beside the plan.

        Raises `PrefixMoved` for a move that nobody intended, where the runtime is strict.
        """
        notes: JsonObject = {} if going.choice is None else {"semi_static": going.choice.to_json()}
        before, sent, layout = transcript.layout, transcript.sent, prepared.layout
        moved = before and sent and find_move(before, layout, intended=going.rewritten)
        if not moved or not sent or run.agent.cache == "off":
            return notes
        lost = loss(sent, moved, prepared.plan, layout, run.agent.facts, at_s=now)
        message = f"{moved.named()} is not what this conversation sent before: {lost.words()}"
        if self.strict:
            raise PrefixMoved(f"{run.agent.name}: {message}; {_REMEDIES[moved.cause]}", where=moved.where)
        self._notice(run, "prefix_moved", message)
        return {**notes, "moved": {**moved.to_json(), **lost.to_json()}}

    def _expected(self, run: AgentRun, transcript: Transcript, layout: Layout, now: float) -> Reuse:
        """Return what is known of the calls around this one.

        A run without tools that is no conversation ends with its first answer, as far as anybody can tell.
        """
        known = self.history.before_call(layout, agent=run.agent.name, at_s=now)
        written = transcript.sent.written if transcript.sent else frozenset()
        continues = bool(run.agent.toolbox) or run.conversation is not None
        return replace(known, written=known.written | written, tail_continues=continues)

    def _charge(self, run: AgentRun, record: CallRecord) -> None:
        run.meter.add(record)
        if record.usage is not None and record.cost_usd is None:
            self._notice(run, "unpriced_model", f"{record.model} has no known price: its cost is unknown, not zero")

    async def _tools(self, run: AgentRun, blocks: Sequence[JsonObject], call_id: str) -> list[JsonObject]:
        turn = ToolTurn(
            run_id=run.run_id,
            agent=run.agent.name,
            call_id=call_id,
            clock=self.clock,
            new_id=self.new_id,
            record=self.caller.ledger.add_tool_call,
            emit=run.emit,
            memo=self.memo,
            concurrency=run.agent.tool_concurrency,
        )
        results, _ = await run_tool_calls(blocks, run.agent.toolbox, turn)
        return results

    def _notice(self, run: AgentRun, code: str, message: str) -> None:
        run.emit(Notice(run_id=run.run_id, agent=run.agent.name, at=self.clock(), code=code, message=message))


_WAYS: Mapping[Way, tuple[str, str]] = {
    "append": ("semi_static_appended", "is told behind the messages"),
    "rewrite": ("semi_static_rewritten", "the prefix is rewritten"),
    "keep": ("semi_static_kept", "this conversation keeps the old text"),
}

_REMEDIES: Mapping[Cause, str] = {
    "model_changed": "begin a new conversation for another model",
    "tools_changed": "keep an agent's tools as they are within a conversation",
    "system_changed": "text that changes within a conversation belongs in the turn layer",
    "messages_changed": "messages that were sent must stay as they are",
    "output_format_changed": "ask for one type of output within a conversation",
    "thinking_changed": "keep thinking and effort as they are within a conversation",
}


def _identity(variables: Mapping[str, object]) -> str:
    return digest(canonical_json(plain_variables(variables)))


def _sent(
    run: AgentRun, before: SentPrefix | None, going: GoingOn, prepared: PreparedCall, settings: CallSettings, now: float
) -> SentPrefix:
    """Return what this call sends, for the next one to repeat."""
    facts = run.agent.facts
    return SentPrefix(
        agent=run.agent.name,
        model=facts.canonical,
        system=going.system,
        amended=going.amended,
        session_digest=_identity(run.session),
        salts=level_salts(settings),
        marks=marks_after(before.marks if before else (), prepared.layout, prepared.plan.kept, at_s=now),
        outlook=prepared.reuse.tail,
        bound=facts.thinking_bound_to_prefix or (before is not None and before.bound),
    )


def content_of(value: Input, agent: str) -> list[JsonObject]:
    """Return a run's input as content blocks: text as it is, blocks as they are, anything else as canonical JSON."""
    if isinstance(value, str):
        if not value.strip():
            raise SettingsError(f"agent {agent!r}: the input is empty; the API takes no empty message")
        return [{"type": "text", "text": value}]
    plain = plain_value(value)
    if (
        isinstance(plain, list)
        and plain
        and all(isinstance(item, dict) and item.get("type") in _BLOCKS for item in plain)
    ):
        return [item for item in plain if isinstance(item, dict)]
    return [{"type": "text", "text": canonical_json(plain)}]


def _user(text: str) -> JsonObject:
    return {"role": "user", "content": [{"type": "text", "text": text}]}
