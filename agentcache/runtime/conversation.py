"""History by id: what was said, what was sent with it, and one run at a time.

A conversation only grows. A run works on a draft and hands it in when it is done, so a run that fails or is
cancelled leaves the history as it was: never with a tool call that lacks its result.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.runtime.sent_prefix import SentPrefix, sent_from_json, sent_to_json
from agentcache.stores.protocols import ConversationStore, StoredConversation


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSettings:
    """What a conversation keeps as it began, since a change would rewrite its cache (spec 1.2)."""

    thinking: JsonObject | None
    effort: str | None

    def to_json(self) -> JsonObject:
        """Return the settings as they are stored."""
        return {"thinking": self.thinking, "effort": self.effort}

    @classmethod
    def from_json(cls, value: JsonValue) -> HeldSettings | None:
        """Return the settings that `to_json` gave, or `None`."""
        if not isinstance(value, dict):
            return None
        thinking, effort = value.get("thinking"), value.get("effort")
        return cls(
            thinking=thinking if isinstance(thinking, dict) else None,
            effort=effort if isinstance(effort, str) else None,
        )


@dataclass(slots=True, kw_only=True)
class Transcript:
    """Messages as they were sent and received, byte for byte, and what the last call sent in front of them."""

    messages: list[JsonObject] = field(default_factory=list)
    layout: Layout | None = None
    """That of the last call; after loading, with the answer to it."""
    sent: SentPrefix | None = None
    settings: HeldSettings | None = None
    """Those of the first call."""
    version: int = 0
    """How often the conversation was saved."""

    def draft(self) -> Transcript:
        """Return a copy to work on; the messages themselves are shared, since nobody changes them."""
        return replace(self, messages=list(self.messages))


@dataclass(slots=True)
class _Slot:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    transcript: Transcript | None = None


class Conversations:
    """Keeps transcripts by id, in memory and, where a store is given, there too."""

    def __init__(self, store: ConversationStore | None = None) -> None:
        self._store = store
        self._slots: dict[str, _Slot] = {}

    @asynccontextmanager
    async def draft(self, conversation_id: str | None, *, agent: str) -> AsyncIterator[Transcript]:
        """Yield a draft to extend; it becomes the conversation when the block ends without an error.

        With `None` the draft is a fresh one that nobody keeps. A second run of the same conversation waits.
        """
        if conversation_id is None:
            yield Transcript()
            return
        slot = self._slots.setdefault(conversation_id, _Slot())
        async with slot.lock:
            if slot.transcript is None:
                slot.transcript = await self._load(conversation_id)
            draft = slot.transcript.draft()
            yield draft
            slot.transcript = draft
            await self._save(conversation_id, draft, agent)

    @asynccontextmanager
    async def forked(self, conversation_id: str) -> AsyncIterator[Transcript]:
        """Yield a copy of the conversation as it was last handed in, to go on from; it is not handed in.

        Forks wait for nobody, not even for a run of the same conversation. Raises `SettingsError` for a conversation
        without history.
        """
        slot = self._slots.setdefault(conversation_id, _Slot())
        if slot.transcript is None:
            async with slot.lock:
                slot.transcript = slot.transcript or await self._load(conversation_id)
        if not slot.transcript.messages:
            raise SettingsError(f"conversation {conversation_id!r} has no history to fork; ask something in it first")
        yield slot.transcript.draft()

    async def _load(self, conversation_id: str) -> Transcript:
        stored = await self._store.load_conversation(conversation_id) if self._store else None
        if stored is None:
            return Transcript()
        messages = list(stored.messages)
        sent = sent_from_json(stored.state.get("sent"))
        return Transcript(
            messages=messages,
            layout=None if sent is None else _laid_out(sent, stored.state.get("tools"), messages),
            sent=sent,
            settings=HeldSettings.from_json(stored.state.get("settings")),
            version=stored.version or 0,
        )

    async def _save(self, conversation_id: str, transcript: Transcript, agent: str) -> None:
        if self._store is None:
            return
        kept = await self._store.save_conversation(
            StoredConversation(
                conversation_id=conversation_id,
                agent=agent,
                messages=tuple(transcript.messages),
                state=_state(transcript),
                version=transcript.version,
            )
        )
        transcript.version = kept.version or 0


def _state(transcript: Transcript) -> dict[str, JsonValue]:
    return {
        "settings": None if transcript.settings is None else transcript.settings.to_json(),
        "sent": None if transcript.sent is None else sent_to_json(transcript.sent),
        "tools": [] if transcript.layout is None else list(transcript.layout.tools),
    }


def _laid_out(sent: SentPrefix, tools: JsonValue, messages: list[JsonObject]) -> Layout:
    """Return the layout of what was sent, as the process had it that sent it: the next call is compared with it."""
    return lay_out(
        facts=facts_for(sent.model),
        tools=[tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else [],
        system=sent.system,
        messages=messages,
        level_salts=sent.salts,
    )
