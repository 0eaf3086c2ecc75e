"""Snapshots of semi-static variables: one for each source and window, and none for what is gone."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from agentcache import Agent, Prompt
from agentcache.runtime import snapshots
from agentcache.runtime.snapshots import Snapshots

PROMPT = Prompt(static="You are a clerk.", semi_static="News: {{ news }}")


def clerk(source: Callable[[], Any], name: str = "clerk", refresh: float | None = None) -> Agent:
    return Agent(name=name, model="claude-sonnet-5-5", prompt=PROMPT, semi_static=source, refresh=refresh)


class Desk:
    """Counts how often its news are read."""

    def __init__(self) -> None:
        self.readings = 0

    def news(self) -> dict[str, object]:
        self.readings += 1
        return {"news": f"reading {self.readings}"}


@dataclass(frozen=True, slots=True)
class Bulletin:
    """A source that equals every other one of its desk, and takes no weak reference."""

    desk: Desk

    def __call__(self) -> dict[str, object]:
        return self.desk.news()


def kept() -> Snapshots:
    return Snapshots(clock=lambda: 0.0)


async def test_agents_of_one_source_share_its_snapshot_though_a_method_is_made_anew_whenever_it_is_named():
    taken, desk = kept(), Desk()
    told = [await taken.variables(clerk(desk.news)) for _ in range(3)]
    assert told == [{"news": "reading 1"}] * 3


async def test_two_objects_of_one_class_have_a_snapshot_each():
    taken, desks = kept(), [Desk(), Desk()]
    for desk in desks:
        await taken.variables(clerk(desk.news))
    assert [desk.readings for desk in desks] == [1, 1]


async def test_sources_that_are_equal_by_value_share_a_snapshot_though_none_of_them_stays():
    taken, desk = kept(), Desk()
    for _ in range(3):
        await taken.variables(clerk(Bulletin(desk)))
        gc.collect()
    assert desk.readings == 1


async def test_runs_that_begin_together_share_one_reading():
    taken, begun = kept(), []

    async def slowly() -> dict[str, object]:
        begun.append("reading")
        await asyncio.sleep(0)
        return {"news": "one"}

    agent = clerk(slowly)
    told = await asyncio.gather(*(taken.variables(agent) for _ in range(8)))
    assert told == [{"news": "one"}] * 8
    assert begun == ["reading"]


def closure(request: object) -> Callable[[], dict[str, object]]:
    return lambda: {"news": str(request)}


def method(request: object) -> Callable[[], dict[str, object]]:
    desk = Desk()
    desk.request = request  # type: ignore[attr-defined]
    return desk.news


class Request:
    """What a program would not want to be kept."""


@pytest.mark.parametrize("source", [closure, method])
async def test_what_a_request_had_goes_with_its_agent(source: Callable[[object], Callable[[], Any]]):
    taken, requests = kept(), []
    for _ in range(50):
        request = Request()
        await taken.variables(clerk(source(request)))
        requests.append(weakref.ref(request))
    del request
    gc.collect()
    assert [ref for ref in requests if ref() is not None] == []


async def test_an_agent_that_stays_keeps_its_snapshot_however_many_come_and_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(snapshots, "MOST_WINDOWS", 2)
    taken, desk = kept(), Desk()
    staying = clerk(desk.news)
    for number in range(6):
        await taken.variables(staying)
        await taken.variables(clerk(closure(number)))
        gc.collect()
    assert desk.readings == 1


@pytest.mark.slow
async def test_memory_stays_flat_whatever_kind_of_agent_is_made_for_each_request(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(snapshots, "MOST_WINDOWS", 16)
    taken, desk = kept(), Desk()

    async def serve(first: int, count: int) -> int:
        """Return how much memory stays after so many requests."""
        for number in range(first, first + count):
            await taken.variables(clerk(closure(f"{number} {'x' * 1000}")))
            await taken.variables(clerk(Bulletin(Desk())))
            await taken.variables(clerk(desk.news, name=f"clerk-{number}"))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = await serve(0, 40)
        late = await serve(40, 200)
    finally:
        tracemalloc.stop()
    # 600 snapshots, a third of them with 1,000 characters of their own, would be 300 kB and more.
    assert late - early < 60_000


async def test_of_sources_that_cannot_be_told_to_be_gone_the_last_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(snapshots, "MOST_WINDOWS", 2)
    taken, desks = kept(), [Desk(), Desk(), Desk()]
    for number in (0, 1, 0, 2, 0, 1):
        await taken.variables(clerk(Bulletin(desks[number])))
    assert [desk.readings for desk in desks] == [1, 2, 1]
