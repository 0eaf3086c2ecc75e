"""Memory over a shared store: filling upwards, dropping everywhere, and going without a store that fails."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from agentcache.runtime.memo import MemoCounts, ToolMemo
from agentcache.runtime.memo_declaration import Memo
from agentcache.runtime.memo_keys import MemoScope
from agentcache.runtime.memo_tiers import CHECKED_S, PAUSE_S
from agentcache.runtime.tool_results import ToolResult
from agentcache.runtime.tools import tool
from agentcache.stores.memo_entries import MemoStore
from agentcache.stores.memo_opening import open_memo
from agentcache.stores.memo_sqlite import SqliteMemoStore
from tests.stores.redis_server import REDIS_URL, need_redis, own_keys, own_redis


@tool(deterministic=True, ttl="1h", tags=["orders", "order:{order_id}"])
async def find_order(order_id: str) -> str:
    """Look an order up by its number."""
    return order_id


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Processes:
    """Memos over one store, each as another process would have it; their executions are numbered."""

    def __init__(self, kind: str, place: str, clock: Clock) -> None:
        self._kind, self._place, self.clock = kind, place, clock
        self._numbers = count(1)
        self._memos: list[ToolMemo] = []

    def memo(self, tenant: str = "") -> ToolMemo:
        made = ToolMemo(clock=self.clock, shared=self._store(), tenant=tenant)
        self._memos.append(made)
        return made

    def _store(self) -> MemoStore:
        if self._kind == "sqlite":
            return SqliteMemoStore(self._place, clock=self.clock)
        from agentcache.stores.redis import RedisMemoStore

        return RedisMemoStore(REDIS_URL, clock=self.clock, prefix=self._place)

    async def ask(self, memo: ToolMemo, order_id: str = "17") -> tuple[str, str]:
        async def call() -> ToolResult:
            return ToolResult(content=f"answer {next(self._numbers)}")

        answer = await memo.get_or_call(find_order, {"order_id": order_id}, call)
        assert isinstance(answer.result.content, str)
        return answer.result.content, answer.source

    async def close(self) -> None:
        for memo in self._memos:
            await memo.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "redis"])
async def processes(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Processes]:
    if request.param == "sqlite":
        made = Processes("sqlite", str(tmp_path / "memo.db"), clock)
        yield made
        await made.close()
        return
    need_redis()
    with own_keys() as prefix:
        made = Processes("redis", prefix, clock)
        yield made
        await made.close()


async def test_what_one_process_found_another_is_given_and_keeps_in_memory(processes: Processes):
    one, two = processes.memo(), processes.memo()
    assert await processes.ask(one) == ("answer 1", "executed")
    assert (await processes.ask(two))[0] == "answer 1"
    assert await processes.ask(two) == ("answer 1", "memory")
    counts = two.statistics()["find_order"]
    assert (counts.calls, counts.hits, counts.memory, counts.misses) == (2, 2, 1, 0)


async def test_what_one_process_drops_no_other_gives_out_after_a_second(processes: Processes):
    one, two = processes.memo(), processes.memo()
    for memo in (one, two):
        await processes.ask(memo)
    assert await one.invalidate("orders") == 1
    processes.clock.now += CHECKED_S
    assert await processes.ask(two) == ("answer 2", "executed")
    assert (await processes.ask(one))[0] == "answer 2"


async def test_ones_own_removal_leaves_the_rest_in_memory(processes: Processes):
    memo = processes.memo()
    for order_id in ("17", "18"):
        await processes.ask(memo, order_id)
    await memo.invalidate("order:17")
    processes.clock.now += CHECKED_S
    assert await processes.ask(memo, "18") == ("answer 2", "memory")
    assert await processes.ask(memo, "17") == ("answer 3", "executed")


async def test_what_another_process_dropped_during_the_execution_is_not_kept(processes: Processes):
    one, two = processes.memo(), processes.memo()

    async def call() -> ToolResult:
        await two.invalidate("order:17")
        return ToolResult(content="old")

    await one.get_or_call(find_order, {"order_id": "17"}, call)
    assert await one.entries() == []
    assert await processes.ask(two) == ("answer 1", "executed")


async def test_an_entry_ends_in_every_tier(processes: Processes):
    one, two = processes.memo(), processes.memo()
    await processes.ask(one)
    await processes.ask(two)
    processes.clock.now += 3600
    assert await processes.ask(two) == ("answer 2", "executed")


async def test_two_tenants_never_see_each_others_results(processes: Processes):
    one, two = processes.memo("one"), processes.memo("two")
    assert await processes.ask(one) == ("answer 1", "executed")
    assert await processes.ask(two) == ("answer 2", "executed")
    assert [entry.content for entry in await two.entries()] == ["answer 2"]
    assert [await one.invalidate("orders"), await one.invalidate_tool("find_order"), await one.clear()] == [1, 0, 0]
    processes.clock.now += CHECKED_S
    assert (await processes.ask(two))[0] == "answer 2"


async def test_results_of_one_run_stay_in_memory(processes: Processes):
    mine = tool(find_order.original, memo=Memo(scope="run"))
    one, two = processes.memo(), processes.memo()

    async def call() -> ToolResult:
        return ToolResult(content="x")

    sources = [
        (await memo.get_or_call(mine, {"order_id": "17"}, call, scope=MemoScope(run="r"))).source
        for memo in (one, one, two)
    ]
    assert sources == ["executed", "memory", "executed"]


async def test_a_store_that_stops_is_gone_without_and_taken_up_again(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "agentcache.memo")
    with own_redis(tmp_path) as server:
        memo = ToolMemo(clock=clock, shared=open_memo(server.url, clock=clock))
        numbers = count(1)

        async def ask(order_id: str) -> tuple[object, str]:
            async def call() -> ToolResult:
                return ToolResult(content=f"answer {next(numbers)}")

            answer = await memo.get_or_call(find_order, {"order_id": order_id}, call)
            return answer.result.content, answer.source

        assert await ask("17") == ("answer 1", "executed")
        server.stop()
        clock.now += CHECKED_S
        assert await ask("17") == ("answer 1", "memory")
        assert [await ask("18"), await ask("19"), await ask("18")] == [
            ("answer 2", "executed"),
            ("answer 3", "executed"),
            ("answer 2", "memory"),
        ]
        assert memo.statistics()["find_order"].degraded == 2
        server.start()
        clock.now += PAUSE_S
        assert await ask("20") == ("answer 4", "executed")
        assert [entry.arguments for entry in await memo.entries()] == ['{"order_id":"20"}']
        await memo.close()
    assert ["goes without" in text for text in caplog.messages] == [True, False]
    assert caplog.messages[1] == "the memo has its redis tier back"


async def test_what_was_dropped_while_the_store_was_away_is_dropped_when_it_is_back(tmp_path: Path, clock: Clock):
    path = tmp_path / "memo.db"
    memo = ToolMemo(clock=clock, shared=SqliteMemoStore(str(path), clock=clock))

    async def call() -> ToolResult:
        return ToolResult(content="new")

    async def old() -> ToolResult:
        return ToolResult(content="old")

    await memo.get_or_call(find_order, {"order_id": "17"}, old)
    with _locked(path):
        await memo.invalidate("orders")
        assert memo.tiers.away
    clock.now += PAUSE_S
    assert (await memo.get_or_call(find_order, {"order_id": "17"}, call)).result.content == "new"
    await memo.close()


class _locked:  # noqa: N801  # reads as the state of the file
    """Keeps a file locked by another connection, as a program that hangs would."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *_: object) -> None:
        self._connection.close()


async def test_a_file_that_can_only_be_read_gives_out_what_it_has(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "memo.db"
    before = Processes("sqlite", str(path), clock)
    await before.ask(before.memo())
    await before.close()
    _make_read_only(path)

    after = Processes("sqlite", str(path), clock)
    memo = after.memo()
    assert await after.ask(memo) == ("answer 1", "sqlite")
    assert await after.ask(memo, "18") == ("answer 1", "executed")
    assert await after.ask(memo, "18") == ("answer 1", "memory")
    assert memo.statistics()["find_order"].degraded == 1
    assert ["readonly database" in text for text in caplog.messages] == [True]
    await after.close()


def _make_read_only(path: Path) -> None:
    """Mark the file as written by a version of SQLite that others may only read (sqlite.org/fileformat.html, 1.3.3).

    Unlike permissions, that binds root too.
    """
    with path.open("r+b") as file:
        file.seek(18)
        file.write(b"\3")


async def test_an_entry_that_cannot_be_read_is_dropped_and_the_tool_called(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "memo.db"
    made = Processes("sqlite", str(path), clock)
    await made.ask(made.memo())
    broken = sqlite3.connect(path)
    with broken:
        broken.execute("UPDATE memo_entries SET content = ?", (b"\xff{",))
    broken.close()
    memo = made.memo()
    assert await made.ask(memo) == ("answer 2", "executed")
    assert await made.ask(made.memo()) == ("answer 2", "sqlite")
    assert memo.statistics()["find_order"].degraded == 1
    assert ["drops an entry" in text for text in caplog.messages] == [True]
    await made.close()


FULL = """
import asyncio, json, logging, resource, sys, time
from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.tool_results import ToolResult
from agentcache.runtime.tools import tool
from agentcache.stores.memo_opening import open_memo

@tool(deterministic=True, version="1")
async def find(number: int) -> str:
    '''Find.'''
    return ""

async def main():
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("agentcache.memo").addHandler(handler)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as a full disk: no file may grow beyond it
    memo = ToolMemo(clock=time.time, shared=open_memo(sys.argv[1]))
    answers = []
    for number in range(20):
        async def call():
            return ToolResult(content=f"{number}" * 9_000)
        answers.append((await memo.get_or_call(find, {"number": number}, call)).result.content == f"{number}" * 9_000)
    counts = memo.statistics()["find"]
    await memo.close()
    print(json.dumps([answers, counts.misses, counts.degraded, lines]))

asyncio.run(main())
"""


def test_a_disk_that_is_full_is_gone_without(tmp_path: Path):
    command = [sys.executable, "-c", FULL, str(tmp_path / "memo.db")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
    right, misses, degraded, lines = json.loads(done.stdout)
    assert right == [True] * 20
    assert misses == 20
    assert 0 < degraded < 20
    assert len(lines) == 1
    assert "goes without its sqlite tier" in lines[0]


async def test_a_memo_in_memory_counts_calls_and_nothing_else():
    memo = ToolMemo(clock=lambda: 0.0)

    async def call() -> ToolResult:
        await asyncio.sleep(0)
        return ToolResult(content="x")

    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    await memo.get_or_call(find_order, {"order_id": 17}, call)
    assert memo.statistics() == {"find_order": MemoCounts(calls=2, misses=2)}
