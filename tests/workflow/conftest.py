"""A runtime on an emulator with a real socket, its events kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from agentcache import Agent, Event, Prompt, Runtime
from agentcache.emulator.server import Emulator, serve

Request = dict[str, Any]

RULES = "Answer briefly and say where you looked. " * 120  # well above every model's minimum but 4,096


def agent(**changes: Any) -> Agent[Any]:
    """Declare the agent of most tests, with changes."""
    declared: dict[str, Any] = {"name": "clerk", "model": "claude-sonnet-5-5", "prompt": Prompt(static=RULES)}
    return Agent(**{**declared, **changes})


async def at_once(seconds: float) -> None:
    """Sleep for a runtime that shall not wait between its attempts."""
    await asyncio.sleep(0)


@dataclass
class Stage:
    """What a test of the runtime works with."""

    runtime: Runtime
    emulator: Emulator
    events: list[Event] = field(default_factory=list)

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def staged(replies: Any, *, store: str = "memory:", **options: Any) -> AsyncIterator[Stage]:
    """Open an emulator with `replies` and a runtime that talks to it."""
    events: list[Event] = []
    listener = options.pop("on_event", None)

    def listen(event: Event) -> None:
        events.append(event)
        if listener is not None:
            listener(event)

    served = {name: options.pop(name) for name in ("api", "faults", "clock", "latency") if name in options}
    async with (
        serve(replies, **served) as emulator,
        Runtime(store, base_url=emulator.base_url, on_event=listen, **options) as runtime,
    ):
        yield Stage(runtime, emulator, events)


@pytest.fixture
def stage() -> Callable[..., Any]:
    return staged
