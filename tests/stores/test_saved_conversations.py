"""Conversations as every store saves them: whole, with a version, and not over somebody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.errors import StoreError
from agentcache.stores.protocols import Ledger, StoredConversation

CONVERSATION = StoredConversation(
    conversation_id="c-42",
    agent="support",
    messages=({"role": "user", "content": "Hi 👋"}, {"role": "assistant", "content": []}),
    state={"thinking": None, "effort": "high"},
)


async def test_a_conversation_comes_back_with_its_version(ledger: Ledger):
    saved = await ledger.save_conversation(CONVERSATION)

    assert saved == replace(CONVERSATION, version=1)
    assert await ledger.load_conversation("c-42") == saved
    assert await ledger.load_conversation("c-43") is None


async def test_a_conversation_grows(ledger: Ledger):
    first = await ledger.save_conversation(replace(CONVERSATION, version=0))
    longer = replace(first, messages=(*first.messages, {"role": "user", "content": "and?"}))

    second = await ledger.save_conversation(longer)

    assert second == replace(longer, version=2)
    assert await ledger.load_conversation("c-42") == second


async def test_a_conversation_that_somebody_else_saved_is_not_overwritten(ledger: Ledger):
    mine = theirs = await ledger.save_conversation(CONVERSATION)
    saved = await ledger.save_conversation(replace(theirs, messages=()))

    with pytest.raises(StoreError, match="saved by somebody else"):
        await ledger.save_conversation(mine)
    with pytest.raises(StoreError, match="saved by somebody else"):
        await ledger.save_conversation(replace(mine, version=0))

    assert await ledger.load_conversation("c-42") == saved


async def test_without_a_version_the_last_save_wins(ledger: Ledger):
    await ledger.save_conversation(CONVERSATION)
    saved = await ledger.save_conversation(replace(CONVERSATION, agent="other"))

    assert saved == replace(CONVERSATION, agent="other", version=2)


# --- many at once, cancellation, closing ------------------------------------------------------------------------------
