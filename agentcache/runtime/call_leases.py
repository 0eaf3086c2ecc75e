"""One execution among processes: who has the lease of a call executes it, the others look until its result is there.

A lease ends by itself and is renewed while its holder works, so one that died is replaced after the length of a lease.
Nobody waits for ever: after `wait_s` a call is executed without the lease, as it is when the leases cannot be reached.
An execution that fails leaves no result, so each process that waited tries once itself, one after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from agentcache.errors import StoreError
from agentcache.runtime.despite_cancellation import despite_cancellation
from agentcache.stores.memo_entries import Leases

T = TypeVar("T")

LEASE_S = 10.0
"""How long a call of a dead process keeps others waiting, in seconds."""

WAIT_S = 300.0
"""How long the result of another process is waited for, unless the tool has a time limit of its own."""

_FIRST_LOOK_S = 0.01
_LONGEST_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn(Generic[T]):
    """Whose turn it is: `found` is the result of another process; without one the call is ours to execute."""

    found: T | None = None


@asynccontextmanager
async def turn_among_processes(
    leases: Leases,
    key: str,
    token: str,
    look: Callable[[], Awaitable[T | None]],
    *,
    failed: Callable[[StoreError], None],
    lease_s: float = LEASE_S,
    wait_s: float = WAIT_S,
) -> AsyncIterator[Turn[T]]:
    """Wait until the call `key` is ours or `look` finds its result; in the block, the lease is held and renewed.

    token: nobody else's. failed: told of leases that cannot be reached; the call then is ours without one.
    """
    try:
        found, held = await _taken(leases, key, token, look, lease_s, wait_s)
    except StoreError as error:
        failed(error)
        found, held = None, False
    except asyncio.CancelledError:
        # It may have been granted, and the answer overtaken; others would wait for its end.
        await despite_cancellation(_release(leases, key, token, failed))
        raise
    if not held:
        yield Turn(found=found)
        return
    renewing = asyncio.create_task(_renew(leases, key, token, lease_s, failed))
    try:
        yield Turn(found=found)
    finally:
        renewing.cancel()
        await despite_cancellation(_release(leases, key, token, failed))


async def _taken(
    leases: Leases, key: str, token: str, look: Callable[[], Awaitable[T | None]], lease_s: float, wait_s: float
) -> tuple[T | None, bool]:
    pause_s, ends_at = _FIRST_LOOK_S, time.monotonic() + wait_s
    while True:
        held = await leases.take(key, token, for_s=lease_s)
        found = await look()  # with the lease in hand too: whoever had it may just have finished
        if held or found is not None or time.monotonic() >= ends_at:
            return found, held
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


async def _renew(leases: Leases, key: str, token: str, lease_s: float, failed: Callable[[StoreError], None]) -> None:
    while True:
        await asyncio.sleep(lease_s / 3)
        try:
            if not await leases.renew(key, token, for_s=lease_s):
                return  # it ended while nobody could renew it; another process may be at it, which costs, and no more
        except StoreError as error:
            failed(error)


async def _release(leases: Leases, key: str, token: str, failed: Callable[[StoreError], None]) -> None:
    try:
        await leases.release(key, token)
    except StoreError as error:
        failed(error)
