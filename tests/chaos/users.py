"""The users of a storm: each has an errand done, waits, reads along, leaves or cancels, and notes what happened."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from agentcache import CallRetried, CallStarted, Event, RunFinished, RunStarted, Runtime
from tests.chaos.books import Attempt
from tests.chaos.errands import Errand, Fate, answer_of, text_of
from tests.chaos.team import Receipt, auditor, clerk, forked, gathered, handed, mapped, planner, session_of, sturdy

HANG_S = 300.0
"""Seconds after which a run counts as hanging: no errand takes a tenth of that, on a machine with others on it."""

_open: ContextVar[Done] = ContextVar("open_errand")


@dataclass(slots=True, kw_only=True)
class Done:
    """What became of one errand. `roots`: ids of its outermost runs."""

    fate: Fate
    after: int
    attempts: list[Attempt] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    begun_calls: int = 0
    retries: int = 0
    victim: asyncio.Task[None] | None = None
    events: int = 0
    cancelled: bool = False

    @staticmethod
    def hear(event: Event) -> None:
        """Take an event of whichever errand is being done here."""
        done = _open.get(None)
        if done is not None:
            done.take(event)

    def take(self, event: Event) -> None:
        """Take an event of this errand, and cancel its run if it is time to."""
        self.events += 1
        match event:
            case RunStarted(parent_run_id=None):
                self.roots.append(event.run_id)
            case CallStarted():
                self.begun_calls += 1
            case CallRetried():
                self.retries += 1
        if self.fate == "cancel" and self.events >= self.after and not self.cancelled and self.victim is not None:
            self.cancelled = True
            self.victim.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One run of an errand: what `Runtime.run` is given, and what should come out of it."""

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: object


async def do(errand: Errand, runtime: Runtime) -> Done:
    """Have an errand done, step by step, whatever becomes of the steps."""
    done = Done(fate=errand.fate, after=errand.after)
    opened = _open.set(done)
    try:
        for step in _steps(errand):
            done.cancelled, done.events = False, 0
            done.attempts.append(await _attempt(step, runtime, done))
    finally:
        _open.reset(opened)
        done.victim = None  # a task keeps what it ended in, and that the frames of the whole run
    return done


async def _attempt(step: _Step, runtime: Runtime, done: Done) -> Attempt:
    attempt = Attempt(expected=step.expected)
    done.victim = task = asyncio.ensure_future(_run(step, runtime, done, attempt))
    await asyncio.wait({task}, timeout=HANG_S)
    if not task.done():
        stack = io.StringIO()
        task.print_stack(file=stack)
        done.problems.append(f"where it hangs:\n{stack.getvalue()}")
        task.cancel()
        await asyncio.wait({task}, timeout=HANG_S / 10)
        return attempt
    if task.cancelled():
        attempt.ending = "cancelled"
        attempt.error = None if done.cancelled else asyncio.CancelledError("nobody cancelled this run")
    elif (error := task.exception()) is not None:
        attempt.error, attempt.ending = error, type(error).__name__
    elif done.cancelled:
        done.problems.append("cancelled in vain: the run was cancelled while it was under way and ended in a result")
    return attempt


async def _run(step: _Step, runtime: Runtime, done: Done, attempt: Attempt) -> None:
    if done.fate in {"wait", "cancel"}:
        attempt.output = (await runtime.run(step.target, *step.args, **step.kwargs)).output
        attempt.ending = "result"
        return
    seen = 0
    async with aclosing(runtime.stream(step.target, *step.args, **step.kwargs)) as events:
        async for event in events:
            seen += 1
            if isinstance(event, RunFinished) and event.run_id == done.roots[-1]:
                attempt.output = event.output
            if done.fate == "leave" and seen >= done.after:
                attempt.ending = "left"
                return
    attempt.ending = "result"


def _steps(errand: Errand) -> list[_Step]:
    who, texts = session_of(errand.number), [text_of(task) for task in errand.tasks]
    answers: list[object] = [answer_of(task) for task in errand.tasks]
    conversation = f"{errand.job}-{errand.number}"
    asking: dict[str, Callable[[], list[_Step]]] = {
        "talk": lambda: [
            _asks(clerk, text, answer, session=who, conversation=conversation)
            for text, answer in zip(texts, answers, strict=True)
        ],
        "receipt": lambda: [_asks(auditor, texts[0], Receipt(task=errand.tasks[0]["id"], results=0), session=who)],
        "fallback": lambda: [_asks(sturdy, texts[0], answers[0], session=who)],
        "delegate": lambda: [_asks(planner, texts[0], answers[0])],
        "map": lambda: [_calls(mapped, answers, texts, who["customer"])],
        "gather": lambda: [_calls(gathered, answers, *texts, who["customer"])],
        "forks": lambda: [_calls(forked, answers, texts[0], texts[1:], conversation, who["customer"])],
        "handoff": lambda: [_hands(errand, texts[0], conversation)],
    }
    plain = [_asks(clerk, texts[0], answers[0], session=who, limits=errand.limits)]
    return asking.get(errand.job, lambda: plain)()


def _hands(errand: Errand, text: str, conversation: str) -> _Step:
    expected = ["front", "back", answer_of(errand.tasks[0]["next"])]
    return _calls(handed, expected, text, conversation if errand.number % 2 else None)


def _asks(agent: Any, text: str, expected: object, **options: Any) -> _Step:
    return _Step(target=agent, args=(text,), kwargs=options, expected=expected)


def _calls(flow: Any, expected: object, *args: Any) -> _Step:
    return _Step(target=flow, args=args, kwargs={}, expected=expected)
