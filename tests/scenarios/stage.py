"""A runtime and an emulator on one clock that the test moves, and the two books that must agree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agentcache import Event, Runtime
from agentcache.accounting.usage import Usage
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.server import Emulator, serve
from agentcache.testing import assert_ledger_equals_statement

Request = dict[str, Any]
MODEL = "claude-sonnet-5-5"
MINUTE_S = 60.0


def prose(topic: str, sentences: int) -> str:
    """Return text of about ten tokens a sentence."""
    return " ".join(f"Sentence {number} says what to do about {topic}." for number in range(sentences))


@dataclass
class Stage:
    """What a scenario works with."""

    runtime: Runtime
    emulator: Emulator
    clock: VirtualClock
    events: list[Event] = field(default_factory=list)

    async def pause(self, minutes: float) -> None:
        """Let time pass for the runtime and for the cache."""
        await self.clock.advance(minutes * MINUTE_S)

    async def calls(self) -> list[Any]:
        """Return the ledger's calls in the order in which they were answered, each held against the emulator's bill."""
        answered = [line.message_id for line in self.emulator.statement.lines]
        calls = sorted(await self.runtime.ledger.calls(), key=lambda call: answered.index(str(call.message_id)))
        assert assert_ledger_equals_statement(calls, self.emulator.statement).equal == len(calls)
        return calls

    async def usages(self) -> list[Usage]:
        """Return what each call used, oldest first, checked as `calls` does."""
        return [call.usage for call in await self.calls()]


@asynccontextmanager
async def staged(replies: Any) -> AsyncIterator[Stage]:
    """Open an emulator with `replies` and a runtime that talks to it, both on one clock that stands still."""
    clock = VirtualClock()
    events: list[Event] = []
    async with (
        serve(replies, clock=clock) as emulator,
        Runtime("memory:", base_url=emulator.base_url, on_event=events.append, clock=clock.now) as runtime,
    ):
        yield Stage(runtime, emulator, clock, events)


def markers(request: Request) -> list[Any]:
    """Return all cache markers of a request."""
    messages = [block for message in request["messages"] for block in message["content"] if isinstance(block, dict)]
    blocks = [*request.get("tools", ()), *request.get("system", ()), *messages, request]
    return [block["cache_control"] for block in blocks if "cache_control" in block]


def cached_tokens(usage: Usage) -> int:
    """Return the tokens that a call left in the cache for the next one."""
    return usage.cache_read_tokens + usage.cache_write_tokens
