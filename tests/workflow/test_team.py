"""A team at work: agents that were never called before read what another one wrote."""

from __future__ import annotations

from agentcache import Prompt, Run, Team, tool, workflow
from tests.workflow.conftest import RULES

NAMES = ("planner", "critic", "editor", "judge")


@tool
def search(words: str) -> str:
    """Search the archive."""
    return words


TEAM = Team(name="crew", model="claude-sonnet-5-5", prompt=Prompt(static=RULES), tools=[search])
AGENTS = [TEAM.agent(name=name, prompt=Prompt(static=f"You are the {name}. " * 40)) for name in NAMES]


async def test_each_agents_first_call_reads_what_the_first_agent_wrote(stage):
    async with stage(lambda request: "ok") as on:
        for agent in AGENTS:
            await on.runtime.run(agent, "Go.")
        first, *others = [call.usage for call in await on.runtime.ledger.calls()]
    assert first.cache_read_tokens == 0
    shared = others[0].cache_read_tokens
    assert shared > 1000
    assert [usage.cache_read_tokens for usage in others] == [shared] * 3
    assert all(usage.cache_write_tokens < shared / 2 for usage in others)


async def test_agents_that_begin_together_write_the_shared_prefix_once(stage):
    @workflow
    async def meeting(run: Run) -> list[str]:
        return list(await run.gather(*(run.ask(agent, "Go.") for agent in AGENTS)))

    async with stage(lambda request: "ok") as on:
        await on.runtime.run(meeting)
        lines = on.emulator.statement.lines
        requests = on.emulator.requests
    assert sorted(line.charge.read_tokens > 1000 for line in lines) == [False, True, True, True]
    assert len({str(request["tools"]) for request in requests}) == 1
    assert len({request["system"][0]["text"] for request in requests}) == 1
    assert len({request["system"][1]["text"] for request in requests}) == 4
