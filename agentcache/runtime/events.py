"""What a run tells while it happens: one frozen value per event.

Events describe, they never steer: a sink that is slow or absent changes nothing about the run. Every event
carries the run it belongs to, the agent (`None` for a workflow) and `at`, Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from agentcache.accounting.usage import CallRecord, RunStatus
from agentcache.prompt.canonical import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """What every event knows."""

    run_id: str
    agent: str | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RunEvent):
    """An agent or a workflow began. `parent_run_id` is `None` at the top."""

    name: str
    parent_run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(RunEvent):
    """The scheduler held a call back and lets it go now; `held_s` has the seconds so far, by reason."""

    call_id: str
    held_s: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(RunEvent):
    """A request was handed to the client. `turn` counts from 1 within the run."""

    call_id: str
    model: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstToken(RunEvent):
    """The reply began: from here on other calls can read what this call wrote to the cache."""

    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(RunEvent):
    """A piece of the answer. After `CallRetried` for the same call, pieces seen before are void."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta(RunEvent):
    """A piece of the model's thinking, as far as the API shows it."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRetried(RunEvent):
    """An attempt failed and another follows after `wait_s` seconds; `may_be_billed` if the server had accepted it."""

    call_id: str
    attempt: int
    wait_s: float
    reason: str
    may_be_billed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(RunEvent):
    """A call ended, well or badly; `record` is the ledger's row."""

    call_id: str
    record: CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(RunEvent):
    """A tool is about to run."""

    tool_call_id: str
    tool: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(RunEvent):
    """A tool ended; `outcome` as in `ToolCallRecord`."""

    tool_call_id: str
    tool: str
    outcome: str
    memo_hit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(RunEvent):
    """A tool call waits for a decision; its `ToolStarted` comes after a yes, and never after a no."""

    tool_call_id: str
    tool: str
    tool_use_id: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecided(RunEvent):
    """The decision about a tool call; `reason` is what the decider said, or what kept a decision from being had."""

    tool_call_id: str
    tool: str
    tool_use_id: str
    approved: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(RunEvent):
    """Something that the author should know and that stopped nothing, e.g. an unpriced model."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(RunEvent):
    """A run ended. `output` is its result when it finished, `error` one sentence when it did not."""

    name: str
    status: RunStatus
    error: str | None = None
    output: object = None


Event: TypeAlias = (
    RunStarted
    | CallHeld
    | CallStarted
    | FirstToken
    | TextDelta
    | ThinkingDelta
    | CallRetried
    | CallFinished
    | ToolStarted
    | ToolFinished
    | ApprovalRequested
    | ApprovalDecided
    | Notice
    | RunFinished
)
EventSink: TypeAlias = Callable[[Event], None]


def discard(_event: Event) -> None:
    """Take an event and do nothing: the sink of whoever does not listen."""
