"""Human approval: which tool calls wait for a decision, what the decider is asked, and what the answer may be.

A tool declares it: `@tool(approval=True)`, or a rule that looks at the arguments. Whoever decides stands behind
`Approver`, the one door: a callback, a terminal, a queue that outlives the process. Nothing here waits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from agentcache.errors import ToolDeclarationError
from agentcache.prompt.canonical import JsonObject

ApprovalRule: TypeAlias = Callable[..., bool]  # type: ignore[explicit-any]  # its parameters are some of the tool's own
"""Tells whether one call needs approval, given those of the tool's arguments that it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A tool call that waits for a decision.

    run_id, agent, tool: who wants to call what. arguments: as the model wrote them. tool_use_id, idempotency_key: as in
    `ToolCall`; whoever keeps decisions across a restart keeps them by `idempotency_key`.
    """

    run_id: str
    agent: str | None
    tool: str
    arguments: JsonObject
    tool_use_id: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided: `approved` or not. `reason` is told to the model when the call was declined."""

    approved: bool
    reason: str = field(default="", kw_only=True)


class Approver(Protocol):
    """Decides about tool calls, however long that takes; several may be waiting at once."""

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Return the decision on `request`. Asked anew for the same `idempotency_key`, it is the same question."""
        ...


def checked_rule(rule: bool | ApprovalRule, parameters: Collection[str], where: str) -> tuple[str, ...]:
    """Return the names of the arguments that `rule` looks at.

    Raises `ToolDeclarationError` for a rule that is no plain function of some of the tool's `parameters`.
    """
    if isinstance(rule, bool):
        return ()
    if not callable(rule):
        raise ToolDeclarationError(f"{where}: approval is True, False or a function, not a {type(rule).__name__}")
    if inspect.iscoroutinefunction(rule):
        raise ToolDeclarationError(f"{where}: the approval rule is async; write a plain function, the decider may wait")
    for name, parameter in inspect.signature(rule).parameters.items():
        if parameter.kind not in {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}:
            raise ToolDeclarationError(f"{where}: the approval rule takes {name!r} not by its name; name each argument")
        if name not in parameters:
            offered = ", ".join(sorted(parameters)) or "none"
            raise ToolDeclarationError(
                f"{where}: the approval rule looks at {name!r}, which the tool does not take (it takes: {offered})"
            )
    return tuple(inspect.signature(rule).parameters)


def must_be_approved(rule: bool | ApprovalRule, names: Collection[str], arguments: Mapping[str, object]) -> bool:
    """Tell whether a call with these arguments waits for a decision. Raises what the rule raises."""
    if isinstance(rule, bool):
        return rule
    return bool(rule(**{name: arguments[name] for name in names if name in arguments}))
