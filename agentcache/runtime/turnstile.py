"""Lets many tasks that wake up together through one at a time, so that the event loop gets to breathe in between.

A thousand agents that begin at once, or whose prefix becomes readable at once, would otherwise do a thousand pieces of
work of a millisecond each before anything else on the loop has its turn.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Turnstile:
    """One serves one kind of work on one event loop. First come, first served."""

    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def passed(self) -> None:
        """Wait for one's turn: the caller then has a round of the event loop to itself, as far as this work goes."""
        async with self._lock:
            await asyncio.sleep(0)
