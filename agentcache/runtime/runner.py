"""Runs one agent: performs the steps from the question to the output.

The runner owns the order of things; how one call is made stands in `agent_calls.py`, what comes next in `steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from agentcache.errors import SettingsError
from agentcache.prompt.amendments import Way
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent import Agent
from agentcache.runtime.agent_calls import AgentCalls, identity
from agentcache.runtime.agent_run import AgentRun, content_of
from agentcache.runtime.approval import Approver
from agentcache.runtime.compacting import Compactor
from agentcache.runtime.continuing import GoingOn, go_on
from agentcache.runtime.conversation import HeldSettings, Transcript
from agentcache.runtime.conversations import Conversations
from agentcache.runtime.fallbacks import Line, answered
from agentcache.runtime.fork_point import ForkPoint, forkable
from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.memo_keys import MemoScope
from agentcache.runtime.open_toolsets import OpenToolsets
from agentcache.runtime.recorded_conversation import begun, compacted_once
from agentcache.runtime.recorded_steps import tool_steps
from agentcache.runtime.replies import Reply
from agentcache.runtime.requests import render_system, render_turn
from agentcache.runtime.snapshots import Snapshots
from agentcache.runtime.steps import CallAgain, Fail, Finish, Repair, RunTools, Step, next_step
from agentcache.runtime.strict_prompts import StrictPrompts
from agentcache.runtime.tool_calls import ToolTurn, run_tool_calls
from agentcache.runtime.turnstile import Turnstile

REPAIRS = 2
"""How often an answer that does not fit the declared output is sent back before the run fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Everything that runs of one runtime share."""

    calls: AgentCalls
    snapshots: Snapshots
    conversations: Conversations
    compactor: Compactor
    toolsets: OpenToolsets
    memo: ToolMemo
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    approver: Approver | None = None
    prompts: StrictPrompts = field(default_factory=StrictPrompts)
    turnstile: Turnstile = field(default_factory=Turnstile)
    """Rendering and planning is what a run asks of the processor; runs take turns at it."""

    async def run(self, run: AgentRun) -> object:
        """Perform the run and return its output.

        Raises a kind of `RunError` when it cannot be finished and `DeclarationError` when its variables do not fit,
        nobody can approve what its tools do, or its prompt has to be without mistakes and is not; the conversation is
        then as it was before.
        """
        self._require_approver(run.agent)
        if isinstance(run.fork_of, ForkPoint):
            point = run.fork_of
            transcript = point.continued(content_of(run.input, run.agent.name))
            return await self._turns(
                Line(run=run, transcript=transcript, going=point.going, settings=point.settings, rest=())
            )
        self.prompts.check(run, at=self.clock())
        async with self._draft(run) as transcript:
            await self.turnstile.passed()
            await begun(run, transcript)
            run = await self._with_toolsets(run, transcript)
            rendered, opening = await self._rendered(run)
            settings = self._settings(run, transcript)
            going = go_on(
                run.agent,
                sent=transcript.sent,
                layout=transcript.layout,
                history=transcript.messages,
                rendered=rendered,
                session_digest=identity(run.session),
                settings=settings,
                at_s=self.clock(),
            )
            going = await self._compacted(run, transcript, going, settings, rendered)
            self._tell(run, going)
            question: JsonObject = {"role": "user", "content": [*opening, *content_of(run.input, run.agent.name)]}
            transcript.messages = [*going.history, question, *([going.amendment] if going.amendment else [])]
            return await self._turns(
                Line(run=run, transcript=transcript, going=going, settings=settings, rest=run.agent.stand_ins)
            )

    async def _with_toolsets(self, run: AgentRun, transcript: Transcript) -> AgentRun:
        joined = await self.toolsets.joined(run, transcript)
        self._require_approver(joined.agent)
        return joined

    async def _compacted(
        self,
        run: AgentRun,
        transcript: Transcript,
        going: GoingOn,
        settings: CallSettings,
        rendered: tuple[RenderedSection, ...],
    ) -> GoingOn:
        async def compact() -> GoingOn:
            return await self.compactor.compacted(run, transcript, going, settings, rendered)

        return await compacted_once(run, transcript, going, rendered, self.calls.caller.ledger, compact)

    def _draft(self, run: AgentRun) -> AbstractAsyncContextManager[Transcript]:
        if isinstance(run.fork_of, str):
            return self.conversations.forked(run.fork_of)
        return self.conversations.draft(run.conversation, agent=run.agent.name)

    def _require_approver(self, agent: Agent[object]) -> None:
        waiting = [name for tool in agent.toolbox.values() for name in tool.may_wait]
        if waiting and self.approver is None:
            raise SettingsError(
                f"agent {agent.name!r}: calls of {waiting[0]!r} wait for approval, and nobody can be asked; give "
                "Runtime(approve=…), or run it on a terminal or with `agentcache run --approve all|none`"
            )

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
            run.notice(
                "settings_held",
                "thinking and effort stay as this conversation began: a change would rewrite its cache",
                at=self.clock(),
            )
        return replace(own, thinking=first.thinking, effort=first.effort)

    def _tell(self, run: AgentRun, going: GoingOn) -> None:
        """Say what became of semi-static changes; it is done on purpose and is no error."""
        if going.choice is not None:
            names = ", ".join(map(repr, going.choice.sections))
            code, what = _WAYS[going.choice.way]
            run.notice(
                code, f"semi-static text changed (section {names}) and {what}: {going.choice.reason}", at=self.clock()
            )
        if going.thinking_dropped:
            run.notice(
                "thinking_dropped",
                "the prompt before it changed, so the model would refuse its earlier thinking: it is sent without",
                at=self.clock(),
            )

    async def _system(self, run: AgentRun) -> tuple[RenderedSection, ...]:
        return (await self._rendered(run))[0]

    async def _turns(self, line: Line) -> object:
        repairs_left = REPAIRS
        while True:
            await self.turnstile.passed()
            line, answer = await answered(line, self.calls, self._system)
            line = replace(line, going=replace(line.going, choice=None))
            run, transcript, reply = line.run, line.transcript, answer.reply
            if reply.content:
                transcript.messages.append({"role": "assistant", "content": list(reply.content)})
            step = self._step(run, reply, repairs_left)
            if isinstance(step, Finish):
                line.hand_in()
                return step.output
            if isinstance(step, Fail):
                raise step.error
            if isinstance(step, Repair):
                repairs_left -= 1
                transcript.messages.append(_user(step.message))
            elif isinstance(step, RunTools):
                with forkable(_fork_point(line, step.blocks)):
                    results = await self._tools(run, step.blocks, answer.call_id)
                await self.toolsets.tell_changes(run, transcript)
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

    async def _tools(self, run: AgentRun, blocks: Sequence[JsonObject], call_id: str) -> list[JsonObject]:
        ledger = self.calls.caller.ledger
        turn = ToolTurn(
            run_id=run.run_id,
            agent=run.agent.name,
            call_id=call_id,
            clock=self.clock,
            new_id=self.new_id,
            record=ledger.add_tool_call if run.steps is None else ledger.ensure_tool_call,
            emit=run.emit,
            memo=self.memo,
            memo_scope=MemoScope(run=run.outermost or run.run_id, conversation=run.conversation),
            concurrency=run.agent.tool_concurrency,
            steps=None if run.steps is None else tool_steps(run.steps, ledger, run.meter),
            approver=self.approver,
            facts=run.agent.facts,
        )
        results, _ = await run_tool_calls(blocks, run.agent.toolbox, turn)
        return results


_WAYS: Mapping[Way, tuple[str, str]] = {
    "append": ("semi_static_appended", "is told behind the messages"),
    "rewrite": ("semi_static_rewritten", "the prefix is rewritten"),
    "keep": ("semi_static_kept", "this conversation keeps the old text"),
}


def _fork_point(line: Line, blocks: Sequence[JsonObject]) -> ForkPoint:
    run = line.run
    return ForkPoint(
        agent=run.agent,
        session=run.session,
        output=run.output,
        transcript=line.transcript,
        going=line.going,
        settings=line.settings,
        pending=tuple(str(block["id"]) for block in blocks),
        forked=isinstance(run.fork_of, ForkPoint),
    )


def _user(text: str) -> JsonObject:
    return {"role": "user", "content": [{"type": "text", "text": text}]}
