"""What a run may say that it used: the sum of its calls, once each, as the emulator billed them."""

from __future__ import annotations

from decimal import Decimal

from agentcache import RunResult, Runtime
from agentcache.accounting.summary import summarise
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.emulator.server import Emulator
from agentcache.testing import assert_ledger_equals_statement


async def assert_counted_once(runtime: Runtime, emulator: Emulator, result: RunResult[object]) -> list[CallRecord]:
    """Hold the four accounts of one finished run against each other and return its calls.

    They are the agents' rows of the report, its total, the run's own result and the emulator's statement.
    """
    calls = await runtime.ledger.calls(run_id=result.run_id)
    assert assert_ledger_equals_statement(calls, emulator.statement).equal == len(calls)
    report = summarise(calls, [], by="agent")
    used = sum((call.usage for call in calls if call.usage), Usage())
    cost = sum((call.cost_usd for call in calls if call.cost_usd), Decimal(0))
    assert sum((row.usage for row in report.rows), Usage()) == report.total.usage == result.usage == used
    assert sum((row.cost_usd or 0 for row in report.rows), Decimal(0)) == report.total.cost_usd == cost
    assert (result.cost_usd, result.turns) == (cost, len(calls))
    return calls
