"""Which results of tools are kept, for how long, and what happens to equal calls that overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.memo import MemoCounts, Remembered, ToolMemo
from agentcache.runtime.memo_declaration import Memo
from agentcache.runtime.tool_results import Outcome, ToolResult
from agentcache.runtime.tools import tool
from agentcache.stores.memo_entries import MemoEntry, content_json
from agentcache.stores.memo_memory import MemoryMemoStore


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
def memo(clock: Clock) -> ToolMemo:
    return ToolMemo(clock=clock)


async def test_an_equal_call_is_answered_from_the_memo(memo: ToolMemo):
    call = Counted()
    first = await memo.get_or_call(find_order, {"order_id": "17"}, call)
    second = await memo.get_or_call(find_order, {"order_id": "17"}, call)
    assert (first.source, second.source) == ("executed", "memory")
    assert second.result == first.result == ToolResult(content="answer 1")


@pytest.mark.parametrize(
    ("arguments", "hit"),
    [
        ({"limit": 10, "order_id": "17"}, True),
        ({"order_id": "17", "limit": 10}, True),
        ({"order_id": "17", "limit": 9}, False),
        ({"order_id": "18"}, False),
        ({"order_id": "17", "limit": "10"}, True),
        ({"order_id": "17", "limit": 10.0}, True),
    ],
)
async def test_calls_are_equal_when_their_arguments_are_defaults_and_key_order_aside(
    memo: ToolMemo, arguments: JsonObject, hit: bool
):
    await memo.get_or_call(find_order, {"order_id": "17"}, Counted())
    assert (await memo.get_or_call(find_order, arguments, Counted())).hit is hit


async def test_a_result_lives_as_long_as_its_tool_says(memo: ToolMemo, clock: Clock):
    call = Counted()
    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    clock.now += 3599
    assert (await memo.get_or_call(find_order, {"order_id": "17"}, call)).hit
    clock.now += 1
    assert not (await memo.get_or_call(find_order, {"order_id": "17"}, call)).hit


async def test_a_tool_that_is_not_deterministic_is_always_called(memo: ToolMemo):
    @tool
    async def now() -> str:
        """Tell the time."""
        return "12:00"

    call = Counted()
    await memo.get_or_call(now, {}, call)
    assert not (await memo.get_or_call(now, {}, call)).hit
    assert memo.statistics() == {}


@pytest.mark.parametrize("outcome", ["error", "timeout", "invalid_arguments", "cancelled"])
async def test_what_went_wrong_is_never_kept(memo: ToolMemo, outcome: Outcome):
    call = Counted(outcome)
    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    assert not (await memo.get_or_call(find_order, {"order_id": "17"}, call)).hit
    assert await memo.entries() == []


@pytest.mark.parametrize("outcome", ["ok", "error"])
async def test_equal_calls_that_overlap_are_made_once(memo: ToolMemo, outcome: Outcome):
    call = Counted(outcome)
    answers = await asyncio.gather(*(memo.get_or_call(find_order, {"order_id": "17"}, call) for _ in range(20)))
    assert call.calls == 1
    assert [answer.hit for answer in answers] == [False] + [True] * 19
    assert {answer.result.content for answer in answers} == {"answer 1"}


async def test_different_calls_do_not_wait_for_each_other(memo: ToolMemo):
    both = asyncio.Barrier(2)

    async def call() -> ToolResult:
        await both.wait()
        return ToolResult(content="met")

    async with asyncio.timeout(5):
        await asyncio.gather(
            memo.get_or_call(find_order, {"order_id": "1"}, call), memo.get_or_call(find_order, {"order_id": "2"}, call)
        )


async def test_when_the_first_of_equal_calls_is_cancelled_another_takes_its_place(memo: ToolMemo):
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


async def test_a_cancelled_waiter_leaves_the_call_that_it_waited_for_alone(memo: ToolMemo):
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


async def test_a_tag_invalidates_what_carries_it(memo: ToolMemo):
    other = tool(deterministic=True, tags=["stock"], name="other")(find_order.original)
    await memo.get_or_call(find_order, {"order_id": "17"}, Counted())
    await memo.get_or_call(other, {"order_id": "17"}, Counted())
    assert await memo.invalidate("orders", "unknown") == 1
    assert [entry.tool for entry in await memo.entries()] == ["other"]
    assert await memo.clear() == 1
    assert await memo.entries() == []


async def test_what_was_under_way_during_an_invalidation_is_not_kept(memo: ToolMemo):
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
    class SlowStore(MemoryMemoStore):
        async def put(self, entry: MemoEntry, *, unless_moved: Sequence[tuple[int, int]] = ()) -> bool:
            kept = await MemoryMemoStore.put(self, entry, unless_moved=unless_moved)
            await invalidated.invalidate("orders")
            return kept

    invalidated = ToolMemo(shared=SlowStore(), clock=clock)
    await invalidated.get_or_call(find_order, {"order_id": "17"}, Counted())
    assert await invalidated.entries() == []


async def test_an_invalidation_leaves_calls_under_way_alone_that_it_is_not_about(memo: ToolMemo):
    go = asyncio.Event()

    async def call() -> ToolResult:
        await go.wait()
        return ToolResult(content="there")

    first = asyncio.create_task(memo.get_or_call(find_order, {"order_id": "17"}, call))
    await asyncio.sleep(0)
    await memo.invalidate("stock")
    second = asyncio.create_task(memo.get_or_call(find_order, {"order_id": "17"}, Counted()))
    await asyncio.sleep(0)
    go.set()
    assert [(await first).source, (await second).source] == ["executed", "shared"]
    assert len(await memo.entries()) == 1


async def test_a_tool_is_invalidated_by_its_name_and_by_its_version(memo: ToolMemo):
    old, new = (tool(find_order.original, deterministic=True, version=version) for version in "12")
    await memo.get_or_call(old, {"order_id": "17"}, Counted())
    await memo.get_or_call(new, {"order_id": "17"}, Counted())
    assert await memo.invalidate_tool("find_order", version="1") == 1
    assert [entry.version for entry in await memo.entries()] == ["2"]
    assert await memo.invalidate_tool("another") == 0
    assert await memo.invalidate_tool("find_order") == 1


async def test_what_has_expired_is_pruned(memo: ToolMemo, clock: Clock):
    await memo.get_or_call(find_order, {"order_id": "17"}, Counted())
    assert await memo.prune() == 0
    clock.now += 3600
    assert await memo.prune() == 1


async def test_the_memo_counts_what_it_saved(memo: ToolMemo, clock: Clock):
    call = Counted(clock=clock, takes_s=2.0)
    await asyncio.gather(*(memo.get_or_call(find_order, {"order_id": "17"}, call) for _ in range(3)))
    last = await memo.get_or_call(find_order, {"order_id": "17"}, call)
    stored = len(content_json("answer 1"))
    assert last.saved_s == 2.0
    assert memo.statistics() == {
        "find_order": MemoCounts(calls=4, memory=1, shared=2, misses=1, saved_s=6.0, bytes=3 * stored)
    }


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("x" * 200, "more than max_bytes=100"),
        ([{"type": "text", "text": "x", "score": float("nan")}], "would not come back as the same bytes"),
    ],
)
async def test_what_cannot_be_kept_is_not_and_says_so_once(
    memo: ToolMemo, caplog: pytest.LogCaptureFixture, content: str | list[JsonObject], complaint: str
):
    small = tool(find_order.original, memo=Memo(max_bytes=100))

    async def call() -> ToolResult:
        return ToolResult(content=content)

    for _ in range(3):
        assert not (await memo.get_or_call(small, {"order_id": "17"}, call)).hit
    [told] = caplog.messages
    assert complaint in told
    assert "find_order" in told


@pytest.mark.parametrize("outcome", ["ok", "error"])
async def test_a_tool_with_side_effects_makes_results_old_however_it_ends(memo: ToolMemo, outcome: Outcome):
    read = tool(find_order.original, memo=Memo(tags=["order:{order_id}"]))
    write = tool(find_order.original, name="write", invalidates=["order:{order_id}"])
    for order_id in ("17", "18"):
        await memo.get_or_call(read, {"order_id": order_id}, Counted())
    await memo.get_or_call(write, {"order_id": "17"}, Counted(outcome))
    assert [entry.tags for entry in await memo.entries()] == [("order:18",)]
    assert not (await memo.get_or_call(write, {"order_id": "17"}, Counted())).hit


async def test_a_cancelled_call_with_side_effects_makes_results_old(memo: ToolMemo):
    read = tool(find_order.original, memo=Memo(tags=["orders"]))
    write = tool(find_order.original, name="write", invalidates=["orders"])

    async def endless() -> ToolResult:
        await asyncio.Event().wait()
        raise AssertionError

    await memo.get_or_call(read, {"order_id": "17"}, Counted())
    acting = asyncio.create_task(memo.get_or_call(write, {"order_id": "17"}, endless))
    await asyncio.sleep(0)
    acting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acting
    assert await memo.entries() == []


async def test_when_nobody_can_say_what_became_old_everything_did(memo: ToolMemo):
    def broken(order_id: str) -> list[str]:
        raise LookupError(order_id)

    write = tool(find_order.original, name="write", invalidates=broken)
    await memo.get_or_call(find_order, {"order_id": "17"}, Counted())
    assert (await memo.get_or_call(write, {"order_id": "17"}, Counted())).result.content == "answer 1"
    assert await memo.entries() == []


async def test_content_blocks_come_back_as_they_were(memo: ToolMemo):
    blocks: list[JsonObject] = [{"type": "text", "text": "x"}]

    async def call() -> ToolResult:
        return ToolResult(content=blocks)

    await memo.get_or_call(find_order, {"order_id": "17"}, call)
    assert (await memo.get_or_call(find_order, {"order_id": "17"}, call)).result.content == blocks


async def test_arguments_that_no_json_carries_go_straight_through(memo: ToolMemo):
    call = Counted()
    for _ in range(2):
        assert not (await memo.get_or_call(find_order, {"order_id": float("nan")}, call)).hit
