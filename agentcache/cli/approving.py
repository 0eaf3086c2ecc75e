"""Who decides about tool calls that wait for approval in `agentcache run`: the person at the terminal, or nobody.

What a tool is asked to do was written by a model, so a question shows it with everything unprintable escaped: nothing
in it can move the cursor, hide a word or look like an answer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from agentcache.prompt.canonical import JsonValue, json_text
from agentcache.runtime.approval import ApprovalRequest, Approver, Decision
from agentcache.runtime.own_thread import in_own_thread
from agentcache.visible import visible

_LINE_BYTES = 4096
"""A terminal hands over one line at a time, and none longer than this."""


class Approving(StrEnum):
    """The choices of `--approve`."""

    ASK = "ask"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SameForAll:
    """Decides every call alike."""

    decision: Decision

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Return the one decision."""
        return self.decision


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalApprover:
    """Asks a person, one question at a time. `ask` shows a text and waits for the line that is typed then."""

    ask: Callable[[str], Awaitable[str]]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Return what was typed: `y` or `yes` approves, all else declines, with the words as reason."""
        async with self._turn:
            line = await self.ask(question(request))
        words = line.strip()
        if words.lower() in {"y", "yes"}:
            return Decision(True)
        return Decision(False, reason="" if words.lower() in {"", "n", "no"} else words)


def approver_for(choice: Approving, *, interactive: bool, show: Callable[[str], None], stdin: int) -> Approver | None:
    """Return who decides; `None` where a person would have to be asked and none is there.

    interactive: whether `stdin`, a file descriptor, is a terminal.
    """
    if choice is Approving.ALL:
        return SameForAll(Decision(True))
    if choice is Approving.NONE:
        return SameForAll(Decision(False, reason="this run approves nothing"))
    return TerminalApprover(ask=partial(answer_to, show=show, stdin=stdin)) if interactive else None


def question(request: ApprovalRequest) -> str:
    """Return what a person is asked: who wants to do what, one argument a line."""
    who = visible(request.agent or "a workflow")
    arguments = "".join(f"\n  {visible(name)} = {_value(value)}" for name, value in request.arguments.items())
    asked = f"{who} asks to run {visible(request.tool)}{arguments or ' (no arguments)'}"
    return f"\n{asked}\nApprove? [y/N, or why not] "


def _value(value: JsonValue) -> str:
    return visible(json_text(value))


async def answer_to(text: str, *, show: Callable[[str], None], stdin: int) -> str:
    """Show `text` on a terminal and wait for a line; empty when its input ended. Ctrl-C ends the wait.

    What was typed before the text could be read is no answer to it, and is dropped.
    """
    if sys.platform != "win32":
        import termios  # Windows has none

        termios.tcflush(stdin, termios.TCIFLUSH)
    show(text)
    return await in_own_thread(lambda: os.read(stdin, _LINE_BYTES).decode(errors="replace"))
