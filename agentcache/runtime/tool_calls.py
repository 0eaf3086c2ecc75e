"""Runs the `tool_use` blocks of one assistant turn: all at once, each answered, each recorded.

What a tool is and how its result reads is decided in `tools.py`; here are threads, time limits, the memo, events and
records. Every block gets exactly one result, in the order of the blocks, whatever order the tools finish in: the
API wants it complete, and the cache wants it the same every time.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from agentcache.accounting.usage import ToolCallRecord
from agentcache.errors import ToolFailed
from agentcache.prompt.canonical import JsonObject, digest
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.token_estimate import block_tokens
from agentcache.runtime.approval import Approver
from agentcache.runtime.approving import held_back
from agentcache.runtime.despite_cancellation import despite_cancellation, row_kept
from agentcache.runtime.events import EventSink, Notice, ToolFinished, ToolStarted, discard
from agentcache.runtime.memo import Remembered, ToolMemo
from agentcache.runtime.memo_keys import NOWHERE, MemoScope
from agentcache.runtime.recorded_steps import RecordedToolCall, ToolSteps
from agentcache.runtime.tool_context import ToolCall, executing
from agentcache.runtime.tool_places import Place, place_of
from agentcache.runtime.tool_results import ToolResult, failure
from agentcache.runtime.tools import Tool, ToolFunction, call_here

Record: TypeAlias = Callable[[ToolCallRecord], Coroutine[object, object, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolTurn:
    """Who asks for the tools of one assistant turn, and what their calls may touch.

    clock: Unix seconds. new_id: makes an id from a prefix.
    record: awaited once per block with its row, to its end even while the turn is being cancelled.
    memo: `None` executes every call. memo_scope: the run and the conversation that results may be kept for.
    concurrency: how many tools run at once; `None` is all.
    timeout_s: for tools that declare none of their own; `None` is no limit.
    approver: decides about calls that need approval; `None` executes none of them.
    facts: of the model that reads the results, for what they count; `None` leaves that unknown.
    steps: where the run is durable, gives each call, in block order, what makes it one of its steps.
    """

    run_id: str
    agent: str | None
    call_id: str
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    record: Record
    emit: EventSink = discard
    memo: ToolMemo | None = None
    memo_scope: MemoScope = NOWHERE
    concurrency: int | None = None
    timeout_s: float | None = None
    approver: Approver | None = None
    facts: ModelFacts | None = None
    steps: ToolSteps | None = None


async def run_tool_calls(
    blocks: Sequence[JsonObject], tools: Mapping[str, Tool], turn: ToolTurn
) -> tuple[list[JsonObject], list[ToolCallRecord]]:
    """Run the tools that `blocks` ask for and return their `tool_result` blocks and rows, both in the blocks' order.

    blocks: `tool_use` blocks as the API gave them. tools: what is on offer, by name.
    No tool's failure comes out as a raise. When the turn is cancelled, all its tools are, every row is recorded (as
    `cancelled` for those that had not finished), and then the cancellation goes on.
    """
    slots = nullcontext() if turn.concurrency is None else asyncio.Semaphore(turn.concurrency)
    calls = [_tool_call(block, tools, turn) for block in blocks]
    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(call.run(tools, slots))
    except BaseExceptionGroup as failures:
        # Tools do not raise, so this is a sink, a store or an exit: the first is the cause, the rest followed.
        raise failures.exceptions[0] from None
    finally:
        await despite_cancellation(_close([call for call in calls if call.row is None]))
    return [call.result_block() for call in calls], [call.row for call in calls if call.row is not None]


async def call_tool(
    tool: Tool, arguments: JsonObject, *, timeout_s: float | None = None, begun: Callable[[], None] | None = None
) -> ToolResult:
    """Call one tool: a plain function in a thread, with its context variables, an async one here; within its time.

    `timeout_s` holds for a tool without a limit of its own. Time counts from when the tool has one of its places on,
    and `begun` is told of that. A thread whose time is up cannot be stopped: its function runs to its end, in the
    place that it has, and the result is dropped.
    """
    limit_s = timeout_s if tool.timeout_s is None else tool.timeout_s
    async with place_of(tool) as place:
        if begun is not None:
            begun()
        try:
            async with asyncio.timeout(limit_s):
                return await tool.call(arguments, invoke=partial(_invoke, place))
        except TimeoutError as error:  # ours alone: what the tool raises has become a result
            return failure("timeout", f"{tool.name} gave no result within {limit_s:g} seconds.", error=error)


async def _invoke(place: Place | None, tool: Tool, arguments: JsonObject) -> object:
    if not tool.blocking:
        return await call_here(tool, arguments)
    value = await asyncio.to_thread(_in_thread, place, tool.function, arguments)
    return await value if inspect.isawaitable(value) else value


def _in_thread(place: Place | None, function: ToolFunction, arguments: JsonObject) -> object:
    if place is not None and not place.enter():
        return None  # the call was given up before a thread was free for it, and nobody waits for what this returns
    try:
        return function(arguments)
    except StopIteration as error:  # no future can hold one (python/cpython#112182): it would be waited for for ever
        raise RuntimeError("StopIteration: an iterator had no next value") from error
    finally:
        if place is not None:
            place.leave()


@dataclass(slots=True, kw_only=True)
class _ToolCall:
    """One `tool_use` block on its way to a result and a row."""

    block: JsonObject
    turn: ToolTurn
    tool_call_id: str
    step: RecordedToolCall | None = None
    started_at: float | None = None
    answer: Remembered | None = None
    row: ToolCallRecord | None = None

    @property
    def name(self) -> str:
        return str(self.block.get("name"))

    async def run(self, tools: Mapping[str, Tool], slots: AbstractAsyncContextManager[None]) -> None:
        if self.step is None:
            self.answer = await self._answer(tools, slots)
        else:
            self.answer = await self.step.answer(lambda: self._answer(tools, slots))
        await self.close()

    async def _answer(self, tools: Mapping[str, Tool], slots: AbstractAsyncContextManager[None]) -> Remembered:
        try:
            answer = await self._held_back(tools.get(self.name))  # takes no slot: a person may be slow
            if answer is None:
                async with slots:
                    self._start()
                    answer = await self._executed(tools)
        except asyncio.CancelledError:
            if _being_cancelled():
                raise
            # The tool cancelled something of its own and let it out; its block needs an answer all the same.
            answer = Remembered(result=failure("cancelled", f"{self.name} was cancelled."))
        return answer

    @property
    def context(self) -> ToolCall:
        return ToolCall(
            run_id=self.turn.run_id,
            agent=self.turn.agent,
            tool=self.name,
            tool_use_id=str(self.block.get("id")),
            idempotency_key=_key(self.block, self.turn),
        )

    async def _held_back(self, tool: Tool | None) -> Remembered | None:
        """Return the answer of a call that may not be executed."""
        arguments = self.block.get("input")
        if tool is None or tool.approval is False or not isinstance(arguments, dict):
            return None
        turn = self.turn
        result = await held_back(
            tool,
            arguments,
            self.context,
            tool_call_id=self.tool_call_id,
            approver=turn.approver if self.step is None else self.step.asking(turn.approver),
            emit=turn.emit,
            clock=turn.clock,
        )
        return None if result is None else Remembered(result=result)

    async def _executed(self, tools: Mapping[str, Tool]) -> Remembered:
        arguments = self.block.get("input")
        tool = tools.get(self.name)
        if tool is None:
            names = ", ".join(sorted(tools)) or "none"
            message = f"There is no tool named {self.name!r}. Available tools: {names}."
            return Remembered(result=failure("unknown_tool", message))
        if not isinstance(arguments, dict):
            message = f"The arguments of {self.name} must be a JSON object, not {type(arguments).__name__}."
            return Remembered(result=failure("invalid_arguments", message))

        async def call() -> ToolResult:
            with executing(self.context):
                begun = None if tool.concurrency is None else self._begun
                return await call_tool(tool, arguments, timeout_s=self.turn.timeout_s, begun=begun)

        if self.turn.memo is None:
            return Remembered(result=await call())
        return await self.turn.memo.get_or_call(tool, arguments, call, scope=self.turn.memo_scope)

    def _begun(self) -> None:
        """Note that the tool begins now, after it may have waited for a place."""
        self.started_at = self.turn.clock()

    def _start(self) -> None:
        turn, arguments = self.turn, self.block.get("input")
        self.started_at = turn.clock()
        turn.emit(
            ToolStarted(
                run_id=turn.run_id,
                agent=turn.agent,
                at=self.started_at,
                tool_call_id=self.tool_call_id,
                tool=self.name,
                arguments=arguments if isinstance(arguments, dict) else {},
            )
        )

    async def close(self) -> None:
        """Write the row and tell of the end. A call without an answer counts as cancelled."""
        turn, now = self.turn, self.turn.clock()
        answer, result = self.answer, None if self.answer is None else self.answer.result
        self.row = ToolCallRecord(
            tool_call_id=self.tool_call_id,
            run_id=turn.run_id,
            agent=turn.agent,
            call_id=turn.call_id,
            tool=self.name,
            started_at=now if self.started_at is None else self.started_at,
            ended_at=now,
            outcome="cancelled" if result is None else result.outcome,
            memo_hit=answer is not None and answer.hit,
            result_chars=0 if result is None else result.chars,
            memo_tier="executed" if answer is None else answer.source,
            memo_saved_s=0.0 if answer is None else answer.saved_s,
            result_bytes=0 if result is None else len(result.sent_text.encode()),
            result_tokens=0 if result is None else self._tokens(result),
            result_digest=None if result is None else digest(result.sent_text),
        )
        try:
            await row_kept(turn.record(self.row))
        finally:
            self._explain(now)
            self._tell_of_end(self.row)

    def _tokens(self, result: ToolResult) -> int | None:
        facts = self.turn.facts
        return None if facts is None else block_tokens(result.block(str(self.block.get("id"))), facts)

    def _tell_of_end(self, row: ToolCallRecord) -> None:
        if self.started_at is not None:
            finished = ToolFinished(
                run_id=row.run_id,
                agent=row.agent,
                at=row.ended_at,
                tool_call_id=row.tool_call_id,
                tool=row.tool,
                outcome=row.outcome,
                memo_hit=row.memo_hit,
            )
            self.turn.emit(finished)

    def _explain(self, now: float) -> None:
        """Tell the author where a tool broke: the model gets the message, but nobody else would see it."""
        result = None if self.answer is None else self.answer.result
        error = None if result is None or result.outcome != "error" else result.error
        if error is None or isinstance(error, ToolFailed):
            return
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        message = f"tool {self.name!r} raised {type(error).__name__}: {error}{where}"
        turn = self.turn
        turn.emit(Notice(run_id=turn.run_id, agent=turn.agent, at=now, code="tool_error", message=message))

    def result_block(self) -> JsonObject:
        if self.answer is None:
            raise RuntimeError(f"the tool {self.name!r} has no result")
        return self.answer.result.block(str(self.block["id"]))


def _key(block: JsonObject, turn: ToolTurn) -> str:
    return f"{turn.run_id}:{block.get('id')}"


def _tool_call(block: JsonObject, tools: Mapping[str, Tool], turn: ToolTurn) -> _ToolCall:
    """Begin a call. In a durable run its place among the steps and its id are what they were the first time."""
    if turn.steps is None:
        return _ToolCall(block=block, turn=turn, tool_call_id=turn.new_id("tool"))
    name = str(block.get("name"))
    tool = tools.get(name)
    step = turn.steps(name, may_wait=tool is not None and tool.approval is not False)
    tool_call_id = f"tool_{digest(_key(block, turn)).rpartition(':')[2]}"
    return _ToolCall(block=block, turn=turn, tool_call_id=tool_call_id, step=step)


async def _close(calls: Sequence[_ToolCall]) -> None:
    await asyncio.gather(*(call.close() for call in calls))


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
