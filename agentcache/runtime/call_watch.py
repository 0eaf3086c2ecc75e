"""Hears what the client tells of one call: passes it on as events and to the scheduler, keeps broken attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

from agentcache.accounting.usage import CallRecord
from agentcache.runtime.admission import Admission
from agentcache.runtime.events import CallHeld, CallRetried, EventSink, FirstToken, TextDelta, ThinkingDelta
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

    def __init__(self, emit: EventSink, row: CallRecord, *, clock: Callable[[], float], admission: Admission) -> None:
        self._emit, self._row, self._clock, self._admission = emit, row, clock, admission
        self.broken: list[tuple[Reply, str]] = []
        self.reply_began = False

    def whose(self, at: float, call_id: str | None = None) -> Whose:
        """Return the fields that every event of this call has."""
        row = self._row
        return {"run_id": row.run_id, "agent": row.agent, "at": at, "call_id": call_id or row.call_id}

    def admitted(self) -> None:
        """Tell if the call was held back."""
        if self._admission.held_s:
            self._emit(CallHeld(**self.whose(self._clock()), held_s=dict(self._admission.held_s)))

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Pass on what the server says about its limits."""
        self._admission.responded(status, headers)

    def first_token(self, at: float) -> None:
        """Note that the reply began: what the call wrote to the cache can be read from now on."""
        self.reply_began = True
        self._admission.began()
        self._emit(FirstToken(**self.whose(at)))

    def text(self, text: str) -> None:
        """Pass a piece of the answer on."""
        self._emit(TextDelta(**self.whose(self._clock()), text=text))

    def thinking(self, text: str) -> None:
        """Pass a piece of thinking on."""
        self._emit(ThinkingDelta(**self.whose(self._clock()), text=text))

    def retrying(self, attempt: int, wait_s: float, reason: str) -> None:
        """Note that attempt number `attempt` failed and that another follows in `wait_s` seconds."""
        self._admission.failed()
        # Told before it counts as over: a listener that ends the call here leaves what broke off as its last attempt.
        self._emit(CallRetried(**self.whose(self._clock()), attempt=attempt, wait_s=wait_s, reason=reason))
        self.reply_began = False

    async def may_retry(self, attempt: int) -> None:  # the scheduler does not count attempts
        """Wait until another attempt may go out."""
        held_s = dict(self._admission.held_s)
        await self._admission.readmitted()
        if self._admission.held_s != held_s:
            self.admitted()

    def interrupted(self, partial: Reply, error: str) -> None:
        """Keep an attempt whose reply began and broke off."""
        self.broken.append((partial, error))
