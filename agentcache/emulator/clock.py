"""The emulator's two clocks: the real one, and one that stands still until somebody advances it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Gives the time in seconds since the epoch, and waits."""

    def now(self) -> float:
        """Return the current time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` later on this clock."""
        ...


class RealClock:
    """Wall time, which never runs backwards."""

    def __init__(self) -> None:
        """Take the wall time once and count on from it."""
        self._offset_s = time.time() - time.monotonic()

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._offset_s + time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for real."""
        await asyncio.sleep(seconds)


class VirtualClock:
    """Stands still; `advance` moves it. Sleepers wake when the clock has reached their time.

    start: Unix seconds, by default a round number in 2027.
    """

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        """Start at `start` seconds since the epoch."""
        self._now = start
        self._advanced = asyncio.Condition()

    def now(self) -> float:
        """Return the time to which the clock was last moved."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody has advanced the clock by `seconds`; 0 only lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake_at = self._now + seconds
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._now >= wake_at)

    async def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds` and wake those whose time has come.

        Raises `ValueError` for a step back.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot go back {-seconds} s")
        async with self._advanced:
            self._now += seconds
            self._advanced.notify_all()
