"""What every store of kept results does: in memory, in a real SQLite file, in a real Redis."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentcache.errors import SettingsError, StoreError
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.stores.memo_entries import (
    EVERYTHING,
    TOTAL,
    Content,
    CorruptEntry,
    MemoEntry,
    MemoStore,
    Selection,
    content_json,
    entry_json,
    entry_of_json,
    lasting,
    slot,
    slots_of,
)
from agentcache.stores.memo_memory import MemoryMemoStore
from agentcache.stores.memo_opening import open_memo
from agentcache.stores.memo_sqlite import SqliteMemoStore
from tests.stores.redis_server import REDIS_URL, need_redis, own_keys

NOW = 1_000.0


def now() -> float:
    return NOW


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoStore]:
    if request.param == "memory":
        yield MemoryMemoStore()
    elif request.param == "sqlite":
        opened = SqliteMemoStore(str(tmp_path / "memo.db"), clock=now)
        yield opened
        await opened.close()
    else:
        need_redis()
        from agentcache.stores.redis import RedisMemoStore

        with own_keys() as prefix:
            redis = RedisMemoStore(REDIS_URL, clock=now, prefix=prefix)
            yield redis
            await redis.close()


def entry(key: str = "k", content: Content = "text", **changes: object) -> MemoEntry:
    plain = MemoEntry(
        key=key, tool="t", arguments="{}", content=content, size=len(content_json(content)), stored_at=NOW
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test's own words


BLOCKS: list[JsonObject] = [{"type": "text", "text": "é\u2028\n", "b": 1, "a": [1.0, 1, None, True, 10**20]}]


@pytest.mark.parametrize("content", ["", "é\u2028 \x00 text", BLOCKS], ids=["empty", "text", "blocks"])
async def test_what_is_kept_comes_back_to_the_byte(store: MemoStore, content: Content):
    kept = entry(content=content, tags=("a", "b"), expires_at=NOW + 60, took_s=0.25, tenant="x", version="p1:1")
    assert await store.get("k") is None
    assert await store.put(kept)
    found = await store.get("k")
    assert found == kept
    assert json_text(found.content) == json_text(content)


async def test_a_newer_entry_takes_the_place_of_the_older_one(store: MemoStore):
    await store.put(entry(content="old", tags=("a",)))
    await store.put(entry(content="new", tags=("b",)))
    assert [item.content for item in await store.entries()] == ["new"]
    assert (await store.remove(Selection(tenant="", tags=("b",))))[0] == 1


async def test_entries_are_removed_by_tag_tool_version_and_tenant(store: MemoStore):
    changed: dict[str, dict[str, Any]] = {
        "a": {"tags": ("red", "blue")},
        "b": {"tags": ("blue",), "tool": "u"},
        "c": {"tool": "u", "version": "2"},
        "d": {"tags": ("blue",), "tenant": "other"},
        "e": {},
    }
    for key, changes in changed.items():
        await store.put(entry(key, stored_at=NOW + ord(key), **changes))

    async def left_without(which: Selection) -> str:
        gone, _ = await store.remove(which)
        left = "".join(item.key for item in await store.entries())
        return f"{gone} {left}"

    assert await left_without(Selection(tenant="", tags=("red", "unknown"))) == "1 bcde"
    assert await left_without(Selection(tenant="", tool="u", version="2")) == "1 bde"
    assert await left_without(Selection(tenant="", tool="u")) == "1 de"
    assert await left_without(Selection(tenant="")) == "1 d"
    assert await left_without(Selection(tags=("blue",))) == "1 "
    await store.put(entry("f"))
    assert await left_without(EVERYTHING) == "1 "


async def test_each_removal_moves_the_counters_of_what_it_is_about(store: MemoStore):
    slots = slots_of(tenant="", tool="t", tags=("red",))
    before = await store.counters(slots)
    _, total = await store.remove(Selection(tenant="", tags=("red",)))
    after = await store.counters(slots)
    assert total == (await store.counters((TOTAL,)))[0]
    assert [b - a for a, b in zip(before, after, strict=True)] == [
        1 if item == slot("tag", "", "red") else 0 for item in slots
    ]


async def test_a_result_is_not_kept_when_what_it_stands_under_was_dropped_since(store: MemoStore):
    slots = slots_of(tenant="", tool="t", tags=("red",))
    began = tuple(zip(slots, await store.counters(slots), strict=True))
    await store.remove(Selection(tenant="", tags=("red",)))
    assert not await store.put(entry(tags=("red",)), unless_moved=began)
    assert await store.get("k") is None
    again = tuple(zip(slots, await store.counters(slots), strict=True))
    assert await store.put(entry(tags=("red",)), unless_moved=again)


async def test_one_entry_is_dropped_without_a_trace(store: MemoStore):
    await store.put(entry())
    await store.drop("k")
    assert await store.get("k") is None
    assert await store.counters((TOTAL,)) == (0,)


async def test_what_has_expired_is_pruned(store: MemoStore):
    await store.put(entry("short", expires_at=NOW + 0.05))
    await store.put(entry("long", expires_at=NOW + 60))
    await store.put(entry("endless"))
    if store.tier == "redis":
        await asyncio.sleep(0.1)
    assert await store.prune(NOW + 1) == 1
    assert sorted(item.key for item in await store.entries()) == ["endless", "long"]


def _evicting(folder: Path, kind: str, max_bytes: int) -> MemoryMemoStore | SqliteMemoStore:
    clock = iter(range(1_000, 1_000_000, 100))
    if kind == "memory":
        return MemoryMemoStore(max_bytes=max_bytes)
    return SqliteMemoStore(str(folder / "memo.db"), clock=lambda: float(next(clock)), max_bytes=max_bytes)


@pytest.mark.parametrize(("kind", "room"), [("memory", 2_100), ("sqlite", 70)])
async def test_the_least_recently_used_entry_goes_first(tmp_path: Path, kind: str, room: int):
    store = _evicting(tmp_path, kind, room)
    await store.put(entry("a"))
    await store.put(entry("b"))
    await store.get("a")
    await store.put(entry("c"))
    assert [await store.get(key) is not None for key in "abc"] == [True, False, True]
    assert await store.put(entry("large", "x" * 3_000)) is False
    await store.close()


def test_a_store_needs_room():
    with pytest.raises(SettingsError, match="needs room for a byte"):
        MemoryMemoStore(max_bytes=0)
    with pytest.raises(SettingsError, match="needs room for a byte"):
        SqliteMemoStore("x.db", clock=now, max_bytes=0)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3_000)), max_size=30))
async def test_memory_never_exceeds_its_room_and_keeps_the_newest(puts: list[tuple[str, int]]):
    store = MemoryMemoStore(max_bytes=5_000)
    for key, size in puts:
        await store.put(entry(key, "x" * size))
        kept = await store.entries()
        assert key in {item.key for item in kept}
        assert sum(item.size + 1_000 for item in kept) <= 5_000


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3_000)), max_size=12))
async def test_a_file_never_keeps_more_than_its_room_and_counts_right(tmp_path: Path, puts: list[tuple[str, int]]):
    store = _evicting(tmp_path, "sqlite", 5_000)
    await store.remove(EVERYTHING)
    for key, size in puts:
        await store.put(entry(key, "x" * size))
        kept = await store.entries()
        assert key in {item.key for item in kept}
        assert sum(item.size for item in kept) <= 5_000
    await store.close()
    counted = sqlite3.connect(tmp_path / "memo.db")
    assert (
        counted.execute("SELECT bytes FROM memo_size").fetchone()
        == counted.execute("SELECT coalesce(sum(size), 0) FROM memo_entries").fetchone()
    )
    counted.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=3))
def test_what_lasts_comes_back_as_the_same_wire_bytes(content: Content):
    if lasting(content) is not None:
        kept = entry_of_json(entry_json(entry(content=content)))
        assert json_text(kept.content) == json_text(content)


@pytest.mark.parametrize(
    "content",
    [
        "half \ud800 a pair",
        [{"type": "text", "text": "x", "n": float("nan")}],
        [{"type": "text", "text": "x", "n": {1: "a", "1": "b"}}],
        [{"type": "text", "text": object()}],
    ],
    ids=["surrogate", "nan", "two keys of one name", "object"],
)
def test_what_json_would_change_does_not_last(content: Content):
    assert lasting(content) is None


def test_bytes_that_are_no_entry_say_so():
    with pytest.raises(CorruptEntry, match="cannot be read back"):
        entry_of_json(b'{"kind": "text"}')


async def test_a_file_that_is_no_memo_is_an_error_with_its_name(tmp_path: Path):
    (tmp_path / "memo.db").write_text("not a database, but long enough to look like a header of one" * 20)
    store = SqliteMemoStore(str(tmp_path / "memo.db"), clock=now)
    with pytest.raises(StoreError, match=r"memo\.db: the memo cannot read: file is not a database"):
        await store.get("k")
    await store.close()


async def test_a_memo_of_a_newer_format_is_left_alone(tmp_path: Path):
    newer = sqlite3.connect(tmp_path / "memo.db")
    newer.execute("PRAGMA user_version = 2")
    newer.close()
    store = SqliteMemoStore(str(tmp_path / "memo.db"), clock=now)
    with pytest.raises(StoreError, match="a newer agentcache wrote this memo"):
        await store.put(entry())
    await store.close()


async def test_who_waits_behind_a_locked_file_fails_with_the_first(tmp_path: Path):
    store = SqliteMemoStore(str(tmp_path / "memo.db"), clock=now)
    await store.put(entry())
    holder = sqlite3.connect(tmp_path / "memo.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    failures = await asyncio.gather(*(store.put(entry(str(i))) for i in range(5)), return_exceptions=True)
    assert len({id(failure) for failure in failures}) == 1
    assert isinstance(failures[0], StoreError)
    holder.close()
    assert await store.put(entry())
    await store.close()


async def test_two_stores_of_one_file_see_each_other(tmp_path: Path):
    one, two = (SqliteMemoStore(str(tmp_path / "deeper" / "memo.db"), clock=now) for _ in range(2))
    await one.put(entry(tags=("red",)))
    assert (await two.get("k")).content == "text"
    assert (await two.remove(Selection(tenant="", tags=("red",))))[0] == 1
    assert await one.get("k") is None
    await one.close()
    await two.close()


@pytest.mark.parametrize("url", [None, "memory:"])
async def test_no_url_is_memory_and_empty(url: str | None):
    store = open_memo(url)
    assert (store.tier, await store.entries()) == ("memory", [])


@pytest.mark.parametrize("url", ["memo.db", "sqlite:///memo.db", "sqlite+aiosqlite:///memo.db"])
async def test_a_path_and_a_url_name_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.chdir(tmp_path)
    store = open_memo(url, clock=now)
    assert not (tmp_path / "memo.db").exists()
    await store.put(entry())
    await store.close()
    assert (tmp_path / "memo.db").exists()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://localhost/x", "lies in a SQLite file or in Redis"),
        ("memo", "names no database.*or redis://"),
        ("mysql://localhost/x", "not supported"),
        ("redis://localhost:port", "none that Redis takes"),
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str, complaint: str):
    with pytest.raises(SettingsError, match=complaint):
        open_memo(url)
