"""A strict runtime lints each agent before its first run: an error sends nothing, a warning is told once."""

from __future__ import annotations

import pytest

from agentcache import MistakesFound, Notice, Prompt
from tests.workflow.conftest import RULES, agent

COUNTED = Prompt(static=RULES, session="This is step {{ step_number }}.")
TWICE = Prompt(static=RULES, session=f"You speak to {{{{ who }}}}.\n\n{RULES}")


def warnings(on) -> list[str]:
    return [notice.message for notice in on.told(Notice) if notice.code == "prompt_mistake"]


async def test_a_strict_runtime_sends_nothing_of_an_agent_with_a_mistake(stage):
    async with stage(lambda request: "ok", strict=True) as on:
        with pytest.raises(MistakesFound, match=r"PC057 error.*step_number"):
            await on.runtime.run(agent(prompt=COUNTED), "one", session={"step_number": 1})
        assert await on.runtime.ledger.calls() == []
    assert on.emulator.requests == []


async def test_neither_does_it_warm_one(stage):
    async with stage(lambda request: "ok", strict=True) as on:
        with pytest.raises(MistakesFound):
            await on.runtime.warm(agent(prompt=COUNTED), session={"step_number": 1})
    assert on.emulator.requests == []


async def test_a_runtime_that_is_not_strict_lints_nothing(stage):
    async with stage(lambda request: "ok") as on:
        result = await on.runtime.run(agent(prompt=COUNTED), "one", session={"step_number": 1})
    assert result.output == "ok"
    assert warnings(on) == []


async def test_a_warning_is_told_once_and_stops_nothing(stage):
    wordy = agent(prompt=TWICE)
    async with stage(lambda request: "ok", strict=True) as on:
        for who in ("Ana", "Bob"):
            await on.runtime.run(wordy, "hello", session={"who": who})
    (told,) = warnings(on)
    assert ": PC055 warning: " in told


async def test_warnings_of_a_strict_agent_are_told_by_any_runtime(stage):
    async with stage(lambda request: "ok") as lenient:
        await lenient.runtime.run(agent(prompt=TWICE, strict=True), "hello", session={"who": "Ana"})
    async with stage(lambda request: "ok", strict=True) as strict:
        await strict.runtime.run(agent(prompt=TWICE), "hello", session={"who": "Ana"})
    assert warnings(lenient) == warnings(strict)
    assert len(warnings(lenient)) == 1
