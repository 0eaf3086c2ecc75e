"""The prefix guard of a runtime: what moved in a conversation is told, or an error where the runtime is strict."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agentcache import Notice, PrefixMoved, Prompt, Runtime, tool
from agentcache.emulator.server import serve
from tests.workflow.conftest import RULES, Request, agent
from tests.workflow.test_semi_static import bare, extends

WITH_SESSION = Prompt(static=RULES, session="You speak to {{ who }}.")


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is in the handbook"


@tool
def remember(word: str) -> str:
    """Remember a word."""
    return f"{word} is remembered"


class Verdict(BaseModel):
    sound: bool


def moves(on: Any) -> list[str]:
    return [notice.message for notice in on.told(Notice) if notice.code == "prefix_moved"]


async def test_a_changed_session_variable_is_told_with_its_place_and_price(stage):
    asked = agent(prompt=WITH_SESSION)
    async with stage(lambda request: "ok") as on:
        await on.runtime.run(asked, "one", session={"who": "Ana"}, conversation="c")
        await on.runtime.run(asked, "two", session={"who": "Bob"}, conversation="c")
        first, second = await on.runtime.ledger.calls()
    lost = first.usage.cache_write_tokens - second.usage.cache_read_tokens
    assert lost > 0
    assert moves(on) == [
        "system[1] (section 'session', session layer) is not what this conversation sent before: "
        f"{lost} cached tokens behind it are written again (${second.plan['moved']['lost_usd'][:8]} more than "
        "reading them)"
    ]
    assert second.plan["moved"]["where"] == "system[1]"
    assert second.plan["moved"]["lost_tokens"] == lost


async def test_conversations_that_only_grow_are_told_nothing(stage):
    async with stage(lambda request: "ok", strict=True) as on:
        for text in ("one", "two", "three"):
            await on.runtime.run(agent(tools=[look_up]), text, conversation="c")
        plans = [call.plan for call in await on.runtime.ledger.calls()]
    assert on.told(Notice) == []
    assert all("moved" not in plan for plan in plans)


async def test_runs_without_a_conversation_have_nothing_to_keep(stage):
    asked = agent(prompt=WITH_SESSION)
    async with stage(lambda request: "ok", strict=True) as on:
        await on.runtime.run(asked, "one", session={"who": "Ana"})
        await on.runtime.run(asked, "two", session={"who": "Bob"})
    assert on.told(Notice) == []


@pytest.mark.parametrize(
    ("changes", "options", "where"),
    [
        ({"tools": [look_up, remember]}, {}, "tools[1]"),
        ({"model": "claude-haiku-5-5"}, {}, "model"),
        ({"prompt": Prompt(static=RULES + "Be kind.")}, {}, "system[0]"),
        ({}, {"output": Verdict}, "output_config.format"),
    ],
)
async def test_strict_holds_a_call_back_whose_prefix_moved(stage, changes, options, where):
    async with stage(lambda request: "ok", strict=True) as on:
        await on.runtime.run(agent(tools=[look_up]), "one", conversation="c")
        with pytest.raises(PrefixMoved, match="clerk: ") as raised:
            await on.runtime.run(agent(**{"tools": [look_up], **changes}), "two", conversation="c", **options)
        assert len(on.emulator.requests) == 1
        again = await on.runtime.run(agent(tools=[look_up]), "two", conversation="c")
    assert raised.value.where == where
    assert again.output == "ok"


async def test_strict_finds_the_culprit_beside_a_semi_static_change(stage):
    news = ["sunny"]
    prompt = Prompt(static=RULES, semi_static="It is {{ news }}.", session="You speak to {{ who }}.")
    asked = agent(prompt=prompt, semi_static=lambda: {"news": news[0]}, refresh=1e-6)
    async with stage(lambda request: "ok", strict=True) as on:
        await on.runtime.run(asked, "one", session={"who": "Ana"}, conversation="c")
        news[0] = "stormy"
        with pytest.raises(PrefixMoved) as raised:
            await on.runtime.run(asked, "two", session={"who": "Bob"}, conversation="c")
    assert raised.value.where == "system[2]"


async def test_an_agent_that_caches_nothing_has_no_prefix_to_guard(stage):
    asked = agent(prompt=WITH_SESSION, cache="off")
    async with stage(lambda request: "ok", strict=True) as on:
        await on.runtime.run(asked, "one", session={"who": "Ana"}, conversation="c")
        await on.runtime.run(asked, "two", session={"who": "Bob"}, conversation="c")
    assert on.told(Notice) == []


async def test_thinking_that_a_moved_prompt_would_have_refused_is_left_out_and_told(stage):
    def thinks(request: Request) -> Any:
        return [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "ok"}]

    asked = agent(prompt=WITH_SESSION)
    async with stage(thinks) as on:
        await on.runtime.run(asked, "one", session={"who": "Ana"}, conversation="c")
        await on.runtime.run(asked, "two", session={"who": "Bob"}, conversation="c")
        await on.runtime.run(asked, "three", session={"who": "Bob"}, conversation="c")
        _, second, third = on.emulator.requests
    assert [block["type"] for block in second["messages"][1]["content"]] == ["text"]
    assert [block["type"] for block in third["messages"][3]["content"]] == ["thinking", "text"]
    assert [notice.code for notice in on.told(Notice)] == ["thinking_dropped", "prefix_moved"]


async def test_another_model_is_asked_with_settings_of_its_own(stage):
    async with stage(lambda request: "ok") as on:
        await on.runtime.run(agent(model="claude-sonnet-4-5", thinking=2_048), "one", conversation="c")
        await on.runtime.run(agent(thinking="adaptive"), "two", conversation="c")
        second = on.emulator.requests[1]
    assert second["thinking"] == {"type": "adaptive"}


STEPS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(
            ["claude-sonnet-5-5"] * 3 + ["claude-haiku-5-5", "claude-sonnet-5", "claude-haiku-4-5"]
        ),
        "news": st.sampled_from(["sunny", "stormy", "foggy"]),
        "offer": st.sampled_from(["", "One for two."]),
        "who": st.sampled_from(["Ana"] * 3 + ["Bob"]),
        "rules": st.sampled_from([RULES] * 4 + [RULES + "Be kind."]),
        "tools": st.sampled_from([[look_up]] * 3 + [[look_up, remember], []]),
        "output": st.sampled_from([str] * 4 + [Verdict]),
        "thinks": st.booleans(),
        "calls_tool": st.booleans(),
        "other_process": st.booleans(),
    }
)
SIMILAR = ("model", "who", "rules", "tools", "output")
"""What stays as it was in most steps, so that conversations grow as well as move."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(STEPS, st.integers(0, 3)), min_size=2, max_size=7))
def test_whatever_changes_no_request_is_refused_and_none_moves_unsaid(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("conversation") / "ledger.db"
    like_before = [
        {**step, **({} if moves == 0 else {name: steps[0][0][name] for name in SIMILAR})} for step, moves in steps
    ]
    asyncio.run(_holds(f"sqlite+aiosqlite:///{path}", like_before))


async def _holds(store: str, steps: list[dict[str, Any]]) -> None:
    step: dict[str, Any] = {}

    def script(request: Request) -> Any:
        last = [message for message in request["messages"] if message["role"] == "user"][-1]["content"]
        thinking = [{"type": "thinking", "thinking": "hm"}] if step["thinks"] else []
        if step["calls_tool"] and step["tools"] and last[0]["type"] != "tool_result":
            return [*thinking, {"type": "tool_use", "name": "look_up", "input": {"word": "rain"}}]
        return [*thinking, {"type": "text", "text": '{"sound": true}'}]

    async with serve(script) as emulator:
        for number, changes in enumerate(steps):
            if number == 0 or changes["other_process"]:
                runtime = Runtime(store, base_url=emulator.base_url, keep_text=True)
                await runtime.__aenter__()
            step.update(changes)
            await runtime.run(
                _clerk(changes),
                f"question {number}",
                session={"who": changes["who"]},
                conversation="c",
                output=changes["output"],
            )
            if number + 1 == len(steps) or steps[number + 1]["other_process"]:
                calls = await runtime.ledger.calls()
                await runtime.__aexit__(None, None, None)
        requests = emulator.requests
    assert len(calls) == len(requests)
    for before, after, call in zip(requests, requests[1:], calls[1:], strict=False):
        plan: dict[str, Any] = dict(call.plan)
        rewritten = plan.get("semi_static", {}).get("choice") == "rewrite"
        assert extends(after, before) or rewritten or "moved" in plan
        assert bare(after["messages"])[0] == bare(before["messages"])[0]


def _clerk(step: dict[str, Any]) -> Any:
    prompt = Prompt(
        static=step["rules"],
        semi_static=["It is {{ news }}.", "{{ offer }}"],
        session="You speak to {{ who }}, and it is {{ news }}.",
    )
    snapshot = {"news": step["news"], "offer": step["offer"]}
    return agent(model=step["model"], prompt=prompt, tools=step["tools"], semi_static=snapshot)
