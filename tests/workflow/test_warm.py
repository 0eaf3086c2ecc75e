"""Warming: the first real call reads what the warm-up wrote, or the author is told why it could not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from agentcache import Prompt, SettingsError, Team, tool
from agentcache.accounting.usage import CallKind
from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.faults import Fault, ScheduledFaults
from tests.workflow.conftest import RULES, agent, at_once

LAYERED = Prompt(static=RULES, semi_static="News: {{ news }} " * 60, session="Customer: {{ customer }} " * 40)
NEWS = {"news": "rain"}


class Verdict(BaseModel):
    sound: bool


@tool
def look_up(number: int) -> str:
    """Look an order up by its number."""
    return f"order {number}"


@pytest.mark.parametrize("policy", ["auto", "layers", "automatic"])
async def test_the_first_call_reads_what_was_written(stage, policy):
    clerk = agent(cache=policy, tools=[look_up], effort="low", thinking="adaptive")
    async with stage(lambda request: "ok") as on:
        warmed = await on.runtime.warm(clerk)
        result = await on.runtime.run(clerk, "hello")
    assert warmed.written_tokens > 512
    assert warmed.cost_usd > 0
    assert result.usage.cache_read_tokens == warmed.written_tokens


async def test_the_request_is_the_real_one_with_a_placeholder_and_no_answer(stage):
    clerk = agent(tools=[look_up], effort="low", thinking="adaptive")
    async with stage(lambda request: "ok") as on:
        await on.runtime.warm(clerk)
        await on.runtime.run(clerk, "hello")
        warm, real = on.emulator.requests
    assert (warm["max_tokens"], "stream" in warm) == (0, False)
    assert warm["messages"] == [{"role": "user", "content": [{"type": "text", "text": "warmup"}]}]
    assert {key for key in real if key != "stream"} == set(warm)
    assert [warm[key] for key in ("thinking", "output_config")] == [real[key] for key in ("thinking", "output_config")]
    assert "cache_control" in warm["system"][-1]


async def test_the_row_is_of_kind_warm_and_in_a_run_of_its_own(stage):
    async with stage(lambda request: "ok") as on:
        warmed = await on.runtime.warm(agent())
        (call,) = await on.runtime.ledger.calls(run_id=warmed.run_id)
        (run,) = await on.runtime.ledger.runs()
    assert (call.kind, call.usage, call.cost_usd) == (CallKind.WARM, warmed.usage, warmed.cost_usd)
    assert (run.status, run.agent) == ("finished", "clerk")


async def test_a_warm_up_whose_answer_was_damaged_and_that_is_sent_again_is_two_rows_for_two_bills(stage):
    faults = ScheduledFaults([Fault(kind="malformed")])
    async with stage(lambda request: "ok", faults=faults, sleep=at_once) as on:
        warmed = await on.runtime.warm(agent())
        calls = await on.runtime.ledger.calls(run_id=warmed.run_id)
        assert len(on.emulator.statement.lines) == 2
    assert sorted(call.usage is None for call in calls) == [False, True]


async def test_warming_again_reads_and_keeps_it_alive(stage):
    clock = VirtualClock()
    async with stage(lambda request: "ok", clock=clock) as on:
        first = await on.runtime.warm(agent())
        await clock.advance(200)
        second = await on.runtime.warm(agent())
        await clock.advance(200)
        result = await on.runtime.run(agent(), "hello")
    assert (second.written_tokens, second.read_tokens) == (0, first.written_tokens)
    assert result.usage.cache_read_tokens == first.written_tokens


async def test_without_a_session_the_prefix_serves_every_session(stage):
    clerk = agent(prompt=LAYERED, semi_static=NEWS)
    async with stage(lambda request: "ok") as on:
        warmed = await on.runtime.warm(clerk)
        results = [await on.runtime.run(clerk, "hi", session={"customer": name}) for name in ("Ana", "Ben")]
    assert [result.usage.cache_read_tokens for result in results] == [warmed.written_tokens] * 2


async def test_with_a_session_its_layer_is_written_too_and_others_still_read_theirs(stage):
    clerk = agent(prompt=LAYERED, semi_static=NEWS)
    async with stage(lambda request: "ok") as on:
        warmed = await on.runtime.warm(clerk, session={"customer": "Ana"})
        ana, ben = [await on.runtime.run(clerk, "hi", session={"customer": name}) for name in ("Ana", "Ben")]
    assert ana.usage.cache_read_tokens == warmed.written_tokens
    assert 0 < ben.usage.cache_read_tokens < warmed.written_tokens


@pytest.mark.parametrize("policy", ["auto", "automatic"])
async def test_an_agent_of_a_team_is_warmed_as_it_calls_and_so_is_what_the_team_shares(stage, policy):
    @tool
    def zebra(number: int) -> str:
        """Count zebras."""
        return str(number)

    team = Team(name="care", model="claude-sonnet-5-5", prompt=Prompt(static=RULES), tools=[zebra])
    session = Prompt(session="Customer: {{ customer }}")
    ann, ben = (team.agent(name=name, prompt=session, tools=[], cache=policy) for name in ("ann", "ben"))
    async with stage(lambda request: "ok") as on:
        warmed = await on.runtime.warm(ann)
        results = [
            await on.runtime.run(each, "hi", session={"customer": name}) for each, name in ((ann, "Eve"), (ben, "Joe"))
        ]
    assert warmed.written_tokens > 512
    assert [result.usage.cache_read_tokens for result in results] == [warmed.written_tokens] * 2


async def test_a_warm_up_teaches_nothing_about_how_soon_calls_come(stage):
    async with stage(lambda request: "ok") as on:
        history = on.runtime._runner.calls.history
        await on.runtime.warm(agent())
    assert not history._prefixes.gaps.counts
    assert not history._layer_lines


async def test_another_runtime_learns_from_the_ledger_that_the_prefix_lives(stage, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}"
    async with stage(lambda request: "ok", store=url) as on:
        await on.runtime.warm(agent())
    async with stage(lambda request: "ok", store=url) as on:
        live = set(on.runtime._runner.calls.history._entries)
        (call,) = await on.runtime.ledger.calls()
    assert live == set(call.prefix_digests)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cache": "off"}, "cache='off'"),
        ({"model": "claude-sonnet-4-5", "thinking": 2048}, "thinking budget"),
        ({"output": Verdict}, "output format"),
        ({"prompt": Prompt(static="Be brief.")}, "nothing to warm"),
    ],
)
async def test_what_no_real_call_could_read_is_an_error_and_no_call(stage, changes: dict[str, Any], told: str):
    async with stage(lambda request: "never asked") as on:
        with pytest.raises(SettingsError, match=told):
            await on.runtime.warm(agent(**changes))
        assert await on.runtime.ledger.calls() == []


async def test_an_output_that_is_asked_for_in_words_is_part_of_the_warm_prefix(stage):
    clerk = agent(output=Verdict, model="claude-opus-4-1")
    async with stage(lambda request: '{"sound": true}') as on:
        warmed = await on.runtime.warm(clerk)
        result = await on.runtime.run(clerk, "hello")
    assert result.usage.cache_read_tokens == warmed.written_tokens > 0
