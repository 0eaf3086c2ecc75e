"""A runtime that is cancelled while it opens, works or closes lets go of everything that it had."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from agentcache import KeepAlive, Runtime
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.server import Emulator, serve
from tests.cancellation.scenarios import CLERK, OWN_REDIS_URL
from tests.cancellation.stage import PATIENCE_S, SPREAD, WAYS, Chosen, brief, nothing_left
from tests.cancellation.suspensions import at, struck
from tests.stores.redis_server import need_redis
from tests.workflow.test_keep_warm import ROOMY, long_silences


async def whole_life(base_url: str, folder: Path, **options: Any) -> str:
    """Open a runtime with everything that it can have, run something and close it."""
    given: dict[str, Any] = {
        "memo": str(folder / "memo.db"),
        "record_requests": folder / "requests.jsonl",
        "keep_alive": KeepAlive(usd=1, threshold_tokens=0),
        **options,
    }
    async with Runtime(str(folder / "ledger.db"), base_url=base_url, sleep=brief, **given) as runtime:
        found = await runtime.run(CLERK, "hello", conversation="c")
        await runtime.memo.clear()
        return str(found.output)


@asynccontextmanager
async def emulated() -> AsyncIterator[Emulator]:
    async with serve(lambda request: "all is done") as emulator:
        yield emulator


async def lives(made: Callable[[Path], Coroutine[Any, Any, str]], folder: Path, chosen: Chosen) -> None:
    """Strike whole lives of a runtime in every way at the chosen suspensions, each in a folder of its own."""
    (folder / "whole").mkdir()
    whole = await struck(made(folder / "whole"), at())
    assert whole.value == "all is done"
    blows = 0
    for due, when in WAYS:
        for number in chosen(whole.suspensions - SPREAD, whole.suspensions + SPREAD):
            own = folder / f"{due.__name__} {number} of {whole.suspensions}, {when}"
            own.mkdir()
            try:
                async with asyncio.timeout(PATIENCE_S), nothing_left():
                    ended = await struck(made(own), due(number), when=when)
                    assert ended.cancelled or (not ended.blows and ended.error is None), ended
                    assert not ended.left
                    blows += ended.blows
                    await made(own)
            except BaseException as error:
                error.add_note(f"struck {own.name}")
                raise
            with closing(sqlite3.connect(own / "ledger.db")) as ledger:
                assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert blows, "nothing was ever struck"


async def test_everything_is_let_go_of(tmp_path, chosen):
    async with emulated() as emulator:
        await lives(lambda folder: whole_life(emulator.base_url, folder), tmp_path, chosen)


async def test_connections_to_redis_are_let_go_of(tmp_path, chosen):
    need_redis()
    async with emulated() as emulator:
        await lives(lambda folder: whole_life(emulator.base_url, folder, memo=OWN_REDIS_URL), tmp_path, chosen)


async def test_a_read_that_keeps_a_prompt_alive_is_cancelled_with_its_runtime_and_has_its_row(tmp_path, chosen):
    clock = VirtualClock()

    async def kept_alive(base_url: str, folder: Path) -> str:
        options: dict[str, Any] = {"keep_alive": ROOMY, "clock": clock.now, "sleep": clock.sleep}
        async with Runtime(str(folder / "ledger.db"), base_url=base_url, **options) as runtime:
            runtime._runner.calls.history.learn(long_silences(clock.now()))
            found = await runtime.run(CLERK, "hello", conversation="c")
            await clock.advance(291)
            for _ in range(4):
                await asyncio.sleep(0)  # the read is under way when the runtime closes
            return str(found.output)

    async with serve(lambda request: "all is done", clock=clock) as emulator:
        await lives(lambda folder: kept_alive(emulator.base_url, folder), tmp_path, chosen)
        pings = [each for each in emulator.requests if each["max_tokens"] == 0]
    assert pings
