"""Which tool call is being executed: a tool's function may ask for it, in whatever thread it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from agentcache.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One execution of a tool, as the model asked for it.

    run_id, agent: who asked; tool: the name that was asked for.
    tool_use_id: the API's id of the `tool_use` block. idempotency_key: the same whenever this very call is executed
    again, and no other call's: hand it to whatever must not act twice.
    """

    run_id: str
    agent: str | None
    tool: str
    tool_use_id: str
    idempotency_key: str


_current: ContextVar[ToolCall] = ContextVar("current_tool_call")


def current_tool_call() -> ToolCall:
    """Return the call that is being executed. Raises `SettingsError` outside of a tool that a run executes."""
    try:
        return _current.get()
    except LookupError:
        raise SettingsError(
            "there is no current tool call: only a tool's function that a run executes can ask for it"
        ) from None


def tool_call_around() -> ToolCall | None:
    """Return the call that is being executed; `None` outside of a tool."""
    return _current.get(None)


@contextmanager
def executing(call: ToolCall) -> Iterator[None]:
    """Make `call` the current one in the block, and in the tasks and threads that the block starts."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)
