"""Equal calls in several processes over one Redis: one execution, and a holder that dies is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agentcache.errors import StoreError
from agentcache.runtime.call_leases import turn_among_processes
from agentcache.stores.redis import RedisMemoStore
from tests.stores.redis_server import REDIS_URL, need_redis, own_keys

ROOT = Path(__file__).parents[2]


@pytest.fixture
def prefix() -> Iterator[str]:
    need_redis()
    with own_keys() as prefix:
        yield prefix


@pytest.fixture
async def store(prefix: str) -> AsyncIterator[RedisMemoStore]:
    opened = RedisMemoStore(REDIS_URL, clock=lambda: 0.0, prefix=prefix)
    yield opened
    await opened.close()


async def started(prefix: str, folder: Path, name: str, *, lease_s: float, takes_s: float) -> Process:
    arguments = [REDIS_URL, prefix, str(lease_s), name, str(folder), str(takes_s)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.runtime.memo_process",
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert await process.stdout.readline() == b"ready\n"
    return process


async def go(process: Process) -> None:
    process.stdin.write(b"go\n")
    await process.stdin.drain()


async def answers(process: Process) -> list[list[str]]:
    out, _ = await process.communicate()
    found: list[list[str]] = json.loads(out)
    return found


async def executing(folder: Path) -> None:
    while not (folder / "executions").exists():  # noqa: ASYNC110  # another process makes it
        await asyncio.sleep(0.01)


async def test_two_processes_execute_a_call_once(prefix: str, tmp_path: Path):
    pair = [started(prefix, tmp_path, name, lease_s=0.3, takes_s=0.8) for name in "ab"]
    async with asyncio.timeout(60):
        processes = await asyncio.gather(*pair)
        await asyncio.gather(*map(go, processes))
        found = await asyncio.gather(*map(answers, processes))
    assert len((tmp_path / "executions").read_text().split()) == 1
    assert {content for answered in found for content, _ in answered} == {"found"}
    assert sorted(source for answered in found for _, source in answered) == ["executed"] + ["shared"] * 9


async def test_when_the_holder_is_killed_another_process_executes_after_the_lease(prefix: str, tmp_path: Path):
    async with asyncio.timeout(60):
        holder = await started(prefix, tmp_path, "holder", lease_s=1.0, takes_s=600)
        await go(holder)
        await executing(tmp_path)
        other = await started(prefix, tmp_path, "other", lease_s=1.0, takes_s=0)
        await go(other)
        holder.kill()
        await holder.wait()
        found = await answers(other)
    assert (tmp_path / "executions").read_text().split() == ["holder", "other"]
    assert sorted(found) == [["found", "executed"], *[["found", "shared"]] * 4]


async def test_a_lease_belongs_to_its_token_and_ends(store: RedisMemoStore):
    leases = store.leases
    assert await leases.take("k", "mine", for_s=0.1)
    assert not await leases.take("k", "yours", for_s=0.1)
    assert not await leases.renew("k", "yours", for_s=0.1)
    await leases.release("k", "yours")
    assert await leases.renew("k", "mine", for_s=0.1)
    await asyncio.sleep(0.15)
    assert await leases.take("k", "yours", for_s=0.1)
    await leases.release("k", "yours")
    assert await leases.take("k", "mine", for_s=0.1)


async def nothing() -> str | None:
    return None


def unexpected(error: StoreError) -> None:
    raise error


async def test_nobody_waits_for_ever(store: RedisMemoStore):
    await store.leases.take("k", "somebody", for_s=60)
    async with turn_among_processes(store.leases, "k", "mine", nothing, failed=unexpected, wait_s=0.05) as turn:
        assert turn.found is None
    assert not await store.leases.take("k", "another", for_s=60)


async def test_a_lease_is_renewed_while_it_is_held_and_given_up_after(store: RedisMemoStore):
    async with turn_among_processes(store.leases, "k", "mine", nothing, failed=unexpected, lease_s=0.15):
        await asyncio.sleep(0.4)
        assert not await store.leases.take("k", "another", for_s=60)
    assert await store.leases.take("k", "another", for_s=60)


async def test_without_leases_the_call_goes_on(prefix: str):
    away = RedisMemoStore("redis://127.0.0.1:1/0", clock=lambda: 0.0, prefix=prefix)
    told: list[StoreError] = []
    async with turn_among_processes(away.leases, "k", "mine", nothing, failed=told.append) as turn:
        assert turn.found is None
    assert len(told) == 1
    await away.close()
