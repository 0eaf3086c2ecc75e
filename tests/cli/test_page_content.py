"""What the page shows of a ledger that has summed itself up is what it shows of the ledger's rows."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.accounting.selection import EVERYTHING, Selection
from agentcache.cli.page_content import ledger_content
from agentcache.report.page_content import PageContent, content_of
from agentcache.stores.opening import open_ledger
from tests.report.spending import team
from tests.traffic import RUNS, times, traffic

_selections = st.builds(
    Selection,
    agent=st.sampled_from([None, "a"]),
    model=st.sampled_from([None, "acme-9"]),
    since=st.none() | times,
    until=st.none() | times,
)


@given(drawn=traffic(), sealed_at=times, only=_selections)
@settings(max_examples=40, deadline=None)
def test_a_ledger_shows_what_its_rows_show(drawn, sealed_at, only):
    async def both() -> tuple[PageContent, PageContent]:
        with tempfile.TemporaryDirectory() as folder:
            ledger = await open_ledger(f"{folder}/ledger.db")
            for run in RUNS:
                await ledger.start_run(run)
            await asyncio.gather(*map(ledger.add_call, drawn[0]), *map(ledger.add_tool_call, drawn[1]))
            await ledger.seal(now=sealed_at)
            content = await ledger_content(ledger, only)
            rows = content_of(await ledger.calls(), await ledger.tool_calls(), await ledger.runs(), only=only)
            await ledger.close()
            return content, rows

    shown, of_rows = asyncio.run(both())

    # What a prompt's causes are is not looked for before `since`.
    assert replace(shown, prompts=of_rows.prompts) == of_rows
    assert only.since is not None or shown.prompts == of_rows.prompts


async def test_of_many_calls_the_prompts_of_the_newest_are_looked_at():
    spending = team(runs=2, calls_each=3)
    ledger = await open_ledger("memory:")
    for run in spending.runs:
        await ledger.start_run(run)
    for call in spending.calls:
        await ledger.add_call(call)
    newest = sorted(call.sent_at for call in spending.calls)[-4]

    content = await ledger_content(ledger, EVERYTHING, prompts_looked_at=4)

    looked_at = [call for call in spending.calls if call.sent_at >= newest]
    assert content.by_agent.total.calls == len(spending.calls) > len(looked_at)
    assert content.prompts.newest == 4
    assert content.prompts.layers == content_of(looked_at, [], []).prompts.layers
