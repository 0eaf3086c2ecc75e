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
    """What every event knows: `run_id`, the `agent` (`None` for a workflow), and `at`, in Unix seconds."""

    run_id: str
    agent: str | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RunEvent):
    """The agent or workflow `name` began. `parent_run_id` is `None` at the top."""

    name: str
    parent_run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(RunEvent):
    """The scheduler held the call `call_id` back and lets it go now; `held_s` has the seconds so far, by reason."""

    call_id: str
    held_s: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(RunEvent):
    """The request of `call_id` was handed to the client, for `model`. `turn` counts from 1 within the run."""

    call_id: str
    model: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstToken(RunEvent):
    """The reply to `call_id` began: from here on other calls can read what this call wrote to the cache."""

    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(RunEvent):
    """A piece of the answer, `text`. After `CallRetried` for the same `call_id`, pieces seen before are void."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta(RunEvent):
    """A piece of the model's thinking, `text`, as far as the API shows it; `call_id` as for `TextDelta`."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRetried(RunEvent):
    """The attempt of this number at `call_id` failed for `reason`, and another follows after `wait_s` seconds.

    attempt: from 1. may_be_billed: whether the server had accepted the one that failed.
    """

    call_id: str
    attempt: int
    wait_s: float
    reason: str
    may_be_billed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(RunEvent):
    """The call `call_id` ended, well or badly; `record` is the ledger's row."""

    call_id: str
    record: CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(RunEvent):
    """A tool is about to run.

    tool_call_id: the row's in the ledger; arguments: as the model wrote them.
    """

    tool_call_id: str
    tool: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(RunEvent):
    """A tool ended; `tool_call_id` and `outcome` as in `ToolCallRecord`; memo_hit: whether a kept result answered."""

    tool_call_id: str
    tool: str
    outcome: str
    memo_hit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(RunEvent):
    """A tool call waits for a decision; its `ToolStarted` comes after a yes, and never after a no.

    tool_call_id: the row's in the ledger; tool_use_id: the API's; arguments: as the model wrote them.
    """

    tool_call_id: str
    tool: str
    tool_use_id: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecided(RunEvent):
    """The decision about a tool call: `approved` or not; `tool_call_id`, `tool_use_id` as asked.

    `reason` is what the decider said, or what kept a decision from being had.
    """

    tool_call_id: str
    tool: str
    tool_use_id: str
    approved: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(RunEvent):
    """Something that the author should know and that stopped nothing, e.g. an unpriced model.

    code: one of those in docs/events.md, to tell kinds apart by; message: a sentence for people.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(RunEvent):
    """The run of the agent or workflow `name` ended.

    status: `finished`, `failed` or `cancelled`; output: its result when it finished; error: one sentence when not.
    """

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
"""Any of the events."""

EventSink: TypeAlias = Callable[[Event], None]
"""What is called with each event, in the event loop; what it raises ends the run that it was told of."""


def discard(_event: Event) -> None:
    """Take an event and do nothing: the sink of whoever does not listen."""
