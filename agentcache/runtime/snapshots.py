"""Semi-static variables, taken once per refresh window and the same for every run inside it.

Runs that begin together share one reading: whoever comes first takes it and the others wait for it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.plain_values import plain_variables
from agentcache.runtime.agent import Agent, OutputT, Snapshot


@dataclass(slots=True)
class _Window:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    taken_at: float | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict)


class Snapshots:
    """Keeps the newest snapshot per source. `clock` gives seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, Snapshot], _Window] = {}

    async def variables(self, agent: Agent[OutputT]) -> Mapping[str, JsonValue]:
        """Return the agent's semi-static variables for the current window, frozen to plain values.

        Raises `SettingsError` when the source does not return a mapping, and whatever the source itself raises.
        """
        source = agent.semi_static
        if source is None:
            return {}
        if not callable(source):
            return plain_variables(source)
        window = self._windows.setdefault((agent.name, source), _Window())
        async with window.lock:
            if self._is_stale(window, agent.refresh_s):
                window.variables = plain_variables(await _read(source, agent.name))
                window.taken_at = self._clock()
            return window.variables

    def _is_stale(self, window: _Window, refresh_s: float | None) -> bool:
        if window.taken_at is None:
            return True
        return refresh_s is not None and self._clock() - window.taken_at >= refresh_s


async def _read(source: Callable[[], object], agent: str) -> Mapping[str, object]:
    value = source()
    if inspect.isawaitable(value):
        value = await value
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"agent {agent!r}: semi_static returned a {type(value).__name__}; return a mapping of variables"
        )
    return value
