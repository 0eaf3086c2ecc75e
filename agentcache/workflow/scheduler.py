"""Warm a shared prefix once, then release the rest.

A cache entry can be read only after the first token of the reply whose request wrote it (spec section 6), so calls
that would write the same prefix at the same time all pay for it. The gate lets the first of them through and holds
the others until its reply begins; then they read what it wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agentcache.prompt.model_facts import TTL_SECONDS
from agentcache.prompt.plans import Breakpoint

_Key = tuple[str, str]

_REMEMBERED = 100_000
"""Prefixes to keep in mind; the longest unused are forgotten first, which costs a needless wait and nothing else."""


@dataclass(slots=True, kw_only=True)
class WarmOnceGate:
    """Holds back calls whose prefix another call is writing right now. One gate serves one runtime.

    `clock` gives seconds; an entry lives for its lifetime from the start of the request that wrote or read it.
    """

    clock: Callable[[], float]
    _writing: dict[_Key, asyncio.Event] = field(default_factory=dict)
    _warm_until: dict[_Key, float] = field(default_factory=dict)

    @asynccontextmanager
    async def entered(self, model: str, marks: Sequence[Breakpoint]) -> AsyncIterator[Callable[[], None]]:
        """Wait while another call writes one of these prefixes; the value is to be called at the first token.

        A call that ends without a first token (refused, cancelled) opens the gate too, and the next in line writes.
        """
        lifetimes = {(model, mark.prefix_digest): TTL_SECONDS[mark.ttl] for mark in marks}
        while (ahead := self._ahead(lifetimes)) is not None:
            await ahead.wait()
        began = self.clock()
        mine = asyncio.Event()
        cold = [key for key in lifetimes if self._warm_until.get(key, began) <= began]
        self._writing.update(dict.fromkeys(cold, mine))

        def readable() -> None:
            for key, lifetime_s in lifetimes.items():
                self._remember(key, began + lifetime_s)
            self._open(mine, cold)

        try:
            yield readable
        finally:
            self._open(mine, cold)

    def _ahead(self, keys: dict[_Key, int]) -> asyncio.Event | None:
        return next((self._writing[key] for key in keys if key in self._writing), None)

    def _remember(self, key: _Key, until: float) -> None:
        self._warm_until.pop(key, None)
        self._warm_until[key] = until
        while len(self._warm_until) > _REMEMBERED:
            del self._warm_until[next(iter(self._warm_until))]

    def _open(self, mine: asyncio.Event, keys: list[_Key]) -> None:
        for key in keys:
            if self._writing.get(key) is mine:
                del self._writing[key]
        mine.set()
