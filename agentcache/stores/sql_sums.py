"""What sums and pages ask of a ledger in a database: few columns of many rows, or what was summed up already."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from agentcache.accounting.billed_calls import SentCall
from agentcache.accounting.call_gaps import GapCount
from agentcache.accounting.rollup import Rollup
from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.accounting.tool_summary import ToolResult
from agentcache.stores import billed_rows, sql_rollup

_T = TypeVar("_T")


class SqlSums(ABC):
    """The part of a `LedgerReader` that sums are made of; `_look` does a read in a transaction of its own."""

    @abstractmethod
    async def _look(self, work: Callable[[Connection], _T]) -> _T: ...

    async def rollup(self, *, only: Selection = EVERYTHING, by_run: bool = False) -> Rollup:
        """Return sums, of seals where there are some."""
        return await self._look(lambda connection: sql_rollup.rollup_of(connection, only, by_run=by_run))

    async def sent_calls(self, *, since: float | None = None, until: float | None = None) -> list[SentCall]:
        """Return when calls were sent."""
        return await self._look(lambda connection: billed_rows.sent_calls(connection, since=since, until=until))

    async def sent_span(self, *, only: Selection = EVERYTHING) -> tuple[float, float] | None:
        """Return when the first and the last call were sent."""
        return await self._look(lambda connection: billed_rows.sent_span(connection, only))

    async def pauses(self, *, only: Selection = EVERYTHING) -> tuple[GapCount, ...]:
        """Return the gaps between calls, counted by the database."""
        return await self._look(lambda connection: billed_rows.pauses(connection, only))

    async def tool_results(self, *, only: Selection = EVERYTHING) -> list[ToolResult]:
        """Return the tool calls that count."""
        return await self._look(lambda connection: billed_rows.tool_results(connection, only))
