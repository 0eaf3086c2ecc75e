"""Where a running agent can be forked: in the middle of its tool loop, while its tools are being executed.

A fork sends what its parent sent, byte for byte: tools, system prompt, settings, and the messages up to and including
the assistant turn that asked for the tools. Every one of those must have a result, so each gets the same placeholder;
behind them comes the task. Reads the parent's transcript and never changes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.wire import CallSettings
from agentcache.runtime.agent import Agent
from agentcache.runtime.continuing import GoingOn
from agentcache.runtime.conversation import Transcript
from agentcache.runtime.output import OutputSpec

PLACEHOLDER = "(A sub-agent is at work on this.)"
"""The result of every pending call, as a fork sees it: constant, so that forks share it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkPoint:
    """One assistant turn whose tools are being executed, and all that was sent with it.

    pending: ids of its `tool_use` blocks. forked: whether the run is a fork itself.
    """

    agent: Agent[object]
    session: Mapping[str, object]
    output: OutputSpec
    transcript: Transcript
    going: GoingOn
    settings: CallSettings
    pending: tuple[str, ...]
    forked: bool

    def continued(self, task: Sequence[JsonObject]) -> Transcript:
        """Return a copy of the transcript that goes on with `task` (content blocks)."""
        results: list[JsonObject] = [
            {"type": "tool_result", "tool_use_id": tool_use_id, "content": PLACEHOLDER} for tool_use_id in self.pending
        ]
        draft = self.transcript.draft()
        draft.messages.append({"role": "user", "content": [*results, *task]})
        return draft


_current: ContextVar[ForkPoint] = ContextVar("current_fork_point")


def current_fork_point() -> ForkPoint:
    """Return where the agent stands that asked for this tool. Raises `SettingsError` outside of a tool."""
    try:
        return _current.get()
    except LookupError:
        raise SettingsError("there is nothing to fork: only a tool that an agent's run executes can be asked") from None


@contextmanager
def forkable(point: ForkPoint) -> Iterator[None]:
    """Make `point` the current one in the block, and in the tasks and threads that the block starts."""
    token = _current.set(point)
    try:
        yield
    finally:
        _current.reset(token)
