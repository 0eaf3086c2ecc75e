"""One call of an agent's run: plan it, compare it with the call before, send it, charge it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from agentcache.accounting.usage import CallKind, CallRecord
from agentcache.errors import PrefixMoved, WorstCase
from agentcache.prompt.canonical import JsonObject, canonical_json, digest
from agentcache.prompt.layout import Layout
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent_run import AgentRun
from agentcache.runtime.budget import Budget, Reservation, worst_of
from agentcache.runtime.calls import Answer, CallContext, Caller
from agentcache.runtime.continuing import GoingOn
from agentcache.runtime.conversation import Transcript
from agentcache.runtime.prefix_guard import Cause, find_move, loss
from agentcache.runtime.prompt_heads import PromptHeads
from agentcache.runtime.recorded_steps import RecordedStep, recorded_call
from agentcache.runtime.requests import PreparedCall, level_salts, prepare
from agentcache.runtime.sent_prefix import SentPrefix, marks_after


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCalls:
    """Makes the calls of agents' runs; one serves all runs of a runtime.

    budget: admits each call. strict: a prefix that moves is an error.
    """

    caller: Caller
    history: ReuseHistory
    budget: Budget
    clock: Callable[[], float]
    strict: bool = False
    heads: PromptHeads = field(default_factory=PromptHeads)

    def planned(self, run: AgentRun, transcript: Transcript, going: GoingOn, settings: CallSettings) -> PreparedCall:
        """Return the call that sends what the transcript holds.

        Raises `PrefixMoved` where what was sent before moved and that is an error.
        """
        now = self.clock()
        prepared = prepare(
            run.agent,
            system=going.system,
            messages=transcript.messages,
            settings=settings,
            expect=lambda layout: self._expected(run, transcript, layout, now),
            previous=transcript.layout,
            alike=self.heads.of(run.agent.name),
        )
        self.heads.keep(run.agent.name, prepared.layout)
        return replace(prepared, notes=self._guarded(run, transcript, going, prepared, now))

    async def sent(
        self,
        prepared: PreparedCall,
        run: AgentRun,
        transcript: Transcript,
        going: GoingOn,
        settings: CallSettings,
    ) -> Answer:
        """Send a planned call within the run's budget and return its answer; the transcript then knows what was sent.

        Raises `LimitReached` before a call that there is no room for and a `CallError` when the call fails.
        """
        need = worst_of(prepared, run.meter, at_s=self.clock())
        note_sent = partial(self._note_sent, prepared, run, transcript, going, settings)
        step = None if run.steps is None else run.steps.next("call")
        if step is not None and step.recorded:
            answer = await self._repeated(step, prepared, run, need)
            note_sent(answer.reply.sent_at)
            return answer
        if step is not None and step.begun_before:
            await self._charge_earlier(run, need, turn=run.meter.own_turns + 1, told=())
        async with self.budget.reserved(run.meter, need, agent=run.agent.name) as reserved:
            note_sent(self.clock())
            context = context_of(run, reserved, charge=lambda record: self._charge(run, record, reserved))
            if step is None:
                return await self.caller.call(prepared, context)
            return await recorded_call(step, self.caller, prepared, context)

    async def _repeated(self, step: RecordedStep, prepared: PreparedCall, run: AgentRun, need: WorstCase) -> Answer:
        """Return the answer on record of a call that was admitted and sent before. Raises what it ended with."""
        reserved = self.budget.repeated(run.meter, need, agent=run.agent.name)
        told: set[str] = set()

        def charge(record: CallRecord) -> None:
            told.add(record.call_id)
            self._charge(run, record, reserved)

        try:
            return await recorded_call(step, self.caller, prepared, context_of(run, reserved, charge=charge))
        finally:  # behind it, since a row that died before it told of its answer tells of it now
            await self._charge_earlier(run, need, turn=run.meter.own_turns, told=told)

    def _note_sent(
        self,
        prepared: PreparedCall,
        run: AgentRun,
        transcript: Transcript,
        going: GoingOn,
        settings: CallSettings,
        at_s: float,
    ) -> None:
        kept = [(point.block, point.ttl) for point in prepared.plan.kept]
        self.history.call_sent(prepared.layout, kept, agent=run.agent.name, at_s=at_s)
        transcript.sent = _sent(run, transcript.sent, going, prepared, settings, at_s)
        transcript.layout = prepared.layout

    async def _charge_earlier(self, run: AgentRun, need: WorstCase, *, turn: int, told: Collection[str]) -> None:
        """Charge what earlier goings-through of a turn were billed, or may have been, beside the rows in `told`.

        Such a call was sent and its answer is on no record: its process died, or it was cancelled, before, amid or just
        after the answer.
        """
        for row in await self.caller.ledger.calls(run_id=run.run_id):
            if row.run_id == run.run_id and row.turn == turn and row.call_id not in told:
                run.meter.add(row, worst=need)

    def _guarded(
        self, run: AgentRun, transcript: Transcript, going: GoingOn, prepared: PreparedCall, now: float
    ) -> JsonObject:
        """Compare a call with the one before; return what the ledger keeps of that, beside the plan.

        Raises `PrefixMoved` for a move that nobody intended, where the runtime is strict. That another agent goes on
        with a conversation is intended.
        """
        notes: JsonObject = {} if going.choice is None else {"semi_static": going.choice.to_json()}
        before, sent, layout = transcript.layout, transcript.sent, prepared.layout
        moved = before and sent and find_move(before, layout, intended=going.rewritten)
        if not moved or not sent or run.agent.cache == "off":
            return notes
        lost = loss(sent, moved, prepared.plan, layout, run.agent.facts, at_s=now)
        message = f"{moved.named()} is not what this conversation sent before: {lost.words()}"
        handed_over = sent.agent != run.agent.name
        if handed_over:
            message = f"the conversation goes on with {run.agent.name} in place of {sent.agent}, and so {message}"
        elif self.strict:
            raise PrefixMoved(f"{run.agent.name}: {message}; {_REMEDIES[moved.cause]}", where=moved.where)
        run.notice("handed_over" if handed_over else "prefix_moved", message, at=now)
        return {**notes, "moved": {**moved.to_json(), **lost.to_json()}}

    def _expected(self, run: AgentRun, transcript: Transcript, layout: Layout, now: float) -> Reuse:
        """Return what is known of the calls around this one.

        A run without tools that is no conversation ends with its first answer, as far as anybody can tell; if others
        send the same messages, they read what it writes.
        """
        known = self.history.before_call(layout, agent=run.agent.name, at_s=now)
        written = transcript.sent.written if transcript.sent else frozenset()
        continues = bool(run.agent.toolbox) or run.conversation is not None
        if _is_shared(run, transcript, now):
            own = transcript.messages[-1]["content"] if run.fork_of is not None else ()
            loose = max(known.loose_blocks, len(own) if isinstance(own, list) else 0)
            known, continues = replace(known, loose_blocks=loose), True
        return replace(known, written=known.written | written, tail_continues=continues)

    def _charge(self, run: AgentRun, record: CallRecord, reserved: Reservation) -> None:
        reserved.charge(record)
        if record.usage is not None and record.cost_usd is None:
            told = f"{record.model} has no known price: its cost is unknown, not zero"
            run.notice("unpriced_model", told, at=self.clock())


def context_of(
    run: AgentRun,
    reserved: Reservation,
    *,
    charge: Callable[[CallRecord], None],
    kind: CallKind = CallKind.MESSAGE,
) -> CallContext:
    """Return the context of the run's call that `reserved` has just admitted."""
    return CallContext(
        run_id=run.run_id,
        agent=run.agent.name,
        conversation=run.conversation,
        turn=run.meter.own_turns,
        kind=kind,
        emit=reserved.watching(run.emit),
        meter=run.meter,
        charge=charge,
    )


_REMEDIES: Mapping[Cause, str] = {
    "model_changed": "begin a new conversation for another model",
    "tools_changed": "keep an agent's tools as they are within a conversation",
    "system_changed": "text that changes within a conversation belongs in the turn layer",
    "messages_changed": "messages that were sent must stay as they are",
    "output_format_changed": "ask for one type of output within a conversation",
    "thinking_changed": "keep thinking and effort as they are within a conversation",
}


def _is_shared(run: AgentRun, transcript: Transcript, now: float) -> bool:
    """Tell whether others read what this call writes behind the system prompt: not what a live history has written."""
    history_lives = transcript.sent is not None and transcript.sent.live_tokens(at_s=now) > 0
    return run.repeated and not history_lives


def identity(variables: Mapping[str, object]) -> str:
    """Return a digest that equal variables share."""
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
        session_digest=identity(run.session),
        salts=level_salts(settings),
        marks=marks_after(before.marks if before else (), prepared.layout, prepared.plan.kept, at_s=now),
        outlook=prepared.reuse.tail,
        bound=facts.thinking_bound_to_prefix or (before is not None and before.bound),
    )
