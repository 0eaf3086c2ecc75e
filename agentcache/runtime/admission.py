"""What a call and whoever decides when it may go out tell each other; `workflow/scheduler.py` decides.

A call asks for admission before its first request and again before every retry. In between it tells what it hears:
the status and headers of answers, the first event of its reply, that an attempt failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agentcache.accounting.waiting import Awaited
from agentcache.prompt.plans import Breakpoint


class HeldFor(StrEnum):
    """Why a call was held back."""

    PREFIX = "prefix"
    """Another call was writing the prefix that this one can read."""
    CONCURRENCY = "concurrency"
    """As many calls as allowed were under way, of its model or of its run."""
    RATE_LIMIT = "rate_limit"
    """The organisation's limits left no room, or the server had asked for a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallToSend:
    """A call that asks for admission. Token counts are estimates.

    model: its canonical name. marks: the breakpoints that its plan kept. found_digest, found_tokens: the deepest
    prefix of its prompt that an earlier call of this process wrote, if any; it may have expired.
    """

    run_id: str
    model: str
    marks: tuple[Breakpoint, ...]
    prompt_tokens: int
    found_digest: str | None = None
    found_tokens: int = 0


class Admission(Protocol):
    """One admitted call. Until it ends or fails it counts as under way."""

    @property
    def held_s(self) -> Mapping[str, float]:
        """Seconds for which it was held back, by `HeldFor`; empty when it was not."""
        ...

    @property
    def awaited(self) -> Awaited | None:
        """What it was held for and can read; `None` when that was nothing."""
        ...

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Note what the server said about its limits. `status` is what an error inside a stream stands for."""
        ...

    def began(self) -> None:
        """Note the first event of the reply: from here on others can read what this call wrote."""
        ...

    def failed(self) -> None:
        """Note that an attempt failed and that the call pauses: it no longer counts as under way."""
        ...

    async def readmitted(self) -> None:
        """Wait until another attempt may go out."""
        ...

    def answered(self, output_tokens: int) -> None:
        """Note how long the answer was."""
        ...


class Gate(Protocol):
    """Decides when a call may go out."""

    def entered(self, call: CallToSend) -> AbstractAsyncContextManager[Admission]:
        """Wait until `call` may go out; leaving the context ends it."""
        ...
