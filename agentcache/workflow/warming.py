"""Warms an agent's prefix: sends its warm-up as a run of its own, whose one row in the ledger is of kind `warm`."""

from __future__ import annotations

from collections.abc import Mapping

from agentcache.accounting.usage import CallKind, RunRecord
from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.budget import worst_of
from agentcache.runtime.calls import CallContext
from agentcache.runtime.warm_calls import Warmed, warm_call
from agentcache.workflow.opened import opened_run
from agentcache.workflow.run import Run


async def warm_agent(top: Run, agent: Agent[OutputT], *, session: Mapping[str, object] | None) -> Warmed:
    """Write what calls of `agent` share to the cache, below `top`, and return what that took.

    Raises `SettingsError` for an agent that cannot be warmed, `MistakesFound` where the prompt has to be without any
    and is not, and a `CallError` when the call fails.
    """
    runner = top.runner
    runner.prompts.refuse(agent)
    agent = await runner.toolsets.fresh(agent)
    now = runner.clock()
    prepared = await warm_call(
        agent, session=session, snapshots=runner.snapshots, history=runner.calls.history, at_s=now
    )
    record = RunRecord(
        run_id=runner.new_id("run"), parent_run_id=top.run_id, name=agent.name, agent=agent.name, started_at=now
    )
    ledger = runner.calls.caller.ledger
    async with opened_run(
        ledger, top.emit, record=record, limits=agent.limits, above=top.meter, clock=runner.clock
    ) as run:
        need = worst_of(prepared, run.meter, at_s=runner.clock())
        async with runner.calls.budget.reserved(run.meter, need, agent=agent.name) as reserved:
            context = CallContext(
                run_id=run.run_id,
                agent=agent.name,
                conversation=None,
                turn=1,
                kind=CallKind.WARM,
                emit=reserved.watching(top.emit),
                meter=run.meter,
                charge=reserved.charge,
            )
            sent_at = runner.clock()
            await runner.calls.caller.call(prepared, context)
        marks = [(point.prefix_digest, point.ttl) for point in prepared.plan.kept]
        runner.calls.history.read_or_written(marks, at_s=sent_at)
        warmed = Warmed(
            agent=agent.name,
            model=agent.model,
            run_id=run.run_id,
            usage=run.meter.usage,
            cost_usd=run.meter.cost_usd,
        )
        run.output = warmed
    return warmed
