"""Hears what the client tells of one call: passes it on as events and to the scheduler, keeps broken attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenAttempt:
    """An attempt that the server accepted and whose reply did not end. `partial` is `None` if it never began."""

    partial: Reply | None
    error: str
    at: float
    """When it broke, in Unix seconds."""


class CallWatch:
    """The observer of one call.

    `broken` holds every attempt that was accepted and did not end; `newest_broke` tells whether the newest one did.
    """

    def __init__(self, emit: EventSink, row: CallRecord, *, clock: Callable[[], float], admission: Admission) -> None:
        self._emit, self._row, self._clock, self._admission = emit, row, clock, admission
        self.broken: list[BrokenAttempt] = []
        self.newest_broke = False

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
        told = CallRetried(
            **self.whose(self._clock()),
            attempt=attempt,
            wait_s=wait_s,
            reason=reason,
            may_be_billed=self.newest_broke,
        )
        self._emit(told)
        self.newest_broke = False

    async def may_retry(self, attempt: int) -> None:  # the scheduler does not count attempts
        """Wait until another attempt may go out."""
        held_s = dict(self._admission.held_s)
        await self._admission.readmitted()
        if self._admission.held_s != held_s:
            self.admitted()

    def interrupted(self, partial: Reply | None, error: str) -> None:
        """Keep an attempt that was accepted and broke off."""
        self.newest_broke = True
        self.broken.append(BrokenAttempt(partial=partial, error=error, at=self._clock()))
