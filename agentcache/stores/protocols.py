"""What a store of the ledger and of conversations promises; `tests/stores/test_conformance.py` holds each one to it.

Decides nothing. Every method raises `StoreError` when the database cannot do what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from agentcache.accounting.billed_calls import SentCall
from agentcache.accounting.call_gaps import GapCount
from agentcache.accounting.rollup import Rollup
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.tool_summary import ToolResult
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord
from agentcache.errors import StaleVersion, StoreError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.message_chain import MessageChain
from agentcache.prompt.provenance import Provenance

LedgerRow: TypeAlias = RunRecord | CallRecord | ToolCallRecord

PROVENANCE_NOTED_S = 3600.0
"""For how long a process that sends a section need not say again that it is in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedRuns:
    """How many rows went: runs, nested ones included, with their calls and tool calls."""

    runs: int
    calls: int
    tool_calls: int


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

    async def reprice_calls(self, calls: Sequence[CallRecord]) -> int:
        """Write `cost_usd` and `counterfactual_usd` of these calls into their rows, all of them or none.

        Returns how many rows that changed: those are left alone that are gone, or bill something else by now.
        """
        ...

    async def prune_runs(self, *, before: float, dry_run: bool = False) -> PrunedRuns:
        """Remove every top-level run that ended before (Unix seconds), with all that is nested in it and its rows.

        A run stays as long as it, or one below it, has not ended or ended later. With `dry_run` nothing is removed,
        and what would be is returned.
        """
        ...

    async def keep_provenance(self, sections: Sequence[Provenance], *, used_at: float) -> None:
        """Keep what sections are made of, each once, and note when they were sent (Unix seconds).

        Sections that no call has since then named can go with pruned runs: whoever sends one again for longer than
        `PROVENANCE_NOTED_S` says so again.
        """
        ...

    async def seal(self, *, now: float) -> bool:
        """Keep the sums of what is old enough at `now` (Unix seconds), so that `rollup` need not read it again.

        Returns whether that is done; false where the ledger may be read only. Sums are dropped by themselves when a
        row that they are made of changes, or comes late.
        """
        ...

    async def compact(self) -> None:
        """Give the room of removed rows back, where the database does not do so by itself."""
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
        self,
        *,
        run_id: str | None = None,
        since: float | None = None,
        agent: str | None = None,
        text: bool = True,
        newest: int | None = None,
    ) -> list[CallRecord]:
        """Return calls by the time they were sent; without `text`, `request` and `response` are `None`, and unread.

        newest: so many of them at most, the last ones.
        """
        ...

    async def tool_calls(
        self, *, run_id: str | None = None, since: float | None = None, agent: str | None = None
    ) -> list[ToolCallRecord]:
        """Return tool calls by their start."""
        ...

    async def provenance(self, digests: Collection[str]) -> dict[str, Provenance]:
        """Return what sections are made of, by digest; those that are not kept are left out."""
        ...

    async def calls_to_explain(
        self, *, run_id: str | None = None, call_id: str | None = None, before_s: float
    ) -> list[CallRecord]:
        """Return calls of a run with its nested ones, or one call, and those that may tell why they missed.

        The latter are all calls of the same models from `before_s` seconds before the first of them to the last; and
        of each conversation, and each agent on each model, the last one before that which is known to be billed.
        By the time they were sent, without text. Empty for a run without calls, and for a call that is not there.
        """
        ...

    async def requests(self, call_ids: Collection[str]) -> dict[str, JsonObject]:
        """Return the requests of calls, by their id; those whose text was not kept are left out."""
        ...

    async def rollup(self, *, only: Selection = EVERYTHING, by_run: bool = False) -> Rollup:
        """Return the sums of the rows that count, which `summary_of` makes a summary of, for `by="run"` if `by_run`.

        They are what `rollup_of` makes of all rows: rows that do not count tell which tokens were read. Where the
        ledger has kept sums (`seal`), they are read instead of their rows.
        """
        ...

    async def sent_calls(self, *, since: float | None = None, until: float | None = None) -> list[SentCall]:
        """Return the calls that were sent from `since` on and before `until`, without what pauses do not depend on."""
        ...

    async def sent_span(self, *, only: Selection = EVERYTHING) -> tuple[float, float] | None:
        """Return when the first and the last of the calls that count were sent (Unix seconds); `None` without any."""
        ...

    async def pauses(self, *, only: Selection = EVERYTHING) -> tuple[GapCount, ...]:
        """Return what `gap_histogram` tells of the calls that count."""
        ...

    async def tool_results(self, *, only: Selection = EVERYTHING) -> list[ToolResult]:
        """Return the tool calls that count, in any order, without what no sum depends on."""
        ...

    async def visit(
        self, take: Callable[[LedgerRow], None], *, run_id: str | None = None, since: float | None = None
    ) -> None:
        """Hand every row to `take`, one after the other: all runs, then calls, then tool calls, each in their order.

        All are from one state of the ledger, and a few are in memory at a time. `take` may be called in another
        thread; what it raises ends the visit and is raised here, except that an `OSError` becomes a `StoreError`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConversation:
    """History by id. `messages` are wire messages whose keys come back in the order in which they were handed in.

    Raises `StoreError` for messages that JSON cannot express.
    """

    conversation_id: str
    agent: str
    messages: Sequence[JsonObject]
    """Always a `MessageChain`, made of whatever sequence is given; one that has grown is digested at its end only."""
    state: Mapping[str, JsonValue] = field(default_factory=dict)
    """What its next call must repeat to find its cache, as the runtime sees it; the store does not look inside."""
    version: int | None = None
    """How often it was saved. To save with a version is to refuse the save if somebody else saved meanwhile;
    `None` saves whatever is there."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "messages", MessageChain.of(self.messages))
        except (TypeError, ValueError) as error:
            raise StoreError(
                f"conversation {self.conversation_id!r} holds what JSON cannot express: {error}"
            ) from error

    @property
    def chain(self) -> MessageChain:
        """The messages with their digests."""
        return MessageChain.of(self.messages)

    @property
    def head(self) -> str:
        """The digest of the whole history."""
        return self.chain.head


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRecord:
    """What a list of conversations says of each.

    conversation_id: its name; agent: who had it last; version: how often it was saved, from 1. `messages` counts them,
    `head` is the digest of the whole history.
    """

    conversation_id: str
    agent: str
    version: int
    messages: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierHistory:
    """A history that a conversation had before it was rewritten: up to `version`, with so many `messages`."""

    version: int
    messages: int
    head: str


def stale_version(conversation: StoredConversation) -> StaleVersion:
    """Return the error for a conversation that somebody else saved since it was loaded."""
    return StaleVersion(
        f"conversation {conversation.conversation_id!r} was saved by somebody else since version "
        f"{conversation.version}; load it again and repeat the run, or run one at a time"
    )


class ConversationStore(Protocol):
    """Keeps the history of conversations, append-only.

    Messages are nodes under their chained digests: what several histories share is kept once, a save adds the nodes
    that are new, and no node is ever changed. A conversation points to its last node. One that is saved with another
    beginning leaves its earlier history readable. What nothing points to any more, `prune_messages` removes.
    """

    async def load_conversation(self, conversation_id: str, *, head: str | None = None) -> StoredConversation | None:
        """Return a conversation with the version that it has; `None` if there is none.

        head: the digest of any history that is kept; the conversation then comes with those messages, and without
        state, which belongs to its own last history. `None` too if there is no such history.
        """
        ...

    async def save_conversation(self, conversation: StoredConversation) -> StoredConversation:
        """Keep the conversation in place of what was there and return it with its new version.

        With `version=0` it must not be there yet, with a higher one it must be as it was loaded; otherwise
        `StaleVersion`, and nothing is changed. A save of the very history that is there already succeeds whatever its
        version, so that it can be repeated: it returns the version that is there. The promise of `LedgerWriter` on
        cancellation holds.
        """
        ...

    async def conversations(self, *, conversation_id: str | None = None) -> list[ConversationRecord]:
        """Return all conversations by their id, or the one of this id, without their messages."""
        ...

    async def earlier_histories(self, conversation_id: str) -> list[EarlierHistory]:
        """Return the histories that the conversation had before it was rewritten, oldest first."""
        ...

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation and return whether it was there. Its messages stay until they are pruned."""
        ...

    async def prune_messages(self, *, earlier: bool = False) -> int:
        """Remove messages that no conversation needs and return how many; with `earlier`, earlier histories too."""
        ...


class Ledger(LedgerWriter, LedgerReader, ConversationStore, Protocol):
    """One open database with its rows."""

    async def close(self) -> None:
        """Write what is still waiting and let go of the database. Closing twice is harmless, using it then is not."""
        ...
