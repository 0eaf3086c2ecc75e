"""Which tool call a tool's function is running for.

A tool with side effects gets here what makes it safe to be called twice: an idempotency key that is the same whenever
the same call is made again, as it is after a process died in the middle of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from agentcache.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool. `idempotency_key` names it for ever: equal for a repetition, different for any other call."""

    run_id: str
    agent: str | None
    tool: str
    tool_use_id: str
    idempotency_key: str


_CURRENT: ContextVar[ToolCall | None] = ContextVar("agentcache_tool_call", default=None)


def current_tool_call() -> ToolCall:
    """Return the call that the running tool was called for; raises `SettingsError` outside a tool."""
    call = tool_call_around()
    if call is None:
        raise SettingsError("current_tool_call() is for code that runs inside a tool; nothing called one here")
    return call


def tool_call_around() -> ToolCall | None:
    """Return the call that the running tool was called for; `None` outside a tool."""
    return _CURRENT.get()


@contextmanager
def calling(call: ToolCall) -> Iterator[None]:
    """Make `call` the current one."""
    token = _CURRENT.set(call)
    try:
        yield
    finally:
        _CURRENT.reset(token)
