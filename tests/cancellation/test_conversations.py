"""A conversation whose saving is cancelled is left only when it is known what became of it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from agentcache.runtime.conversations import Conversations
from agentcache.stores.opening import open_ledger
from tests.cancellation.suspensions import at, struck


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


async def test_whoever_goes_on_behind_a_cancelled_save_has_the_history_that_was_saved(tmp_path: Path):
    ledger = await open_ledger(str(tmp_path / "ledger.db"))
    conversations = Conversations(ledger)

    async def spoken(conversation: str, text: str) -> None:
        async with conversations.draft(conversation, agent="clerk") as draft:
            draft.messages.append(said(text))

    whole = await struck(spoken("whole", "one"), at())
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the save is under way for as long
        asyncio.get_running_loop().call_later(0.05, other.execute, "ROLLBACK")
        ended = await struck(spoken("c", "one"), at(whole.suspensions))
        await spoken("c", "two")
    assert ended.cancelled
    assert await conversations.messages("c") == (said("one"), said("two"))
    await ledger.close()
