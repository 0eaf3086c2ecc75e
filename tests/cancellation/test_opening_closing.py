"""A runtime that is cancelled while it opens, works or closes lets go of everything that it had."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from agentcache import KeepAlive, Runtime
from agentcache.emulator.server import Emulator, serve
from tests.cancellation.scenarios import CLERK
from tests.cancellation.stage import PATIENCE_S, brief, nothing_left
from tests.cancellation.suspensions import Due, Moment, at, from_on, struck
from tests.stores.redis_server import REDIS_URL, need_redis

HOW = pytest.mark.parametrize(("due", "when"), [(at, "asleep"), (at, "waking"), (from_on, "asleep")])


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


async def lives(
    made: Callable[[Path], Coroutine[Any, Any, str]], folder: Path, chosen: Any, due: Callable[..., Due], when: Moment
) -> None:
    """Strike whole lives of a runtime at the chosen suspensions, each in a folder of its own."""
    (folder / "whole").mkdir()
    whole = await struck(made(folder / "whole"), at())
    assert whole.value == "all is done"
    struck_once = 0
    for number in chosen(whole.suspensions):
        own = folder / str(number)
        own.mkdir()
        try:
            async with asyncio.timeout(PATIENCE_S), nothing_left():
                ended = await struck(made(own), due(number), when=when)
                assert ended.cancelled or (not ended.blows and ended.error is None), ended
                assert not ended.left
                struck_once += ended.blows > 0
                assert await made(own) == "all is done"
        except BaseException as error:
            error.add_note(f"struck at suspension {number} of {whole.suspensions}")
            raise
        with closing(sqlite3.connect(own / "ledger.db")) as ledger:
            assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert struck_once


@HOW
async def test_everything_is_let_go_of(tmp_path, chosen, due, when):
    async with emulated() as emulator:
        await lives(lambda folder: whole_life(emulator.base_url, folder), tmp_path, chosen, due, when)


@HOW
async def test_connections_to_redis_are_let_go_of(tmp_path, chosen, due, when):
    need_redis()
    async with emulated() as emulator:
        await lives(lambda folder: whole_life(emulator.base_url, folder, memo=REDIS_URL), tmp_path, chosen, due, when)
