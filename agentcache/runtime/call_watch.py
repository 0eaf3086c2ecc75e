"""Hears what the client tells of one call: passes it on as events, and keeps the attempts that broke off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from agentcache.accounting.usage import CallRecord
from agentcache.runtime.events import CallRetried, EventSink, FirstToken, TextDelta, ThinkingDelta
from agentcache.runtime.replies import Reply


class Whose(TypedDict):
    """The fields that every event of a call has."""

    run_id: str
    agent: str | None
    at: float
    call_id: str


class CallWatch:
    """The observer of one call.

    `broken` holds every attempt whose reply began and did not end, with the reason; `reply_began` tells whether the
    newest attempt is one that began.
    """

    def __init__(
        self, emit: EventSink, row: CallRecord, *, clock: Callable[[], float], on_first_token: Callable[[], None]
    ) -> None:
        self._emit, self._row, self._clock, self._on_first_token = emit, row, clock, on_first_token
        self.broken: list[tuple[Reply, str]] = []
        self.reply_began = False

    def whose(self, at: float, call_id: str | None = None) -> Whose:
        """Return the fields that every event of this call has."""
        row = self._row
        return {"run_id": row.run_id, "agent": row.agent, "at": at, "call_id": call_id or row.call_id}

    def first_token(self, at: float) -> None:
        """Note that the reply began: what the call wrote to the cache can be read from now on."""
        self.reply_began = True
        self._on_first_token()
        self._emit(FirstToken(**self.whose(at)))

    def text(self, text: str) -> None:
        """Pass a piece of the answer on."""
        self._emit(TextDelta(**self.whose(self._clock()), text=text))

    def thinking(self, text: str) -> None:
        """Pass a piece of thinking on."""
        self._emit(ThinkingDelta(**self.whose(self._clock()), text=text))

    def retrying(self, attempt: int, wait_s: float, reason: str) -> None:
        """Note that attempt number `attempt` failed and that another follows in `wait_s` seconds."""
        # Told first: a listener that ends the call here leaves the attempt that broke off as its last.
        self._emit(CallRetried(**self.whose(self._clock()), attempt=attempt, wait_s=wait_s, reason=reason))
        self.reply_began = False

    def interrupted(self, partial: Reply, error: str) -> None:
        """Keep an attempt whose reply began and broke off."""
        self.broken.append((partial, error))
