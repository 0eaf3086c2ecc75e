"""Conversations of a runtime: one run at a time, other processes, forks that read the original's cache, exports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentcache import (
    ConversationBusy,
    ConversationChanged,
    Prompt,
    RunError,
    Runtime,
    SettingsError,
    StoreError,
    TargetError,
    tool,
)
from agentcache.emulator.server import serve
from agentcache.prompt.amendments import SectionChange, amendment, texts_told
from agentcache.prompt.canonical import JsonObject
from tests.workflow.conftest import RULES, Request, agent, staged


def heard(request: Request) -> str:
    return f"heard {request['messages'][-1]['content'][-1]['text']}"


def texts(messages: Any) -> list[str]:
    return [message["content"][-1]["text"] for message in messages]


# --- one at a time ----------------------------------------------------------------------------------------------------


async def test_a_second_run_in_a_conversation_is_refused_before_it_sends_anything(stage):
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> str:
        arrived.set()
        await leave.wait()
        return "done"

    async with stage(slow) as on:
        first = asyncio.ensure_future(on.runtime.run(agent(), "first", conversation="c"))
        await arrived.wait()
        with pytest.raises(ConversationBusy, match="'c' has a run under way"):
            await on.runtime.run(agent(), "second", conversation="c")
        with pytest.raises(ConversationBusy):
            await on.runtime.conversations.delete("c")
        leave.set()
        await first
        await on.runtime.run(agent(), "third", conversation="c")
        assert len(on.emulator.requests) == 2
        assert texts(await on.runtime.conversations.messages("c"))[::2] == ["first", "third"]


async def test_a_run_that_was_cancelled_leaves_the_conversation_free_and_as_it_was(stage):
    arrived = asyncio.Event()

    async def stuck(request: Request) -> str:
        if len(request["messages"]) == 1:
            return "done"
        arrived.set()
        await asyncio.Event().wait()
        return "never"

    async with stage(stuck) as on:
        await on.runtime.run(agent(), "first", conversation="c")
        run = asyncio.ensure_future(on.runtime.run(agent(), "second", conversation="c"))
        await arrived.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert texts(await on.runtime.conversations.messages("c")) == ["first", "done"]
        await on.runtime.conversations.delete("c")


async def test_of_two_processes_the_later_keeps_its_run_as_a_fork(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def one_waits(request: Request) -> str:
        if request["messages"][-1]["content"][-1]["text"] == "slow":
            arrived.set()
            await leave.wait()
        return heard(request)

    async with (
        serve(one_waits) as emulator,
        Runtime(url, base_url=emulator.base_url, keep_text=True) as mine,
        Runtime(url, base_url=emulator.base_url, keep_text=True) as theirs,
    ):
        await mine.run(agent(), "first", conversation="c")
        late = asyncio.ensure_future(mine.run(agent(), "slow", conversation="c"))
        await arrived.wait()
        await theirs.run(agent(), "quick", conversation="c")
        leave.set()
        with pytest.raises(ConversationChanged, match="saved by another process") as told:
            await late
        assert isinstance(told.value, RunError)
        assert told.value.conversation == "c"
        assert texts(await mine.conversations.messages("c"))[::2] == ["first", "quick"]
        assert texts(await mine.conversations.messages(told.value.kept_as))[::2] == ["first", "slow"]
        await mine.run(agent(), "go on", conversation=told.value.kept_as)
        calls = await mine.ledger.calls()
    last = calls[-1].usage
    assert last is not None
    assert last.cache_read_tokens > 0


async def test_what_another_process_saved_is_known_before_the_next_run_sends_anything(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    async with (
        serve(heard) as emulator,
        Runtime(url, base_url=emulator.base_url, keep_text=True) as mine,
        Runtime(url, base_url=emulator.base_url, keep_text=True) as theirs,
    ):
        await mine.run(agent(), "one", conversation="c")
        await theirs.run(agent(), "two", conversation="c")
        await mine.run(agent(), "three", conversation="c")

        assert texts(emulator.requests[-1]["messages"])[::2] == ["one", "two", "three"]


async def test_a_conversation_that_is_no_longer_at_hand_is_read_again(stage, monkeypatch):
    monkeypatch.setattr("agentcache.runtime.conversations.AT_HAND", 1)
    async with stage(heard) as on:
        for text in ("one", "two"):
            for its_id in ("c", "d"):
                await on.runtime.run(agent(), text, conversation=its_id)
        assert len(on.runtime.conversations._kept) == 1
        for its_id in ("c", "d"):
            assert texts(await on.runtime.conversations.messages(its_id))[::2] == ["one", "two"]
        calls = await on.runtime.ledger.calls()
    assert all(call.usage.cache_read_tokens > 0 for call in calls[1:])


# --- forks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_text", [True, False])
async def test_a_fork_reads_the_cache_of_the_original(tmp_path, keep_text: bool):
    store = f"sqlite:///{tmp_path}/ledger.db"
    async with staged(heard, store=store, keep_text=keep_text) as on:
        for text in ("one", "two"):
            await on.runtime.run(agent(), text, conversation="c-42")
        whole = await on.runtime.conversations.fork("c-42", "c-43")
        part = await on.runtime.conversations.fork("c-42", "c-44", at=2)
        for its_id in ("c-43", "c-44"):
            await on.runtime.run(agent(), "other", conversation=its_id)
        _, second, on_all, on_part = await on.runtime.ledger.calls()
        assert (whole.messages, part.messages) == (4, 2)
        assert [one.conversation_id for one in await on.runtime.conversations.all()] == ["c-42", "c-43", "c-44"]
        assert texts(await on.runtime.conversations.messages("c-42")) == ["one", "heard one", "two", "heard two"]
    assert on_all.usage.cache_read_tokens == second.usage.cache_read_tokens + second.usage.cache_write_tokens
    assert on_part.usage.cache_read_tokens == second.usage.cache_read_tokens


async def test_a_fork_before_an_amendment_is_told_of_the_change_again(stage):
    news = "sunny"
    semi = agent(
        prompt=Prompt(static=RULES, semi_static="It is {{ news }}."),
        semi_static=lambda: {"news": news},
        refresh=0.001,
    )
    async with stage(heard) as on:
        await on.runtime.run(semi, "one " * 2000, conversation="c")
        news = "stormy"
        await asyncio.sleep(0.01)
        await on.runtime.run(semi, "two", conversation="c")
        await on.runtime.conversations.fork("c", "d", at=2)
        await on.runtime.run(semi, "three", conversation="d")
        amended = [[message["role"] for message in request["messages"]] for request in on.emulator.requests[1:]]
    assert amended == [["user", "assistant", "user", "system"]] * 2


def test_amendments_can_be_read_back():
    changes = [SectionChange(name="news", text="It is\nfoggy."), SectionChange(name="gone", text="")]
    told: list[JsonObject] = [amendment(changes[:1]), {"role": "user", "content": "hi"}, amendment(changes[1:])]

    assert texts_told(told) == {"news": "It is\nfoggy.", "gone": ""}


async def test_a_fork_begins_with_everything_up_to_an_answer(stage):
    @tool
    def look_up() -> str:
        """Look it up."""
        return "found"

    def uses_a_tool(request: Request) -> Any:
        asked = request["messages"][-1]["content"][-1]["type"] == "text"
        return [{"type": "tool_use", "name": "look_up", "input": {}}] if asked else "answer"

    async with stage(uses_a_tool) as on:
        await on.runtime.run(agent(tools=[look_up]), "one", conversation="c")
        for at in (1, 2, 3):
            with pytest.raises(SettingsError, match="take `at` from 4"):
                await on.runtime.conversations.fork("c", "d", at=at)
        with pytest.raises(SettingsError, match="has 4 messages"):
            await on.runtime.conversations.fork("c", "d", at=5)
        with pytest.raises(StoreError, match="no conversation 'x'"):
            await on.runtime.conversations.fork("x", "d")
        assert (await on.runtime.conversations.fork("c", "d", at=0)).messages == 0


# --- exports ----------------------------------------------------------------------------------------------------------


async def test_an_exported_conversation_goes_on_from_the_cache_in_another_ledger(tmp_path):
    async with serve(heard) as emulator:
        async with Runtime("memory:", base_url=emulator.base_url) as first:
            await first.run(agent(), "one", conversation="c")
            lines = (await first.conversations.export("c")).splitlines()
        async with Runtime(f"{tmp_path}/ledger.db", base_url=emulator.base_url, keep_text=True) as second:
            kept = await second.conversations.import_lines(lines)
            await second.run(agent(), "two", conversation="c")
            [call] = await second.ledger.calls()
            assert (kept.conversation_id, kept.messages, kept.head in lines[0]) == ("c", 2, True)
            assert texts(await second.conversations.messages("c")) == ["one", "heard one", "two", "heard two"]
    assert call.usage is not None
    assert call.usage.cache_read_tokens > 0


async def test_an_export_that_was_cut_is_refused(stage):
    async with stage(heard) as on:
        await on.runtime.run(agent(), "one", conversation="c")
        lines = (await on.runtime.conversations.export("c")).splitlines()
        with pytest.raises(TargetError, match="the 1 messages are not the 2 that the header names"):
            await on.runtime.conversations.import_lines(lines[:-1], conversation_id="d")
