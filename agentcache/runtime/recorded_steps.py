"""What of an agent's run is kept so that the run can be gone through again, in another process if need be.

A run is a sequence of steps, each a model call or a tool call. Where a run is durable, a step's result is written down
before the run goes on; when the run is gone through again, a step that has a result is not performed: its result is
read. Here is what the result of each kind of step consists of. Who writes it down is a matter of `workflow/durable.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol, cast

from pydantic import TypeAdapter

from agentcache.accounting.record_json import call_from_json, call_to_json
from agentcache.accounting.usage import CallRecord
from agentcache.errors import CallError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.approval import ApprovalRequest, Approver, Decision
from agentcache.runtime.calls import Answer, CallContext, Caller
from agentcache.runtime.despite_cancellation import row_kept
from agentcache.runtime.limits import Meter
from agentcache.runtime.memo import Remembered, Source
from agentcache.runtime.nested_runs import NestedRuns
from agentcache.runtime.recorded_errors import error_from_json, error_to_json
from agentcache.runtime.replies import Reply, json_object, reply_of
from agentcache.runtime.requests import PreparedCall
from agentcache.runtime.tool_results import Outcome, ToolResult
from agentcache.stores.protocols import Ledger


class RecordedStep(Protocol):
    """One step of a durable run, which may have been gone through before."""

    @property
    def recorded(self) -> bool:
        """Whether the result is there already."""
        ...

    @property
    def begun_before(self) -> bool:
        """Whether an earlier going-through may have begun it: its result is there, or that one ended here."""
        ...

    async def run(self, produce: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Return the recorded result, or what `produce` gives, written down before this returns.

        What `produce` raises is raised and nothing is written down.
        """
        ...


class RecordedSteps(Protocol):
    """The steps of one durable run, in the order in which they begin."""

    def next(self, name: str) -> RecordedStep:
        """Return the step that begins now. `name` must be the same when the run is gone through again."""
        ...


async def recorded_call(step: RecordedStep, caller: Caller, prepared: PreparedCall, context: CallContext) -> Answer:
    """Send a call as a step, or take its recorded answer; either way its rows are charged and in the ledger.

    Raises the `CallError` that the call ended with, the first time and every time after.
    """
    failure: CallError | None = None
    rows: list[CallRecord] = []

    async def produce() -> JsonValue:
        nonlocal failure

        def charge(row: CallRecord) -> None:
            rows.append(row)
            context.charge(row)

        answer: Answer | None = None
        try:
            answer = await caller.call(prepared, replace(context, charge=charge, announce=True))
        except CallError as error:
            failure = error
        return _call_json(answer, rows, failure)

    try:
        kept = json_object(await step.run(produce), "a recorded call")
        if step.recorded:
            rows = [call_from_json(row) for row in cast("list[JsonValue]", kept["rows"])]
            for row in rows:
                context.charge(row)  # the meter that it was charged to died with its process
    finally:
        # After the answer, and again when it comes from the record: what dies first must not be what was paid for.
        for row in rows:
            await row_kept(caller.ledger.put_call(row))
    if failure is not None:
        raise failure
    if kept["error"] is not None:
        raise error_from_json(kept["error"])
    return Answer(call_id=str(kept["call_id"]), reply=_reply_of(json_object(kept["reply"], "a recorded reply")))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedApprover:
    """Asks the approver once: a decision that was made is written down before the tool begins."""

    step: RecordedStep
    approver: Approver

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Return the decision, from the record if there is one. Raises what the approver raises."""

        async def produce() -> JsonValue:
            decision = await self.approver.decide(request)
            return {"approved": decision.approved, "reason": decision.reason}

        kept = json_object(await self.step.run(produce), "a recorded decision")
        return Decision(kept["approved"] is True, reason=str(kept["reason"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedToolCall:
    """A tool call as a step; `nested` are the runs that the tool begins, `approval` is the step of its decision."""

    step: RecordedStep
    nested: NestedRuns
    approval: RecordedStep | None = None

    def asking(self, approver: Approver | None) -> Approver | None:
        """Return what asks `approver` and remembers the decision."""
        if approver is None or self.approval is None:
            return approver
        return RecordedApprover(step=self.approval, approver=approver)

    async def answer(self, run: Callable[[], Awaitable[Remembered]]) -> Remembered:
        """Run the tool, or take its recorded result; what it began is charged either way."""
        fresh: Remembered | None = None

        async def produce() -> JsonValue:
            nonlocal fresh
            with self.nested.noted() as runs:
                fresh = await run()
            return {**_remembered_json(fresh), "runs": runs}

        kept = json_object(await self.step.run(produce), "a recorded tool call")
        if fresh is not None:
            return fresh
        await self.nested.charge_again(kept["runs"])
        return _remembered_of(kept)


class ToolSteps(Protocol):
    """Makes tool calls steps of a durable run."""

    def __call__(self, tool: str, *, may_wait: bool) -> RecordedToolCall:
        """Return the call of a tool that begins now; `may_wait`: for an approval, which then is a step ahead of it."""
        ...


def tool_steps(steps: RecordedSteps, ledger: Ledger, meter: Meter) -> ToolSteps:
    """Return what makes calls of tools the next of `steps`."""

    def begun(tool: str, *, may_wait: bool) -> RecordedToolCall:
        approval = steps.next(f"approval of {tool}") if may_wait else None
        nested = NestedRuns(ledger=ledger, meter=meter)
        return RecordedToolCall(step=steps.next(f"tool {tool}"), nested=nested, approval=approval)

    return begun


@dataclass(frozen=True, slots=True)
class _Kept:
    """The parts of a reply beside the message itself."""

    request_id: str | None
    attempts: int
    sent_at: float
    first_token_at: float | None
    ended_at: float


_KEPT: TypeAdapter[_Kept] = TypeAdapter(_Kept)


def _call_json(answer: Answer | None, rows: list[CallRecord], failure: CallError | None) -> JsonObject:
    return {
        "call_id": None if answer is None else answer.call_id,
        "reply": None if answer is None else _reply_json(answer.reply),
        "rows": [call_to_json(row) for row in rows],
        "error": None if failure is None else error_to_json(failure),
    }


def _reply_json(reply: Reply) -> JsonObject:
    kept = _Kept(reply.request_id, reply.attempts, reply.sent_at, reply.first_token_at, reply.ended_at)
    return {"message": reply.raw, **_KEPT.dump_python(kept, mode="json")}


def _reply_of(told: JsonObject) -> Reply:
    kept = _KEPT.validate_python({name: value for name, value in told.items() if name != "message"})
    return reply_of(
        json_object(told["message"], "a recorded message"),
        request_id=kept.request_id,
        attempts=kept.attempts,
        sent_at=kept.sent_at,
        first_token_at=kept.first_token_at,
        ended_at=kept.ended_at,
    )


def _remembered_json(answer: Remembered) -> JsonObject:
    content = answer.result.content
    return {
        "content": content if isinstance(content, str) else list(content),
        "outcome": answer.result.outcome,
        "source": answer.source,
        "saved_s": answer.saved_s,
    }


def _remembered_of(kept: JsonObject) -> Remembered:
    content, outcome = cast("str | list[JsonObject]", kept["content"]), cast("Outcome", kept["outcome"])
    # A step from before sources were kept says only whether the result came from the memo, which was in memory then.
    source = kept.get("source", "memory" if kept.get("hit") else "executed")
    return Remembered(
        result=ToolResult(content=content, outcome=outcome),
        source=cast("Source", source),
        saved_s=cast("float", kept.get("saved_s", 0.0)),
    )
