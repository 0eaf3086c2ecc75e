"""Compacts a conversation before a run of it: asks for a summary, and has the run go on behind that.

When: at the beginning of a run, ahead of its question. Every earlier run has ended with its answer by then, so it is
never in the middle of a tool loop; how long the user was silent is known, and so is what the cache still holds; and
that there is a next call is certain. What was dropped stays in the store as an earlier history of the conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentcache.accounting.usage import CallKind, CallRecord
from agentcache.errors import CallError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.compaction import (
    Compaction,
    CompactionChoice,
    Long,
    choose_compaction,
    compacted,
    cut_before,
)
from agentcache.prompt.layout import Layout
from agentcache.prompt.rendering import RenderedSection
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent_calls import AgentCalls
from agentcache.runtime.agent_run import AgentRun
from agentcache.runtime.calls import CallContext
from agentcache.runtime.continuing import GoingOn, without_thinking
from agentcache.runtime.conversation import Transcript
from agentcache.runtime.conversations import Conversations
from agentcache.runtime.replies import Reply
from agentcache.runtime.requests import PreparedCall, prepare
from agentcache.runtime.sent_prefix import SentPrefix
from agentcache.runtime.steps import text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Compactor:
    """Compacts the conversations of one runtime's runs."""

    calls: AgentCalls
    conversations: Conversations

    async def compacted(
        self,
        run: AgentRun,
        transcript: Transcript,
        going: GoingOn,
        settings: CallSettings,
        fresh: tuple[RenderedSection, ...],
    ) -> GoingOn:
        """Return how the run goes on: as `going`, or behind a summary with the system prompt as it is now (`fresh`).

        The shorter conversation is saved at once, so that a run that fails later does not pay for it in vain. A
        summary that cannot be had is told and changes nothing. Raises `LimitReached` when the run has no room for one.
        """
        policy, sent, now = run.agent.compaction, transcript.sent, self.calls.clock()
        cut = None if policy is None else cut_before(going.history, policy.keep_turns)
        if policy is None or sent is None or cut is None or run.conversation is None:
            return going
        prepared = self._prepared(run, policy, sent, transcript.layout, going, settings, now)
        choice = choose_compaction(
            policy, self._long(prepared, sent, cut, settings, now), run.agent.facts, sent.outlook
        )
        if not choice.compact:
            return going
        paid: list[CallRecord] = []
        summary = await self._summary(run, replace(prepared, notes={"compaction": choice.to_json()}), paid, now)
        if summary is None:
            return going
        history = going.history
        if sent.bound or run.agent.facts.thinking_bound_to_prefix:
            history = (*history[:cut], *without_thinking(history[cut:]))
        transcript.messages = list(compacted(history, cut, summary))
        transcript.sent = transcript.layout = None  # nothing of the messages is as it was sent
        await self.conversations.save(run.conversation, transcript, agent=run.agent.name)
        self._tell(run, choice, cut, prepared, paid)
        return GoingOn(system=fresh, history=tuple(transcript.messages), amended={})

    def _prepared(
        self,
        run: AgentRun,
        policy: Compaction,
        sent: SentPrefix,
        layout: Layout | None,
        going: GoingOn,
        settings: CallSettings,
        now: float,
    ) -> PreparedCall:
        """Return the summariser's call: the same tools, system prompt and history, so that it reads the cache.

        An answer in the agent's declared format would be no summary, so such a format is left out; it is part of the
        cached system prompt, and the call then reads the tools at most.
        """
        history: Sequence[JsonObject] = going.history
        if settings.output_format is not None and (sent.bound or run.agent.facts.thinking_bound_to_prefix):
            history = without_thinking(history)
        question: JsonObject = {"role": "user", "content": [{"type": "text", "text": policy.instructions}]}
        return prepare(
            run.agent,
            system=going.system,
            messages=[*history, question],
            settings=replace(settings, output_format=None),
            expect=lambda laid_out: self._known(run, sent, laid_out, now),
            previous=layout,
        )

    def _known(self, run: AgentRun, sent: SentPrefix, layout: Layout, now: float) -> Reuse:
        """Return what is known of the summariser's prompt; no call will continue it."""
        known = self.calls.history.now_known(layout, agent=run.agent.name, at_s=now)
        there = {block.prefix_digest for block in layout.blocks}
        marks = {mark.digest: mark.ttl for mark in sent.marks if mark.until_s > now and mark.digest in there}
        live = {**marks, **known.live}
        return replace(known, written=frozenset(live), live=live, tail_continues=False)

    def _long(self, prepared: PreparedCall, sent: SentPrefix, cut: int, settings: CallSettings, now: float) -> Long:
        layout, start = prepared.layout, prepared.layout.messages_start
        blocks = layout.blocks
        last = len(layout.messages) - 1
        history = [block for block in blocks[start:] if block.index < last]
        live = [block.prefix_tokens for block in blocks if block.prefix_digest in prepared.reuse.live]
        head_live = [block.prefix_tokens for block in blocks[:start] if block.prefix_digest in prepared.reuse.live]
        prompt = history[-1].prefix_tokens
        readable = max(live, default=0)
        return Long(
            prompt_tokens=prompt,
            live_tokens=sent.live_tokens(at_s=now) if settings.output_format is not None else readable,
            head_tokens=blocks[start - 1].prefix_tokens if start else 0,
            head_live_tokens=max(head_live, default=0),
            kept_tokens=prompt - next((one.prefix_tokens - one.tokens for one in history if one.index >= cut), prompt),
            answer_tokens=settings.max_tokens,
            summary_live_tokens=readable,
        )

    async def _summary(self, run: AgentRun, prepared: PreparedCall, paid: list[CallRecord], now: float) -> str | None:
        """Ask for the summary; `None`, and the author is told, when what comes is none."""
        meter = run.meter
        for counted in meter.lineage():
            counted.check(at=now, run=run.agent.name)

        def charge(record: CallRecord) -> None:
            paid.append(record)
            meter.add(record)

        context = CallContext(
            run_id=run.run_id,
            agent=run.agent.name,
            conversation=run.conversation,
            turn=meter.turns,
            kind=CallKind.SUMMARY,
            emit=run.emit,
            charge=charge,
        )
        try:
            reply = (await self.calls.caller.call(prepared, context)).reply
        except CallError as error:
            run.notice("compaction_failed", f"the history stays as it is: {error}", at=self.calls.clock())
            return None
        marks = [(point.prefix_digest, point.ttl) for point in prepared.plan.kept]
        self.calls.history.read_or_written(marks, at_s=now)
        summary = _summary_in(reply)
        if summary is None:
            told = f"the history stays as it is: the summariser stopped for {reply.stop_reason!r} without a summary"
            run.notice("compaction_failed", told, at=self.calls.clock())
        return summary

    def _tell(
        self, run: AgentRun, choice: CompactionChoice, cut: int, prepared: PreparedCall, paid: Sequence[CallRecord]
    ) -> None:
        costs = [record.cost_usd for record in paid]
        known = [cost for cost in costs if cost is not None]
        cost = f"${sum(known):.4f}" if len(known) == len(costs) else "an unknown price"
        written = sum(record.usage.output_tokens for record in paid if record.usage is not None)
        run.notice(
            "compacted",
            f"{cut} messages became a summary of {written:,} tokens for {cost}; the prompt had about "
            f"{prepared.layout.total_tokens:,}: {choice.reason}",
            at=self.calls.clock(),
        )


def _summary_in(reply: Reply) -> str | None:
    text = text_of(reply.content).strip()
    return text if reply.stop_reason in {"end_turn", "stop_sequence"} and text else None
