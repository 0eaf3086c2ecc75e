"""Waits for the decision about one tool call: asks the approver, tells of it in events, words a refusal.

A call that needs approval is executed after an explicit yes and never otherwise: a rule that breaks, an approver that
raises and a missing approver all end in a result that says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from agentcache.errors import SettingsError, ToolArgumentsInvalid
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.approval import ApprovalRequest, Approver, Decision
from agentcache.runtime.events import ApprovalDecided, ApprovalRequested, EventSink
from agentcache.runtime.own_thread import in_own_thread
from agentcache.runtime.tool_context import ToolCall
from agentcache.runtime.tool_results import ToolResult, failure, misfit
from agentcache.runtime.tools import Tool

Verdict: TypeAlias = Decision | bool
Approve: TypeAlias = Callable[[ApprovalRequest], Verdict | Awaitable[Verdict]]
"""A function, plain or async, that decides: a bool, or a `Decision` with a reason."""


@dataclass(frozen=True, slots=True)
class CallbackApprover:
    """Asks a function, plain or async. A plain one gets a thread of its own, so that it may wait for hours."""

    approve: Approve

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Return what the function decided. Raises what it raises, and `SettingsError` for what is no decision."""
        asked = partial(self.approve, request)
        is_async = inspect.iscoroutinefunction(self.approve) or inspect.iscoroutinefunction(type(self.approve).__call__)
        answer: object = asked() if is_async else await in_own_thread(asked)
        return checked(await answer if inspect.isawaitable(answer) else answer)


def checked(verdict: object) -> Decision:
    """Return a decision or a bool as the decision that it is. Raises `SettingsError` for anything else."""
    if isinstance(verdict, bool):
        return Decision(verdict)
    if isinstance(verdict, Decision) and isinstance(verdict.approved, bool):
        return verdict
    raise SettingsError(f"the approver returned {verdict!r}; return a Decision, True or False")


async def held_back(
    tool: Tool,
    arguments: JsonObject,
    call: ToolCall,
    *,
    tool_call_id: str,
    approver: Approver | None,
    emit: EventSink,
    clock: Callable[[], float],
) -> ToolResult | None:
    """Return `None` when the call may be executed, else the result that the model gets in its place."""
    try:
        if not tool.needs_approval(arguments):
            return None
    except ToolArgumentsInvalid as error:
        return failure("invalid_arguments", misfit(tool.name, str(error)), error=error)
    except Exception as error:  # noqa: BLE001  # the author's rule broke: nobody knows, so it is not executed
        return failure("error", f"Whether {tool.name} needs approval cannot be told, so it was not run.", error=error)
    if approver is None:
        return failure("declined", f"{tool.name} needs a person's approval and nobody can be asked. It was not run.")

    request = ApprovalRequest(
        run_id=call.run_id,
        agent=call.agent,
        tool=call.tool,
        arguments=deepcopy(arguments),  # these bytes stay in the prompt, whatever the approver does to its copy
        tool_use_id=call.tool_use_id,
        idempotency_key=call.idempotency_key,
    )
    emit(_requested(request, tool_call_id, at=clock()))
    try:
        decision = checked(await approver.decide(request))
    except Exception as error:  # noqa: BLE001  # the model is told, the author hears of it, and nothing is executed
        broken = Decision(False, reason=f"{type(error).__name__}: {error}")
        emit(_decided(request, tool_call_id, broken, at=clock()))
        return failure("error", f"The approval of {tool.name} could not be had, so it was not run.", error=error)
    emit(_decided(request, tool_call_id, decision, at=clock()))
    return None if decision.approved is True else failure("declined", _declined(tool.name, decision.reason))


def _requested(request: ApprovalRequest, tool_call_id: str, *, at: float) -> ApprovalRequested:
    return ApprovalRequested(
        run_id=request.run_id,
        agent=request.agent,
        at=at,
        tool_call_id=tool_call_id,
        tool=request.tool,
        tool_use_id=request.tool_use_id,
        arguments=request.arguments,
    )


def _decided(request: ApprovalRequest, tool_call_id: str, decision: Decision, *, at: float) -> ApprovalDecided:
    return ApprovalDecided(
        run_id=request.run_id,
        agent=request.agent,
        at=at,
        tool_call_id=tool_call_id,
        tool=request.tool,
        tool_use_id=request.tool_use_id,
        approved=decision.approved,
        reason=decision.reason,
    )


def _declined(tool: str, reason: str) -> str:
    said = reason.strip()
    because = f" Reason: {said if said.endswith(('.', '!', '?')) else f'{said}.'}" if said else ""
    return f"A person declined this call of {tool}, and it was not run.{because} Do not repeat the call unchanged."
