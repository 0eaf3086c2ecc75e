"""One run of one agent: who it is, what it is asked, what it may use; and how its input becomes content blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, canonical_json
from agentcache.prompt.plain_values import plain_value
from agentcache.runtime.agent import Agent
from agentcache.runtime.events import EventSink, Notice
from agentcache.runtime.fork_point import ForkPoint
from agentcache.runtime.limits import Meter
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.recorded_steps import RecordedSteps

Input: TypeAlias = object
"""What a run is asked: text, a list of content blocks, or any value that pydantic can write as JSON."""

_BLOCKS = frozenset({"text", "image", "document", "search_result", "container_upload"})
"""Content blocks that a user message may bring (SDK 2.12.0, `ContentBlockParam`), tool results apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRun:
    """One run of one agent: who it is, what it is asked, what it may use.

    repeated: whether others send the same prompt, or fork the same history, at about the same time.
    fork_of: a conversation's id, or a point in another run, whose history this run goes on from without changing it.
    steps: where the run is durable.
    outermost: the id of the run that is above all others here; `None` where this one is.
    """

    run_id: str
    agent: Agent[object]
    input: Input
    session: Mapping[str, object]
    turn: Mapping[str, object]
    conversation: str | None
    output: OutputSpec
    meter: Meter
    emit: EventSink
    steps: RecordedSteps | None = None
    outermost: str | None = None
    repeated: bool = False
    fork_of: str | ForkPoint | None = None

    def notice(self, code: str, message: str, *, at: float) -> None:
        """Tell the author something that stops nothing; `at` is Unix seconds."""
        self.emit(Notice(run_id=self.run_id, agent=self.agent.name, at=at, code=code, message=message))


def content_of(value: Input, agent: str) -> list[JsonObject]:
    """Return a run's input as content blocks: text as it is, blocks as they are, anything else as canonical JSON."""
    if isinstance(value, str):
        if not value.strip():
            raise SettingsError(f"agent {agent!r}: the input is empty; the API takes no empty message")
        return [{"type": "text", "text": value}]
    plain = plain_value(value)
    if (
        isinstance(plain, list)
        and plain
        and all(isinstance(item, dict) and item.get("type") in _BLOCKS for item in plain)
    ):
        return [item for item in plain if isinstance(item, dict)]
    return [{"type": "text", "text": canonical_json(plain)}]
