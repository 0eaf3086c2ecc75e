"""A guard that notices every emulator and runtime of a test and, at its end, holds the ledgers against the bills.

It decides which rows and lines belong together: all rows of all runtimes that addressed an emulator while the guard
watched, against all lines of those emulators. It reads a ledger when its runtime has ended everything else and is about
to close it; rows written by other processes are among them. To see what a test opens itself, it stands in for a few
functions while it watches, and changes nothing of what they do.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec
from unittest.mock import patch

from agentcache.accounting.usage import CallRecord, RunRecord
from agentcache.emulator.http_app import EmulatorApp
from agentcache.emulator.server import Emulator
from agentcache.emulator.statement import Statement, StatementLine
from agentcache.errors import SettingsError, StoreError
from agentcache.runtime.results import RunResult
from agentcache.stores.protocols import Ledger
from agentcache.testing.ledger_audit import LedgerAudit, audit, result_problems
from agentcache.workflow import runtime as runtimes
from agentcache.workflow.runtime import Runtime

P = ParamSpec("P")


@dataclass(slots=True)
class LedgerGuard:
    """Watches within `with guard.watching():` and judges with `check()` when everything has closed."""

    excused: str | None = None
    """Why rows and lines need not match; set by `excuse`."""
    _emulators: list[Emulator] = field(default_factory=list)
    _addresses: set[str] = field(default_factory=set)
    _forgotten: list[tuple[Statement, StatementLine]] = field(default_factory=list)
    _earlier: set[str] = field(default_factory=set)
    _calls: dict[str, CallRecord] = field(default_factory=dict)
    _runs: dict[str, RunRecord] = field(default_factory=dict)
    _results: list[RunResult[object]] = field(default_factory=list)
    _unread: list[str] = field(default_factory=list)

    def excuse(self, reason: str) -> None:
        """Let rows and bill differ in this test, for a reason such as clients of other frameworks on the emulator.

        Raises `SettingsError` without a reason.
        """
        if not reason.strip():
            raise SettingsError("a ledger is excused for a reason; say which")
        self.excused = reason

    @contextmanager
    def watching(self) -> Iterator[LedgerGuard]:
        """Notice what is opened until the block ends."""
        # Its value of the moment: guards may watch within each other.
        opening: Callable[[str | None], Awaitable[Ledger]] = vars(runtimes)["open_ledger"]
        with ExitStack() as patches:
            for stand_in in (
                patch.object(Emulator, "__init__", self._noticing_emulators(Emulator.__init__)),
                patch.object(Statement, "clear", self._remembering_lines(Statement.clear)),
                patch.object(Runtime, "__init__", self._noticing_addresses(Runtime.__init__)),
                # What `run`, `run_as` and `stream` have in common.
                patch.object(Runtime, "_run", self._noticing_results(Runtime._run)),  # noqa: SLF001
                patch.object(runtimes, "open_ledger", self._reading(opening)),
            ):
                patches.enter_context(stand_in)
            yield self

    def check(self) -> LedgerAudit:
        """Return how rows and lines match. Raises `AssertionError` saying what does not, unless it was excused."""
        found = audit(self._calls.values(), self._lines(), earlier=self._earlier) if self._served() else LedgerAudit()
        finished = {run.run_id for run in self._runs.values()}
        problems = [*self._unread, *found.problems]
        for result in self._results:
            if result.run_id in finished:
                problems += result_problems(result, self._calls.values(), self._runs.values())
        if problems and self.excused is None:
            raise AssertionError("the ledger is not what was billed:\n  " + "\n  ".join(problems))
        return found

    def _served(self) -> list[Emulator]:
        return [emulator for emulator in self._emulators if emulator.base_url in self._addresses]

    def _lines(self) -> list[StatementLine]:
        # Several emulators may serve one account after each other: its lines are lines once.
        statements = {id(emulator.statement): emulator.statement for emulator in self._served()}
        forgotten = [line for statement, line in self._forgotten if id(statement) in statements]
        return [*forgotten, *(line for statement in statements.values() for line in statement.lines)]

    def _noticing_emulators(
        self, original: Callable[[Emulator, EmulatorApp, str], None]
    ) -> Callable[[Emulator, EmulatorApp, str], None]:
        @wraps(original)
        def opened(emulator: Emulator, app: EmulatorApp, base_url: str) -> None:
            original(emulator, app, base_url)
            self._emulators.append(emulator)

        return opened

    def _remembering_lines(self, original: Callable[[Statement], None]) -> Callable[[Statement], None]:
        @wraps(original)
        def clear(statement: Statement) -> None:
            self._forgotten.extend((statement, line) for line in statement.lines)
            original(statement)

        return clear

    def _noticing_addresses(self, original: Callable[P, None]) -> Callable[P, None]:
        @wraps(original)
        def declared(*args: P.args, **kwargs: P.kwargs) -> None:
            original(*args, **kwargs)
            address = kwargs.get("base_url") or os.environ.get("ANTHROPIC_BASE_URL")
            self._addresses.add(str(address).rstrip("/"))

        return declared

    def _noticing_results(
        self, original: Callable[P, Awaitable[RunResult[object]]]
    ) -> Callable[P, Awaitable[RunResult[object]]]:
        @wraps(original)
        async def run(*args: P.args, **kwargs: P.kwargs) -> RunResult[object]:
            result = await original(*args, **kwargs)
            self._results.append(result)
            return result

        return run

    def _reading(
        self, original: Callable[[str | None], Awaitable[Ledger]]
    ) -> Callable[[str | None], Awaitable[Ledger]]:
        @wraps(original)
        async def opened(url: str | None = None) -> Ledger:
            ledger = await original(url)
            try:
                earlier = await ledger.calls()
            except BaseException:  # cancelled: nobody has the ledger yet who could close it
                await ledger.close()
                raise
            self._earlier.update(call.call_id for call in earlier if call.call_id not in self._calls)
            close = ledger.close

            async def closing() -> None:
                try:
                    await self._read(ledger)
                finally:
                    await close()

            # The object of this one runtime: whoever closes it calls this.
            ledger.close = closing  # type: ignore[method-assign]
            return ledger

        return opened

    async def _read(self, ledger: Ledger) -> None:
        try:
            await ledger.delete_conversation("")  # there is none; what waits to be written is written before it
            self._calls.update({call.call_id: call for call in await ledger.calls()})
            self._runs.update({run.run_id: run for run in await ledger.runs()})
        except StoreError as error:
            self._unread.append(f"a ledger could not be read when its runtime closed: {error}")
