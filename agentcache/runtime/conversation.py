"""One conversation as a run has it at hand: what was said, what was sent with it, and how both are stored.

Pure. A run works on a draft of a transcript; `conversations.py` hands drafts out and keeps what became of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agentcache.prompt.amendments import texts_told
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.message_chain import MessageChain
from agentcache.prompt.model_facts import facts_for
from agentcache.runtime.pinned_tools import PinnedList, lists_from_json, lists_to_json
from agentcache.runtime.sent_prefix import SentPrefix, sent_from_json, sent_to_json
from agentcache.stores.protocols import StoredConversation


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
    pinned: Mapping[str, PinnedList] = field(default_factory=dict)
    """The tools of MCP servers, by server, as the conversation has them."""
    version: int = 0
    """How often the conversation was saved."""
    saved_by: str | None = None
    """The run that saved it last."""
    keep: bool = True
    """Whether the draft is handed in; not where this very run did so before its process died."""
    chain: MessageChain = field(default_factory=MessageChain)
    """The messages as they were saved last, with their digests."""

    def draft(self) -> Transcript:
        """Return a copy to work on; the messages themselves are shared, since nobody changes them."""
        return replace(self, messages=list(self.messages))


def transcript_of(stored: StoredConversation) -> Transcript:
    """Return a stored conversation as the process had it that saved it."""
    messages = list(stored.messages)
    sent = sent_from_json(stored.state.get("sent"))
    return Transcript(
        messages=messages,
        layout=None if sent is None else _laid_out(sent, stored.state.get("tools"), messages),
        sent=sent,
        settings=HeldSettings.from_json(stored.state.get("settings")),
        pinned=lists_from_json(stored.state.get("toolsets")),
        version=stored.version or 0,
        chain=stored.chain,
        saved_by=run_id if isinstance(run_id := stored.state.get("run"), str) else None,
    )


def stored_form(conversation_id: str, transcript: Transcript, *, agent: str) -> StoredConversation:
    """Return a transcript as it is saved. Raises `StoreError` for messages that JSON cannot express."""
    return StoredConversation(
        conversation_id=conversation_id,
        agent=agent,
        messages=transcript.chain.grown_to(transcript.messages),
        state=_state(transcript),
        version=transcript.version,
    )


def cut_state(stored: StoredConversation, count: int) -> Mapping[str, JsonValue]:
    """Return the state of the first `count` messages of a conversation: without what was sent or told behind them."""
    sent = sent_from_json(stored.state.get("sent"))
    if sent is None or count == len(stored.messages):
        return stored.state
    messages = list(stored.messages[:count])
    blocks = _laid_out(sent, stored.state.get("tools"), messages).blocks
    marks = tuple(mark for mark in sent.marks if mark.block < len(blocks))
    cut = replace(sent, marks=marks, amended=texts_told(messages))
    return {**stored.state, "sent": sent_to_json(cut)}


def _state(transcript: Transcript) -> dict[str, JsonValue]:
    return {
        "run": transcript.saved_by,
        "settings": None if transcript.settings is None else transcript.settings.to_json(),
        "sent": None if transcript.sent is None else sent_to_json(transcript.sent),
        "tools": [] if transcript.layout is None else list(transcript.layout.tools),
        **({"toolsets": lists_to_json(transcript.pinned)} if transcript.pinned else {}),
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
