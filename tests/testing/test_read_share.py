"""The assertion on the read share: for whom, over what, and what its failure shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from agentcache import Agent, Prompt, RunResult, Runtime
from agentcache.accounting.summary import summarise
from agentcache.errors import SettingsError
from agentcache.testing import Emulator, assert_read_share, emulated

RULES = "Answer briefly and say where you looked. " * 120


def agent(name: str) -> Agent[str]:
    return Agent(name=name, model="claude-sonnet-5-5", prompt=Prompt(static=f"You are the {name}. {RULES}"))


@dataclass
class Office:
    """A runtime in which the clerk asked four times (one write, three reads) and the boss once (one write)."""

    runtime: Runtime
    emulator: Emulator
    last: RunResult[str]


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with emulated() as emulator, Runtime("memory:", base_url=emulator.base_url) as runtime:
        await runtime.run(agent("boss"), "Hello")
        for _ in range(3):
            await runtime.run(agent("clerk"), "Hello")
        yield Office(runtime, emulator, await runtime.run(agent("clerk"), "Hello"))


async def test_a_runtime_is_awaited(office: Office) -> None:
    await assert_read_share(office.runtime, at_least=0.59)
    with pytest.raises(AssertionError, match=r"the calls read 60% of the prompt from the cache, less than 90%"):
        await assert_read_share(office.runtime, at_least=0.9)


async def test_one_agent_is_judged_alone(office: Office) -> None:
    await assert_read_share(office.runtime, at_least=0.7, agent="clerk")
    with pytest.raises(AssertionError, match="agent 'boss' read 0%"):
        await assert_read_share(office.runtime, agent="boss")


async def test_the_failure_shows_every_call(office: Office) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_read_share(await office.runtime.ledger.calls(), at_least=0.9, agent="clerk")
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert all("of 'clerk': " in line for line in lines[1:])
    assert " 0 read, " in lines[1]
    assert " 0 written, " in lines[2]


async def test_whatever_tells_what_was_billed_may_be_judged(office: Office) -> None:
    calls = await office.runtime.ledger.calls()
    for source in (calls, summarise(calls), summarise(calls).to_json()):
        assert_read_share(source, at_least=0.7, agent="clerk")
        with pytest.raises(AssertionError, match="agent 'boss' read 0%"):
            assert_read_share(source, at_least=0.1, agent="boss")
    assert_read_share(office.emulator.statement, at_least=0.59)
    assert_read_share(office.last, at_least=0.95)


async def test_who_does_not_tell_agents_apart_cannot_judge_one(office: Office) -> None:
    for source in (office.last, office.emulator.statement):
        with pytest.raises(SettingsError, match="does not tell agents apart"):
            assert_read_share(source, agent="clerk")


async def test_no_calls_prove_nothing(office: Office) -> None:
    with pytest.raises(AssertionError, match=r"no prompt tokens of agent 'nobody' to judge; .*'boss', 'clerk'"):
        await assert_read_share(office.runtime, agent="nobody")
    with pytest.raises(AssertionError, match="no prompt tokens of the calls to judge"):
        assert_read_share([])


@pytest.mark.parametrize("share", [-0.1, 1.5, 60])
def test_a_share_is_between_0_and_1(share: float) -> None:
    with pytest.raises(SettingsError, match="is no share"):
        assert_read_share([], at_least=share)


@pytest.mark.parametrize("report", [{"total": {}}, {"rows": [{"agent": "clerk"}]}])
def test_a_report_of_another_shape_is_refused(report: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"no `rows`|no whole number"):
        assert_read_share(report)  # type: ignore[arg-type]
