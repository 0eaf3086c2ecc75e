"""An emulator for a test: on a clock that the test moves, strict about its replies, its prompts guarded if asked.

It decides the defaults that tests want; everything else is the emulator's.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from agentcache.emulator.clock import Clock, VirtualClock
from agentcache.emulator.faults import Faults
from agentcache.emulator.messages_api import MessagesApi
from agentcache.emulator.replies import Replies, Script, ScriptedReply
from agentcache.emulator.server import Emulator, serve
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.testing.prefix_guard import PrefixGuard

KEPT_REQUESTS = 100_000
"""How many requests an emulator of a test keeps: the guard must not lose the first ones of a conversation."""


@contextlib.asynccontextmanager
async def emulated(
    replies: Replies | Script | Iterable[ScriptedReply | Script] | None = None,
    *,
    clock: Clock | None = None,
    faults: Faults | None = None,
    api: MessagesApi | None = None,
    guard: PrefixGuard | None = None,
) -> AsyncIterator[Emulator]:
    """Run an emulator in this event loop, on a free port of 127.0.0.1, until the block ends.

    replies: a list (each reply is given once, in order), a function of the request, an object such as
        `recorded_replies(…)`, or `None` for an echo. clock: `None` is a `VirtualClock`, which stands still until
        somebody advances it. faults: what goes wrong with which call. api: an account with settings of its own.
    guard: is shown every request at the end of the block, and asked.

    Raises, at the end of a block that did not raise itself, what a script raised, `UnexpectedCall` for a call too many,
    `UnusedReply` for a reply too many, and the guard's `AssertionError`.
    """
    async with serve(
        replies, clock=clock or VirtualClock(), faults=faults, api=api, keep_requests=KEPT_REQUESTS
    ) as emulator:
        yield emulator
    if guard is not None:
        for request in emulator.requests:
            guard.see(request)
        guard.check()


def asks_for(tool: str, /, **arguments: JsonValue) -> list[JsonObject]:
    """Return a reply in which the model asks for `tool` with these arguments. Added, two ask for both at once."""
    return [{"type": "tool_use", "name": tool, "input": dict(arguments)}]
