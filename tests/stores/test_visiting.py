"""`visit` hands over the rows that the lists have, in their order; on every store."""

from __future__ import annotations

from itertools import chain

import pytest

from agentcache.accounting.usage import CallRecord, RunRecord, ToolCallRecord, Usage
from agentcache.stores.protocols import Ledger, LedgerRow


async def _fill(ledger: Ledger, calls: int) -> None:
    for run_id, above in (("run_a", None), ("run_b", "run_a"), ("run_c", None)):
        await ledger.start_run(RunRecord(run_id=run_id, parent_run_id=above, name="x", agent="x", started_at=1.0))
    for place in range(calls):
        run_id = ("run_a", "run_b", "run_c")[place % 3]
        await ledger.add_call(
            CallRecord(call_id=f"call_{place}", run_id=run_id, agent="x", model="m", sent_at=place / 7, usage=Usage())
        )
        await ledger.add_tool_call(
            ToolCallRecord(
                tool_call_id=f"tool_{place}",
                run_id=run_id,
                agent="x",
                call_id=f"call_{place}",
                tool="t",
                started_at=place / 7,
                ended_at=9.0,
                outcome="ok",
            )
        )


@pytest.mark.parametrize(("run_id", "since"), [(None, None), ("run_a", None), (None, 1.0), ("run_b", 2.0)])
async def test_a_visit_hands_over_what_the_lists_have(ledger: Ledger, run_id: str | None, since: float | None) -> None:
    await _fill(ledger, 25)
    seen: list[LedgerRow] = []

    await ledger.visit(seen.append, run_id=run_id, since=since)

    listed: tuple[list[LedgerRow], ...] = (
        [*await ledger.runs(run_id=run_id, since=since)],
        [*await ledger.calls(run_id=run_id, since=since)],
        [*await ledger.tool_calls(run_id=run_id, since=since)],
    )
    assert seen == [*chain.from_iterable(listed)]


async def test_what_the_visitor_raises_ends_the_visit_and_leaves_the_ledger_usable(ledger: Ledger) -> None:
    await _fill(ledger, 3)

    def refuse(row: LedgerRow) -> None:
        raise LookupError(type(row).__name__)

    with pytest.raises(LookupError, match="RunRecord"):
        await ledger.visit(refuse)
    assert len(await ledger.calls()) == 3
