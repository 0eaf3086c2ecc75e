"""What the scheduler knows of each call, of each model's queue, and of the prefixes that are being written."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from agentcache.accounting.waiting import Awaited
from agentcache.runtime.admission import CallToSend, HeldFor
from agentcache.workflow.fair_queue import FairQueue
from agentcache.workflow.rate_limits import LearnedLimits, Need
from agentcache.workflow.scheduling import FirstTokenTime
from agentcache.workflow.warm_prefixes import Key

FIRST_TOKENS_KEPT = 200
"""First-token times of a model that its deadline is learned from, the newest ones."""

NO_NEED = Need(input_tokens=0, output_tokens=0)


@dataclass(slots=True, eq=False)
class Ticket:
    """One call on its way through the scheduler. Times are Unix seconds."""

    call: CallToSend
    run: str
    """The top-level run that it belongs to."""
    lane: Lane
    need: Need = NO_NEED
    uncounted: bool = False
    """Whether the limits still hold an estimate of its request and prompt."""
    under_way: bool = False
    sent_at: float = 0.0
    heard_at: float = 0.0
    began: bool = False
    lead: Lead | None = None
    following: Lead | None = None
    overdue_leaders: int = 0
    since: float = 0.0
    """When it began to wait where it waits now."""
    paused_before_s: float = 0.0
    """How long its queue had been pausing when it joined it."""
    held_s: dict[str, float] = field(default_factory=dict)
    awaited: Awaited | None = None
    admitted: asyncio.Future[None] | None = None

    def held(self, reason: HeldFor, seconds: float) -> None:
        """Count seconds that it was held back."""
        if seconds > 0:
            self.held_s[reason.value] = self.held_s.get(reason.value, 0.0) + seconds

    def left_queue(self, since: float, now: float) -> None:
        """Say why it stood in its queue `since` then: while that paused, for rate limits, else for concurrency."""
        paused_s = self.lane.paused_until_now_s(now) - self.paused_before_s
        self.held(HeldFor.RATE_LIMIT, paused_s)
        self.held(HeldFor.CONCURRENCY, now - since - paused_s)


@dataclass(slots=True, eq=False)
class Lead:
    """The prefixes that a call is the first to write, and the calls that wait until they can be read."""

    leader: Ticket
    keys: list[Key]
    followers: OrderedDict[Ticket, None] = field(default_factory=OrderedDict)
    timer: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """The calls of one model."""

    room: int | None
    """How many may be under way; `None` is no bound."""
    queue: FairQueue[Ticket] = field(default_factory=FairQueue)
    under_way: int = 0
    limits: LearnedLimits = field(default_factory=LearnedLimits)
    first_tokens: deque[FirstTokenTime] = field(default_factory=lambda: deque(maxlen=FIRST_TOKENS_KEPT))
    paused_since: float | None = None
    paused_s: float = 0.0
    """How long the rate limits have held this queue, up to the start of the present pause."""
    due: float = 0.0
    """When the present pause should be over, by what is known now."""
    timer: asyncio.Task[None] | None = None
    timer_due: float = 0.0

    @property
    def has_room(self) -> bool:
        """Whether one more call may be under way."""
        return self.room is None or self.under_way < self.room

    def paused_until_now_s(self, now: float) -> float:
        """Return how long the rate limits have held this queue in all."""
        return self.paused_s + (0.0 if self.paused_since is None else now - self.paused_since)

    def resume(self, now: float) -> None:
        """End the present pause, if there is one."""
        self.paused_s, self.paused_since = self.paused_until_now_s(now), None
