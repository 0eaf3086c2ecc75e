"""`agentcache emulator`: a loopback Messages API with a faithful cache, for programs that bring their own client."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from agentcache.cli.saying import say

if TYPE_CHECKING:
    from agentcache.cli.target import Answering
    from agentcache.emulator.server import Emulator

_RECORDINGS = (".jsonl", ".jsonl.gz", ".jsonl.xz")


def emulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes any free one.")] = 0,
    replies: Annotated[
        str | None,
        typer.Option(
            metavar="SCRIPT", help="Who answers: module:name, file.py:name, or a recorded trace or log. [an echo]"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="With a recording: a call that it has no answer for is an error.")
    ] = False,
    faults: Annotated[
        str | None,
        typer.Option(metavar="FAULTS", help="What goes wrong: 529@3 (the third call), reset%0.1 (one in ten)."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A host name that leads here, such as a container's; may be repeated."),
    ] = None,
    exact_tokens: Annotated[
        bool, typer.Option("--exact-tokens", help="Count prompts instead of estimating them (extra `exact`).")
    ] = False,
) -> None:
    """Serve an emulated Messages API.

    Its address is the first line on stdout. Runs until Ctrl-C.
    """
    # Start-up time: `--help` needs no target and no server.
    from agentcache.emulator.faults import NoFaults, read_faults
    from agentcache.emulator.server import serve

    planned = read_faults(faults) if faults else NoFaults()
    answering = _answering(replies, strict=strict) if replies else None
    server = serve(
        answering, host=host, port=port, allow_hosts=allow_host or (), faults=planned, exact_tokens=exact_tokens
    )
    asyncio.run(_until_stopped(server))


def _answering(replies: str, *, strict: bool) -> Answering:
    # Start-up time, as above.
    from agentcache.cli.target import load_replies
    from agentcache.testing import recorded_replies

    if replies.endswith(_RECORDINGS):
        return recorded_replies(replies, strict=strict)
    return load_replies(replies)


async def _until_stopped(server: AbstractAsyncContextManager[Emulator]) -> None:
    stopped = _asked_to_stop()
    async with server as running:
        _announce(running)
        await stopped.wait()
    say("stopped", err=True)


def _announce(running: Emulator) -> None:
    say(running.base_url)
    say(f"Not Claude. Use it with ANTHROPIC_BASE_URL={running.base_url} and any key; Ctrl-C stops it.", err=True)


def _asked_to_stop() -> asyncio.Event:
    """Return what Ctrl-C or a polite kill sets: both are how this command ends well."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    return asked
