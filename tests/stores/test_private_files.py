"""What people and models said is kept in files that only their owner can read."""

from __future__ import annotations

import os
import stat

import pytest

from agentcache import Durable
from agentcache.stores.memo_entries import MemoEntry
from agentcache.stores.memo_opening import open_memo
from agentcache.stores.opening import open_ledger
from tests.workflow.conftest import agent, staged


@pytest.fixture(autouse=True)
def everybody_may_read():
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder):
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*") if path.is_file()}


async def test_ledger_durable_runs_and_request_log_are_their_owner_s_alone(tmp_path):
    durable = Durable(poll_s=0.02)
    async with staged(
        ["yes"],
        store=str(tmp_path / "ledger.db"),
        durable=durable,
        record_requests=tmp_path / "log.jsonl.gz",
        keep_text=True,
    ) as on:
        await on.runtime.run(agent(), "hello")
        found = modes(tmp_path)
    assert {"ledger.db", "ledger.db-wal", "ledger.durable.db", "log.jsonl.gz"} <= found.keys()
    assert set(found.values()) == {"0o600"}


async def test_kept_results_are_too(tmp_path):
    store = open_memo(str(tmp_path / "memo.db"))
    entry = MemoEntry(key="k", tool="t", arguments="{}", content="secret", size=6, stored_at=0.0)
    assert await store.put(entry)
    assert set(modes(tmp_path).values()) == {"0o600"}
    await store.close()


async def test_a_file_that_is_there_keeps_its_mode(tmp_path):
    path = tmp_path / "ledger.db"
    path.touch(0o664)
    path.chmod(0o664)
    await (await open_ledger(str(path))).close()
    assert modes(tmp_path) == {"ledger.db": "0o664"}
