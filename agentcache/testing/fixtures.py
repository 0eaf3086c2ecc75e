"""Fixtures of pytest for tests of agents, offered to those who name this module in their topmost `conftest.py`.

    pytest_plugins = ["agentcache.testing.fixtures"]

The fixtures are plain ones, so they serve `async def` tests of any plugin as well as `asyncio.run` in plain tests. This
is the only module of agentcache that imports pytest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.faults import Faults
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.replies import Replies, Script, ScriptedReply
from agentcache.emulator.server import Emulator
from agentcache.testing.emulation import emulated
from agentcache.testing.ledger_guard import LedgerGuard
from agentcache.testing.prefix_guard import PrefixGuard


class EmulatorFactory(Protocol):
    """What the fixture `claude_emulator` is."""

    def __call__(
        self,
        replies: Replies | Script | Iterable[ScriptedReply | Script] | None = None,
        *,
        faults: Faults | None = None,
        api: MessagesApi | None = None,
    ) -> AbstractAsyncContextManager[Emulator]:
        """Return an emulator that runs for one `async with` block, as `emulated` does."""
        ...


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """Return the clock of this test's emulators: it stands still until `await virtual_clock.advance(seconds)`.

    Give its `now` to `Runtime(clock=…)`, so that runtime and emulator agree on the time.
    """
    return VirtualClock()


@pytest.fixture
def prefix_guard() -> PrefixGuard:
    """Return a guard that sees every request to this test's emulators: when one ends, no prefix may have moved."""
    return PrefixGuard()


@pytest.fixture
def ledger_guard() -> Iterator[LedgerGuard]:
    """Notice every emulator and runtime of this test; when it ends, each ledger must be what was billed, call by call.

    An `autouse` fixture that asks for it guards a whole suite; `ledger_guard.excuse(reason)` lets one test differ.
    """
    guard = LedgerGuard()
    with guard.watching():
        yield guard
    guard.check()


@pytest.fixture
def claude_emulator(request: pytest.FixtureRequest, virtual_clock: VirtualClock) -> EmulatorFactory:
    """Return the maker of emulators.

    `request` is pytest's. Each runs for one block, on the test's `virtual_clock`: `async with claude_emulator(replies)
    as emulator:`. Where a test (or a fixture of its own) asks for `prefix_guard`, that guard watches them.
    """
    guard = request.getfixturevalue("prefix_guard") if "prefix_guard" in request.fixturenames else None

    def start(
        replies: Replies | Script | Iterable[ScriptedReply | Script] | None = None,
        *,
        faults: Faults | None = None,
        api: MessagesApi | None = None,
    ) -> AbstractAsyncContextManager[Emulator]:
        return emulated(replies, clock=virtual_clock, faults=faults, api=api, guard=guard)

    return start
