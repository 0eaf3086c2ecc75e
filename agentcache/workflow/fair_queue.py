"""Who is next: runs take turns, and within a run the oldest call goes first.

Pure. Every step takes constant time however many calls or runs wait, so that a thousand waiting calls cost no more
per call than one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT", bound=Hashable)


class FairQueue(Generic[ItemT]):
    """Items that wait, each belonging to a run. A blocked run keeps its items and gets no turn."""

    def __init__(self) -> None:
        """Begin empty."""
        self._items: dict[str, OrderedDict[ItemT, None]] = {}
        self._turns: OrderedDict[str, None] = OrderedDict()
        self._blocked: set[str] = set()

    def __bool__(self) -> bool:
        """Tell whether anything waits, blocked or not."""
        return bool(self._items)

    def add(self, item: ItemT, run: str, *, first: bool = False) -> None:
        """Let `item` wait, behind those of its run or `first` of them; a run that is new gets the last turn."""
        own = self._items.get(run)
        if own is None:
            own = self._items[run] = OrderedDict()
            if run not in self._blocked:
                self._turns[run] = None
        own[item] = None
        if first:
            own.move_to_end(item, last=False)

    def put_back(self, item: ItemT, run: str) -> None:
        """Undo the `take` that returned `item`: it is next again."""
        self.add(item, run, first=True)
        if run in self._turns:
            self._turns.move_to_end(run, last=False)

    def take(self) -> ItemT | None:
        """Return the next item and give its run the last turn; `None` when nobody who may go waits."""
        run = next(iter(self._turns), None)
        if run is None:
            return None
        own = self._items[run]
        item, _ = own.popitem(last=False)
        if own:
            self._turns.move_to_end(run)
        else:
            self._forget(run)
        return item

    def discard(self, item: ItemT, run: str) -> None:
        """Take `item` out, if it waits."""
        own = self._items.get(run)
        if own is None:
            return
        own.pop(item, None)
        if not own:
            self._forget(run)

    def block(self, run: str) -> None:
        """Give a run no turns until it is unblocked."""
        self._blocked.add(run)
        self._turns.pop(run, None)

    def unblock(self, run: str) -> bool:
        """Give a run turns again, after the runs that have one now; tell whether something waited for that."""
        if run not in self._blocked:
            return False
        self._blocked.discard(run)
        if run not in self._items:
            return False
        self._turns[run] = None
        return True

    def _forget(self, run: str) -> None:
        del self._items[run]
        self._turns.pop(run, None)
