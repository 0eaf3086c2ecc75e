"""Which results of tools are kept, for how long, and what happens to equal calls that overlap."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.memo import InMemoryMemoStore, Memo, MemoCounts, MemoEntry, Remembered
from agentcache.runtime.tool_results import Outcome, ToolResult
from agentcache.runtime.tools import tool


@tool(deterministic=True, ttl="1h", tags=["orders"])
async def find_order(order_id: str, limit: int = 10) -> str:
    """Look an order up by its number."""
    return order_id * limit


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """A call that counts how often it is made; each answers with its number."""

    def __init__(self, outcome: Outcome = "ok", *, clock: Clock | None = None, takes_s: float = 0.0) -> None:
        self.calls = 0
        self._outcome: Outcome = outcome
        self._clock = clock
        self._takes_s = takes_s

    async def __call__(self) -> ToolResult:
        self.calls += 1
        number = self.calls
        await asyncio.sleep(0)
        if self._clock is not None:
            self._clock.now += self._takes_s
        return ToolResult(content=f"answer {number}", outcome=self._outcome)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memo(clock: Clock) -> Memo:
    return Memo(clock=clock)


async def test_an_equal_call_is_answered_from_the_memo(memo: Memo):
    call = Counted()
    first = await memo.get_or_call(find_order, {"order_id": "17"}, call)
    second = await memo.get_or_call(find_order, {"order_id": "17"}, call)
    assert (first.hit, second.hit) == (False, True)
    assert second.result == first.result == ToolResult(content="answer 1")


@pytest.mark.parametrize(
    ("arguments", "hit"),
    [
        ({"limit": 10, "order_id": "17"}, True),
        ({"order_id": "17", "limit": 10}, True),
        ({"order_id": "17", "limit": 9}, False),
        ({"order_id": "18"}, False),
        ({"order_id": "17", "limit": "10"}, False),
    ],
)
async def test_calls_are_equal_when_their_arguments_are_defaults_and_key_order_aside(
    memo: Memo, arguments: JsonObject, hit: bool
):
    await memo.get_or_call(find_order, {"order_id": "17"}, Counted())
    assert (await memo.get_or_call(find_order, arguments, Counted())).hit is hit


async def test_a_result_lives_as_long_as_its_tool_says(memo: Memo, clock: Clock):
    call = Counted()
    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    clock.now += 3599
    assert (await memo.get_or_call(find_order, {"order_id": "17"}, call)).hit
    clock.now += 1
    assert not (await memo.get_or_call(find_order, {"order_id": "17"}, call)).hit


async def test_a_tool_that_is_not_deterministic_is_always_called(memo: Memo):
    @tool
    async def now() -> str:
        """Tell the time."""
        return "12:00"

    call = Counted()
    await memo.get_or_call(now, {}, call)
    assert not (await memo.get_or_call(now, {}, call)).hit
    assert memo.statistics() == {}


@pytest.mark.parametrize("outcome", ["error", "timeout", "invalid_arguments", "cancelled"])
async def test_what_went_wrong_is_never_kept(memo: Memo, outcome: Outcome):
    call = Counted(outcome)
    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    assert not (await memo.get_or_call(find_order, {"order_id": "17"}, call)).hit
    assert await memo.entries() == []


@pytest.mark.parametrize("outcome", ["ok", "error"])
async def test_equal_calls_that_overlap_are_made_once(memo: Memo, outcome: Outcome):
    call = Counted(outcome)
    answers = await asyncio.gather(*(memo.get_or_call(find_order, {"order_id": "17"}, call) for _ in range(20)))
    assert call.calls == 1
    assert [answer.hit for answer in answers] == [False] + [True] * 19
    assert {answer.result.content for answer in answers} == {"answer 1"}


async def test_different_calls_do_not_wait_for_each_other(memo: Memo):
    both = asyncio.Barrier(2)

    async def call() -> ToolResult:
        await both.wait()
        return ToolResult(content="met")

    async with asyncio.timeout(5):
        await asyncio.gather(
            memo.get_or_call(find_order, {"order_id": "1"}, call), memo.get_or_call(find_order, {"order_id": "2"}, call)
        )


async def test_when_the_first_of_equal_calls_is_cancelled_another_takes_its_place(memo: Memo):
    started = asyncio.Event()

    async def endless() -> ToolResult:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    call = Counted()
    first = asyncio.create_task(memo.get_or_call(find_order, {"order_id": "17"}, endless))
    await started.wait()
    others = [asyncio.create_task(memo.get_or_call(find_order, {"order_id": "17"}, call)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    answers = await asyncio.gather(*others)
    assert call.calls == 1
    assert sorted(answer.hit for answer in answers) == [False, True, True]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_cancelled_waiter_leaves_the_call_that_it_waited_for_alone(memo: Memo):
    go = asyncio.Event()

    async def call() -> ToolResult:
        await go.wait()
        return ToolResult(content="there")

    first = asyncio.create_task(memo.get_or_call(find_order, {"order_id": "17"}, call))
    await asyncio.sleep(0)
    waiter = asyncio.create_task(memo.get_or_call(find_order, {"order_id": "17"}, call))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    go.set()
    assert await first == Remembered(result=ToolResult(content="there"))


async def test_a_tag_invalidates_what_carries_it(memo: Memo):
    other = tool(deterministic=True, tags=["stock"], name="other")(find_order.original)
    await memo.get_or_call(find_order, {"order_id": "17"}, Counted())
    await memo.get_or_call(other, {"order_id": "17"}, Counted())
    assert await memo.invalidate("orders", "unknown") == 1
    assert [entry.tool for entry in await memo.entries()] == ["other"]
    assert await memo.clear() == 1
    assert await memo.entries() == []


async def test_what_was_under_way_during_an_invalidation_is_not_kept(memo: Memo):
    go = asyncio.Event()

    async def stale() -> ToolResult:
        await go.wait()
        return ToolResult(content="stale")

    before = asyncio.create_task(memo.get_or_call(find_order, {"order_id": "17"}, stale))
    await asyncio.sleep(0)
    await memo.invalidate("orders")
    fresh = Counted()
    after = await memo.get_or_call(find_order, {"order_id": "17"}, fresh)
    go.set()
    assert (await before).result.content == "stale"
    assert after.result.content == "answer 1"
    assert [entry.content for entry in await memo.entries()] == ["answer 1"]


async def test_an_invalidation_that_comes_while_the_store_writes_is_not_overtaken(clock: Clock):
    class SlowStore(InMemoryMemoStore):
        async def put(self, entry: MemoEntry) -> None:
            await invalidated.invalidate("orders")
            await InMemoryMemoStore.put(self, entry)

    invalidated = Memo(SlowStore(), clock=clock)
    await invalidated.get_or_call(find_order, {"order_id": "17"}, Counted())
    assert await invalidated.entries() == []


async def test_the_memo_counts_what_it_saved(memo: Memo, clock: Clock):
    call = Counted(clock=clock, takes_s=2.0)
    await asyncio.gather(*(memo.get_or_call(find_order, {"order_id": "17"}, call) for _ in range(3)))
    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    assert memo.statistics() == {"find_order": MemoCounts(hits=1, shared=2, misses=1, saved_s=2.0)}


async def test_content_blocks_come_back_as_they_were(memo: Memo):
    blocks: list[JsonObject] = [{"type": "text", "text": "x"}]

    async def call() -> ToolResult:
        return ToolResult(content=blocks)

    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    assert (await memo.get_or_call(find_order, {"order_id": "17"}, call)).result.content == blocks


async def test_arguments_that_no_json_carries_go_straight_through(memo: Memo):
    call = Counted()
    for _ in range(2):
        assert not (await memo.get_or_call(find_order, {"order_id": float("nan")}, call)).hit


def entry(key: str, size: int = 1) -> MemoEntry:
    return MemoEntry(key=key, tool="t", arguments="", content="x" * size, stored_at=0.0)


async def test_the_least_recently_used_entry_goes_first():
    store = InMemoryMemoStore(max_entries=2)
    await store.put(entry("a"))
    await store.put(entry("b"))
    await store.get("a")
    await store.put(entry("c"))
    assert [await store.get(key) is not None for key in "abc"] == [True, False, True]


async def test_an_entry_too_large_for_the_store_is_not_kept():
    store = InMemoryMemoStore(max_chars=10)
    await store.put(entry("small", 4))
    await store.put(entry("large", 11))
    assert [kept.key for kept in await store.entries()] == ["small"]


def test_a_store_needs_room():
    with pytest.raises(SettingsError, match="room for one entry"):
        InMemoryMemoStore(max_entries=0)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 12)), max_size=30))
async def test_the_store_never_exceeds_its_room_and_keeps_the_newest(puts: list[tuple[str, int]]):
    store = InMemoryMemoStore(max_entries=3, max_chars=12)
    for key, size in puts:
        await store.put(entry(key, size))
        kept = await store.entries()
        assert key in {item.key for item in kept}
        assert len(kept) <= 3
        assert sum(len(item.content) for item in kept) <= 12
