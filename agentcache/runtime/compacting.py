"""Compacts a conversation before a run of it: asks for a summary, and has the run go on behind that.

When: at the beginning of a run, ahead of its question. Every earlier run has ended with its answer by then, so it is
never in the middle of a tool loop; how long the user was silent is known, and so is what the cache still holds; and
that there is a next call is certain. What was dropped stays in the store as an earlier history of the conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agentcache.accounting.usage import CallKind, CallRecord
from agentcache.errors import CallError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.compaction import (
    INSTRUCTIONS,
    Compaction,
    CompactionChoice,
    Long,
    behind_block,
    choose_compaction,
    compacted,
    cut_before,
)
from agentcache.prompt.layout import Layout
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent_calls import AgentCalls, context_of
from agentcache.runtime.agent_run import AgentRun
from agentcache.runtime.budget import worst_of
from agentcache.runtime.continuing import GoingOn, without_thinking
from agentcache.runtime.conversation import Transcript
from agentcache.runtime.conversations import Conversations
from agentcache.runtime.replies import Reply
from agentcache.runtime.requests import PreparedCall, lay_out_call, prepare
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
        policy, sent = run.agent.compaction, transcript.sent
        cut = None if policy is None else cut_before(going.history, policy.keep_turns)
        if policy is None or sent is None or cut is None or run.conversation is None:
            return going
        work = _Work(
            run=run,
            policy=policy,
            sent=sent,
            layout=transcript.layout,
            going=going,
            settings=settings,
            cut=cut,
            calls=self.calls,
            now=self.calls.clock(),
        )
        prepared = work.prepared()
        choice = choose_compaction(policy, work.long(prepared), run.agent.facts, sent.outlook)
        if not choice.compact:
            return going
        paid: list[CallRecord] = []
        reply = await work.asked(replace(prepared, notes={"compaction": choice.to_json()}), paid)
        shorter = None if reply is None else work.shorter(reply)
        if shorter is None:
            return going
        transcript.messages = list(shorter)
        transcript.sent = transcript.layout = None  # nothing of the messages is as it was sent
        await self.conversations.save(run.conversation, transcript, agent=run.agent.name)
        work.tell(choice, paid)
        return GoingOn(system=fresh, history=shorter, amended={})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The conversation at hand: `cut` is where its last turns begin, `now` is Unix seconds."""

    run: AgentRun
    policy: Compaction
    sent: SentPrefix
    layout: Layout | None
    going: GoingOn
    settings: CallSettings
    cut: int
    calls: AgentCalls
    now: float

    def prepared(self) -> PreparedCall:
        """Return the summariser's call: the same tools, system prompt and history, so that it reads the cache.

        An answer in the agent's declared format would be no summary, so such a format is left out; it is part of the
        cached system prompt, and the call then reads the tools at most.
        """
        history: Sequence[JsonObject] = self.going.history
        if self.settings.output_format is not None and self._thinking_is_bound():
            history = without_thinking(history)
        return prepare(
            self.run.agent,
            system=self.going.system,
            messages=[*history, self._question()] if self.policy.way == "summary" else history[: self.cut],
            settings=self._settings(),
            expect=self._known,
            previous=self.layout,
        )

    def long(self, prepared: PreparedCall) -> Long:
        """Return the prompt that the run would go on with, and what of it and of the summariser's can be read."""
        whole = lay_out_call(
            self.run.agent,
            system=self.going.system,
            messages=self.going.history,
            settings=self.settings,
            previous=self.layout,
        )
        live, start = self._known(whole).live, whole.messages_start
        dropped = [block.prefix_tokens for block in whole.blocks if block.index < self.cut or block.level != "messages"]
        return Long(
            prompt_tokens=whole.prefix_tokens,
            live_tokens=_readable(whole, live),
            head_tokens=whole.blocks[start - 1].prefix_tokens if start else 0,
            head_live_tokens=_readable(whole, live, until=start),
            kept_tokens=whole.prefix_tokens - max(dropped, default=0),
            answer_tokens=self.settings.max_tokens,
            summary_live_tokens=_readable(prepared.layout, prepared.reuse.live),
        )

    async def asked(self, prepared: PreparedCall, paid: list[CallRecord]) -> Reply | None:
        """Return the summariser's reply; `None`, and the author is told, when the call fails."""
        run, meter = self.run, self.run.meter
        need = worst_of(prepared, meter, at_s=self.now)
        try:
            async with self.calls.budget.reserved(meter, need, agent=run.agent.name) as reserved:

                def charge(record: CallRecord) -> None:
                    paid.append(record)
                    reserved.charge(record)

                context = context_of(run, reserved, charge=charge, kind=CallKind.SUMMARY)
                reply = (await self.calls.caller.call(prepared, context)).reply
        except CallError as error:
            self._stays(str(error))
            return None
        marks = [(point.prefix_digest, point.ttl) for point in prepared.plan.kept]
        self.calls.history.read_or_written(marks, at_s=self.now)
        return reply

    def shorter(self, reply: Reply) -> tuple[JsonObject, ...] | None:
        """Return the history behind the summary; `None`, and the author is told, when the reply brought none.

        Thinking that is bound to the prompt before it would be refused behind another one.
        """
        history = self.going.history
        if self._thinking_is_bound():
            history = (*history[: self.cut], *without_thinking(history[self.cut :]))
        if self.policy.way == "api":
            block = next((one for one in reply.content if one.get("type") == "compaction" and one.get("content")), None)
            if block is not None:
                return behind_block(history, self.cut, block)
        else:
            text = text_of(reply.content).strip()
            if text and reply.stop_reason in {"end_turn", "stop_sequence"}:
                return compacted(history, self.cut, text)
        self._stays(f"the summariser stopped for {reply.stop_reason!r} without a summary")
        return None

    def tell(self, choice: CompactionChoice, paid: Sequence[CallRecord]) -> None:
        """Tell the author what happened, what it cost and why."""
        costs = [record.cost_usd for record in paid]
        known = [cost for cost in costs if cost is not None]
        cost = f"${sum(known):.4f}" if len(known) == len(costs) else "an unknown price"
        written = sum(record.usage.output_tokens for record in paid if record.usage is not None)
        told = f"{self.cut} messages became a summary of {written:,} tokens for {cost}; {choice.reason}"
        self.run.notice("compacted", told, at=self.calls.clock())

    def _stays(self, why: str) -> None:
        self.run.notice("compaction_failed", f"the history stays as it is: {why}", at=self.calls.clock())

    def _settings(self) -> CallSettings:
        """Return the run's settings without what shapes an answer, which would shape a summary too."""
        plain = replace(self.settings, output_format=None)
        if self.policy.way == "summary":
            return plain
        asked: JsonObject = {"type": "summarize"}
        if self.policy.instructions is not None:
            asked["instructions"] = self.policy.instructions
        return replace(plain, stop_sequences=(), extra={**plain.extra, "compaction": asked})

    def _question(self) -> JsonObject:
        return {"role": "user", "content": [{"type": "text", "text": self.policy.instructions or INSTRUCTIONS}]}

    def _thinking_is_bound(self) -> bool:
        return self.sent.bound or self.run.agent.facts.thinking_bound_to_prefix

    def _known(self, layout: Layout) -> Reuse:
        """Return what is known of a prompt of this conversation that no call will continue."""
        known = self.calls.history.now_known(layout, agent=self.run.agent.name, at_s=self.now)
        there = {block.prefix_digest for block in layout.blocks}
        marks = {mark.digest: mark.ttl for mark in self.sent.marks if mark.until_s > self.now and mark.digest in there}
        live = {**marks, **known.live}
        return replace(known, written=frozenset(live), live=live, tail_continues=False)


def _readable(layout: Layout, live: Collection[str], *, until: int | None = None) -> int:
    """Return how much of a prompt can be read from entries with these digests, by its first `until` blocks."""
    return max((block.prefix_tokens for block in layout.blocks[:until] if block.prefix_digest in live), default=0)
