"""Semi-static text changes while a conversation runs: told behind the messages, or the prefix is rewritten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from agentcache import Notice, Prompt, Runtime, tool
from agentcache.emulator.server import Emulator, serve
from tests.workflow.conftest import RULES, Request, agent

LETTER = "I wrote to you about my order, and here is what I wrote. " * 100 + "What is new?"
LONG_ANSWER = "I looked it up in the handbook, and this is what it says. " * 100
BULLETIN = "Bulletin: {{ news }}. Say so when somebody asks."


class Desk:
    """An agent whose bulletin changes whenever a test says so, and what it told the emulator."""

    def __init__(self, *, letter: str = LETTER, **changes: Any) -> None:
        self.news, self.letter = "sunny", letter
        declared = {"prompt": Prompt(static=RULES, semi_static=BULLETIN), "refresh": 1e-6, **changes}
        self.agent = agent(semi_static=lambda: {"news": self.news}, **declared)

    async def ask(self, on: Any, news: str, **options: Any) -> Any:
        self.news = news
        return await on.runtime.run(self.agent, self.letter, conversation="c", **options)


def answers(request: Request) -> Any:
    return LONG_ANSWER


def thinks(request: Request) -> Any:
    return [{"type": "thinking", "thinking": "Let me see."}, {"type": "text", "text": LONG_ANSWER}]


def bare(value: Any) -> Any:
    """Return a part of a request without its markers."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if key != "cache_control"}
    return value


def extends(later: Request, earlier: Request) -> bool:
    """Tell whether one request begins with all that another sent."""
    said, before = bare(later["messages"]), bare(earlier["messages"])
    return (
        bare(later.get("system")) == bare(earlier.get("system"))
        and bare(later.get("tools")) == bare(earlier.get("tools"))
        and bool(said[: len(before)] == before)
    )


def amendments(request: Request) -> list[str]:
    return [
        block["text"] for message in request["messages"] if message["role"] == "system" for block in message["content"]
    ]


def codes(on: Any) -> list[str]:
    return [notice.code for notice in on.told(Notice)]


async def test_a_change_is_appended_once_and_later_calls_read_the_old_prefix(stage):
    desk = Desk()
    async with stage(answers) as on:
        for news in ("sunny", "stormy", "stormy"):
            await desk.ask(on, news)
        first, second, third = on.emulator.requests
        calls = await on.runtime.ledger.calls()
    assert second["messages"][-1]["role"] == "system"
    assert amendments(third) == ["[section semi_static changed]\nBulletin: stormy. Say so when somebody asks."]
    assert extends(second, first)
    assert extends(third, second)
    for before, after in pairwise(calls):
        assert after.usage.cache_read_tokens == before.usage.cache_read_tokens + before.usage.cache_write_tokens


async def test_each_later_change_is_told_too_and_the_newest_stands_last(stage):
    desk = Desk()
    async with stage(answers) as on:
        for news in ("sunny", "stormy", "sunny"):
            await desk.ask(on, news)
        last = on.emulator.requests[-1]
    assert [text.split()[4] for text in amendments(last)] == ["stormy.", "sunny."]


async def test_the_choice_and_its_sum_stand_in_the_plan_and_in_a_notice(stage):
    desk = Desk()
    async with stage(answers) as on:
        for news in ("sunny", "stormy", "stormy"):
            await desk.ask(on, news)
        plans = [call.plan for call in await on.runtime.ledger.calls()]
        notices = on.told(Notice)
    choice = plans[1]["semi_static"]
    assert (choice["choice"], choice["sections"]) == ("append", ["semi_static"])
    assert choice["append_cost_tokens"] < choice["rewrite_cost_tokens"]
    assert ["semi_static" in plan for plan in plans] == [False, True, False]
    assert [notice.code for notice in notices] == ["semi_static_appended"]
    assert choice["reason"] in notices[0].message


async def test_nothing_is_said_within_a_refresh_window(stage):
    desk = Desk(refresh="1h")
    async with stage(answers) as on:
        await desk.ask(on, "sunny")
        await desk.ask(on, "stormy")
        first, second = on.emulator.requests
    assert amendments(second) == []
    assert extends(second, first)
    assert codes(on) == []


async def test_a_model_without_system_messages_gets_a_new_prefix(stage):
    desk = Desk(model="claude-sonnet-5")
    async with stage(answers, strict=True) as on:
        await desk.ask(on, "sunny")
        await desk.ask(on, "stormy")
        second = on.emulator.requests[1]
        plans = [call.plan for call in await on.runtime.ledger.calls()]
    assert "stormy" in second["system"][1]["text"]
    assert plans[1]["semi_static"]["choice"] == "rewrite"
    assert "moved" not in plans[1]
    assert codes(on) == ["semi_static_rewritten"]


async def test_a_large_section_in_a_short_conversation_is_rewritten(stage):
    large = Prompt(static=RULES, semi_static=[BULLETIN + " More is to come." * 500])
    desk = Desk(letter="What is new?", model="claude-haiku-5-5", prompt=large)
    async with stage(lambda request: "ok") as on:
        await desk.ask(on, "sunny")
        await desk.ask(on, "stormy")
        second = on.emulator.requests[1]
    assert amendments(second) == []
    assert codes(on) == ["semi_static_rewritten"]


async def test_a_rewrite_takes_in_what_amendments_said(stage):
    catalogue = "{% if news == 'spring' %}New{% else %}Old{% endif %} catalogue. " + "One more article. " * 6000
    sections = [BULLETIN, catalogue]
    desk = Desk(model="claude-haiku-5-5", prompt=Prompt(static=RULES, semi_static=sections))
    async with stage(answers, strict=True) as on:
        for news in ("sunny", "stormy", "spring", "spring"):
            await desk.ask(on, news)
        requests = on.emulator.requests
    assert codes(on) == ["prompt_mistake", "semi_static_appended", "semi_static_rewritten"]  # long text behind the news
    assert amendments(requests[2]) == []
    assert "spring" in requests[2]["system"][1]["text"]
    assert extends(requests[3], requests[2])


async def test_a_model_without_system_messages_takes_a_conversation_over(stage):
    desk = Desk(model="claude-haiku-5-5")
    async with stage(answers) as on:
        await desk.ask(on, "sunny")
        await desk.ask(on, "stormy")
        await Desk(model="claude-sonnet-5").ask(on, "stormy")
        _, second, third = on.emulator.requests
    assert amendments(second) != []
    assert amendments(third) == []
    assert "stormy" in third["system"][1]["text"]


async def test_bound_thinking_is_never_put_behind_another_prompt(stage):
    large = Prompt(static=RULES, semi_static=[BULLETIN + " More is to come." * 500])
    desk = Desk(letter="What is new?", prompt=large)
    async with stage(thinks) as on:
        for news in ("sunny", "stormy", "stormy"):
            await desk.ask(on, news)
        first, second, third = on.emulator.requests
    assert codes(on) == ["semi_static_appended"]
    assert extends(second, first)
    assert extends(third, second)


async def test_bound_thinking_without_system_messages_keeps_the_old_text(stage):
    desk = Desk()
    object.__setattr__(desk.agent, "facts", replace(desk.agent.facts, mid_conversation_system=False))
    async with stage(thinks, strict=True) as on:
        await desk.ask(on, "sunny")
        await desk.ask(on, "stormy")
        first, second = on.emulator.requests
        await on.runtime.run(desk.agent, "And in a new conversation?")
        third = on.emulator.requests[2]
    assert extends(second, first)
    assert amendments(second) == []
    assert codes(on) == ["semi_static_kept"]
    assert "stormy" in third["system"][1]["text"]


async def test_a_section_that_comes_and_goes_is_told(stage):
    sections = [BULLETIN, "{% if news == 'stormy' %}Stay at home.{% endif %}"]
    desk = Desk(prompt=Prompt(static=RULES, semi_static=sections))
    async with stage(answers) as on:
        for news in ("sunny", "stormy", "sunny"):
            await desk.ask(on, news)
        told = amendments(on.emulator.requests[-1])
    assert "[section semi_static_2 changed]\nStay at home." in told
    assert told[-1] == "[section semi_static_2 removed]"


async def test_session_text_that_uses_semi_static_variables_is_amended_too(stage):
    prompt = Prompt(static=RULES, semi_static=BULLETIN, session="Tell {{ who }} that it is {{ news }}.")
    desk = Desk(prompt=prompt)
    async with stage(answers, strict=True) as on:
        await desk.ask(on, "sunny", session={"who": "Ana"})
        await desk.ask(on, "stormy", session={"who": "Ana"})
        told = amendments(on.emulator.requests[-1])
    assert told[1] == "[section session changed]\nTell Ana that it is stormy."


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is in the handbook"


async def test_an_amendment_never_stands_between_a_tool_call_and_its_result(stage):
    def script(request: Request) -> Any:
        last = [message for message in request["messages"] if message["role"] == "user"][-1]["content"]
        if any(block["type"] == "tool_result" for block in last):
            return LONG_ANSWER
        return [{"type": "tool_use", "name": "look_up", "input": {"word": "rain"}}]

    desk = Desk(tools=[look_up])
    async with stage(script) as on:
        for news in ("sunny", "stormy", "foggy"):
            await desk.ask(on, news)
        requests = on.emulator.requests
    assert all(extends(after, before) for before, after in pairwise(requests))
    roles = [message["role"] for message in requests[-1]["messages"]]
    assert roles == [
        *("user", "assistant", "user", "assistant"),
        *("user", "system", "assistant", "user", "assistant"),
        *("user", "system", "assistant", "user"),
    ]


class Process:
    """One process after another on the same database and the same emulator."""

    def __init__(self, emulator: Emulator, store: str) -> None:
        self.emulator, self.store = emulator, store
        self.notices: list[Notice] = []

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Any]:
        def listen(event: Any) -> None:
            if isinstance(event, Notice):
                self.notices.append(event)

        async with Runtime(
            self.store, base_url=self.emulator.base_url, keep_text=True, strict=True, on_event=listen
        ) as self.runtime:
            yield self


async def test_a_conversation_goes_on_in_another_process(tmp_path):
    desk = Desk(prompt=Prompt(static=RULES, semi_static=BULLETIN, session="You speak to {{ who }}."), tools=[look_up])
    async with serve(thinks) as emulator:
        process = Process(emulator, f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}")
        for news in ("sunny", "stormy", "stormy", "foggy"):
            async with process.opened() as on:
                await desk.ask(on, news, session={"who": "Ana"})
        requests = emulator.requests
        async with process.opened() as on:
            calls = await on.runtime.ledger.calls()
    assert all(extends(after, before) for before, after in pairwise(requests))
    assert len(amendments(requests[-1])) == 2
    assert [notice.code for notice in process.notices] == ["semi_static_appended", "semi_static_appended"]
    for before, after in pairwise(calls):
        assert after.usage.cache_read_tokens == before.usage.cache_read_tokens + before.usage.cache_write_tokens
