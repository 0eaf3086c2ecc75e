"""What a store of the ledger and of conversations promises; `tests/stores/test_conformance.py` holds each one to it.

Decides nothing. Every method raises `StoreError` when the database cannot do what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord
from agentcache.errors import StoreError
from agentcache.prompt.canonical import JsonObject, JsonValue


class LedgerWriter(Protocol):
    """Takes rows in.

    A method returns when its row would survive the end of the process. Cancelling the caller does not take the row
    back: it is written all the same. Rows of one ledger are written in the order in which they were handed in.
    """

    async def start_run(self, run: RunRecord) -> None:
        """Add a run. Its parent must be there already; two runs of one id are a `StoreError`."""
        ...

    async def finish_run(self, run_id: str, *, ended_at: float, status: RunStatus, error: str | None = None) -> None:
        """Tell how a run ended. `ended_at` is in Unix seconds; an unknown run is a `StoreError`."""
        ...

    async def add_call(self, call: CallRecord) -> None:
        """Add a call. Its run must be there already; two calls of one id are a `StoreError`."""
        ...

    async def add_tool_call(self, tool_call: ToolCallRecord) -> None:
        """Add a tool call. Its run must be there already; two of one id are a `StoreError`."""
        ...

    async def reopen_run(self, run: RunRecord) -> None:
        """Add a run, or mark the one of its id as running again; when that one began stays."""
        ...

    async def put_call(self, call: CallRecord) -> None:
        """Add a call, or put it in place of the one of its id. Its run must be there already."""
        ...

    async def ensure_tool_call(self, tool_call: ToolCallRecord) -> None:
        """Add a tool call unless one of its id is there. Its run must be there already."""
        ...


class LedgerReader(Protocol):
    """Gives rows back, equal to what was handed in, oldest first (rows of one time by their id).

    `run_id` takes a run and all runs nested in it, at any depth; an unknown run has no rows. `since` is in Unix
    seconds and takes what began then or later. `agent` takes one agent's own rows. `None` takes everything.
    """

    async def runs(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[RunRecord]:
        """Return runs by their start."""
        ...

    async def calls(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[CallRecord]:
        """Return calls by the time they were sent."""
        ...

    async def tool_calls(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[ToolCallRecord]:
        """Return tool calls by their start."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConversation:
    """History by id. `messages` are wire messages whose keys come back in the order in which they were handed in."""

    conversation_id: str
    agent: str
    messages: tuple[JsonObject, ...]
    state: Mapping[str, JsonValue] = field(default_factory=dict)
    """What its next call must repeat to find its cache, as the runtime sees it; the store does not look inside."""
    version: int | None = None
    """How often it was saved. To save with a version is to refuse the save if somebody else saved meanwhile;
    `None` saves whatever is there."""


def conversation_changed(conversation: StoredConversation) -> StoreError:
    """Return the error for a conversation that somebody else saved since it was loaded."""
    return StoreError(
        f"conversation {conversation.conversation_id!r} was saved by somebody else since version "
        f"{conversation.version}; load it again and repeat the run, or run one at a time"
    )


class ConversationStore(Protocol):
    """Keeps the history of conversations."""

    async def load_conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation with the version that it has; `None` if there is none."""
        ...

    async def save_conversation(self, conversation: StoredConversation) -> StoredConversation:
        """Keep the conversation in place of what was there and return it with its new version.

        With `version=0` it must not be there yet, with a higher one it must be as it was loaded; otherwise
        `StoreError`, and nothing is changed. The promise of `LedgerWriter` on cancellation holds.
        """
        ...


class Ledger(LedgerWriter, LedgerReader, ConversationStore, Protocol):
    """One open database with its rows."""

    async def close(self) -> None:
        """Write what is still waiting and let go of the database. Closing twice is harmless, using it then is not."""
        ...
