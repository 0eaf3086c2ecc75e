"""Semi-static variables, taken once per refresh window and the same for every run inside it.

Runs that begin together share one reading: whoever comes first takes it and the others wait for it.

A snapshot goes when its source does, so that agents made for one request each leave nothing behind. A source that is
equal to another by value, or that cannot be referenced weakly, may be asked for again however often it was thrown
away, and so may a source that lives on under ever new names of agents: of all snapshots the `MOST_WINDOWS` that were
asked for last are kept.
"""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MethodType

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.plain_values import plain_variables
from agentcache.runtime.agent import Agent, OutputT

MOST_WINDOWS = 4096
"""Snapshots that are kept at once; the one that was asked for longest ago goes first, and is then taken anew."""


@dataclass(slots=True)
class _Window:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    taken_at: float | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    owner: weakref.ref[object] | None = None
    """Lets the window go with the object; none where that cannot be told."""


class Snapshots:
    """Keeps the newest snapshot per agent's name and source. `clock` gives seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[tuple[object, ...], _Window] = {}
        """In the order in which they were asked for last."""

    async def variables(self, agent: Agent[OutputT]) -> Mapping[str, JsonValue]:
        """Return the agent's semi-static variables for the current window, frozen to plain values.

        Raises `SettingsError` when the source does not return a mapping, and whatever the source itself raises.
        """
        source = agent.semi_static
        if source is None:
            return {}
        if not callable(source):
            return plain_variables(source)
        window = self._window(agent.name, source)
        async with window.lock:
            if self._is_stale(window, agent.refresh_s):
                window.variables = plain_variables(await _read(source, agent.name))
                window.taken_at = self._clock()
            return window.variables

    def _window(self, name: str, source: Callable[[], object]) -> _Window:
        """Return the window of a source, a new one if there is none, and make it the newest."""
        owner, rest = _identity(source)
        key = (name, source) if owner is None else (name, id(owner), rest)
        window = self._windows.pop(key, None) or _Window()
        if owner is not None and window.owner is None:
            # An address stands for another object as soon as this one is gone; by then its window is gone, too.
            window.owner = weakref.ref(owner, lambda _: self._windows.pop(key, None))
        self._windows[key] = window
        if len(self._windows) > MOST_WINDOWS:
            del self._windows[next(iter(self._windows))]
        return window

    def _is_stale(self, window: _Window, refresh_s: float | None) -> bool:
        if window.taken_at is None:
            return True
        return refresh_s is not None and self._clock() - window.taken_at >= refresh_s


def _identity(source: Callable[[], object]) -> tuple[object | None, object]:
    """Return the object that a source lives with, and what else tells it from others.

    A function lives as long as it is known; a bound method, which is made anew whenever it is named, as long as the
    object that it is bound to. No object for a source that others can be equal to, or that takes no weak reference.
    """
    equality: object = type(source).__eq__
    owner, rest = (source.__self__, source.__func__) if isinstance(source, MethodType) else (source, None)
    known_by_itself = owner is not source or equality is object.__eq__
    return (owner, rest) if known_by_itself and type(owner).__weakrefoffset__ else (None, None)


async def _read(source: Callable[[], object], agent: str) -> Mapping[str, object]:
    value = source()
    if inspect.isawaitable(value):
        value = await value
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"agent {agent!r}: semi_static returned a {type(value).__name__}; return a mapping of variables"
        )
    return value
