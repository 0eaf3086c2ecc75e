"""Strikes a task at its n-th suspension: the n-th time that it, or a task it began, yields to the event loop.

asyncio delivers a cancellation only where a task is suspended, so a task with N suspensions has N places to be
cancelled at, and all of them can be tried: strike at 1, 2, … until the task ends before the blow. Suspensions of the
tasks that it began count too, since there is something else on its way at each of them.

Two things may hold at a suspension, and both are tried. `asleep`: what the task waits for has not come. `waking`: it
has come, and the cancellation overtakes it before the task has seen it; what was handed over would then be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Moment: TypeAlias = Literal["asleep", "waking"]
Task: TypeAlias = "asyncio.Task[Any]"
Due: TypeAlias = Callable[[int], bool]
"""Whether to strike at the suspension of this number, from 1."""


@dataclass(slots=True, kw_only=True, eq=False)
class Family:
    """A task and all that were begun by it or by one of those; counts their suspensions."""

    due: Due
    strike: Callable[[Task], object]
    when: Moment
    head: Task | None = None
    tasks: list[Task] = field(default_factory=list)
    suspensions: int = 0
    blows: int = 0

    def suspended(self, awaited: Any) -> None:
        self.suspensions += 1
        if self.head is None or self.head.done() or not self.due(self.suspensions):
            return
        if self.when == "asleep" or awaited is None:
            self._struck(self.head)
        else:
            head = self.head
            # The task adds its own callback after this one, so the blow falls before it is woken.
            awaited.add_done_callback(lambda _: self._struck(head))

    def _struck(self, head: Task) -> None:
        if not head.done():
            self.blows += 1
            self.strike(head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """How it ended: `error` is what came out of the task, `None` with a `value`.

    suspensions: how many there were. blows: how often it was struck; none if it ended before.
    """

    value: Any
    error: BaseException | None
    suspensions: int
    blows: int
    tasks: tuple[Task, ...]

    @property
    def left(self) -> list[Task]:
        """The tasks that it began and that have not ended by now."""
        return [task for task in self.tasks if not task.done()]

    @property
    def cancelled(self) -> bool:
        return isinstance(self.error, asyncio.CancelledError)


def at(*numbers: int) -> Due:
    return frozenset(numbers).__contains__


def from_on(number: int) -> Due:
    """Strike at this suspension and at every later one: whoever cleans up is cancelled again and again."""
    return lambda counted: counted >= number


async def struck(
    work: Coroutine[Any, Any, Any],
    due: Due,
    *,
    strike: Callable[[Task], object] = asyncio.Task.cancel,
    when: Moment = "asleep",
) -> Struck:
    """Run `work` in a task of its own, strike it where `due` says, and return how it ended."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(_begun)  # type: ignore[arg-type]  # typeshed wants it generic, which nobody could call so
    family = Family(due=due, strike=strike, when=when)
    context = copy_context()
    context.run(_family.set, family)
    family.head = loop.create_task(work, context=context)
    await asyncio.wait([family.head])
    error = asyncio.CancelledError() if family.head.cancelled() else family.head.exception()
    return Struck(
        value=family.head.result() if error is None else None,
        error=error,
        suspensions=family.suspensions,
        blows=family.blows,
        tasks=tuple(family.tasks),
    )


_family: ContextVar[Family] = ContextVar("family")


def _begun(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> Task:
    """Begin a task, one of the family of whoever begins it."""
    context = options.get("context")
    family = _family.get(None) if context is None else context.get(_family)
    if family is None:
        return asyncio.Task(work, loop=loop, **options)
    task: Task = asyncio.Task(_Counted(work, family), loop=loop, **options)
    family.tasks.append(task)
    return task


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine whose suspensions are counted; in all else it is the one inside."""

    def __init__(self, inner: Coroutine[Any, Any, Any], family: Family) -> None:
        self._inner, self._family = inner, family

    def send(self, value: Any) -> Any:
        awaited = self._inner.send(value)
        self._family.suspended(awaited)
        return awaited

    def throw(self, *error: Any) -> Any:
        awaited = self._inner.throw(*error)
        self._family.suspended(awaited)
        return awaited

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
