"""Which queues no worker seems to serve, as far as the process that waits for their items can tell. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

UNSERVED_S = 5.0
"""Seconds in which a worker should have taken an item; those that live look every `Durable.poll_s`."""


@dataclass(slots=True, kw_only=True)
class UnservedQueues:
    """Knows since when nothing happened to items that wait. `after_s`: how long that may last before it is told."""

    after_s: float = UNSERVED_S
    _quiet_since: dict[str, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def looked(self, waiting: Collection[str], taken: Collection[str], *, now: float) -> frozenset[str]:
        """Return the queues to tell of now, each once until somebody serves it or nothing waits there any more.

        waiting: queues on which items wait. taken: those of which an item is performed, or ended since the last look.
        now: seconds of any clock.
        """
        quiet = set(waiting) - set(taken)
        self._quiet_since = {queue: self._quiet_since.get(queue, now) for queue in quiet}
        self._told &= quiet
        found = {queue for queue in quiet - self._told if now - self._quiet_since[queue] >= self.after_s}
        self._told |= found
        return frozenset(found)
