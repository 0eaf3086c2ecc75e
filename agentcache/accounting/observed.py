"""What the record of a call shows besides its bill: kinds of blocks, what the call continues, and events of the client.

Recorded sessions lack the system prompt, the tools and the breakpoints, so prompts cannot be compared. Kinds of blocks
and a few marks that the client leaves in the conversation tell some causes all the same. They are kept in the `plan` of
an imported row under `recorded`, as counts and names, never as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agentcache.prompt.canonical import JsonObject, JsonValue

RECORDED = "recorded"
"""Key of a row's `plan` under which this stands."""

_RUNS = frozenset({"tool_use", "tool_result"})
"""Kinds of blocks of which a run is one position for the look-back (spec section 2.3)."""
_THINKING = frozenset({"thinking", "redacted_thinking"})


class Event(StrEnum):
    """What the client did before a call, as its conversation tells."""

    RESTARTED = "restarted"
    """The user left the client (`/exit`, `/quit`) and went on with the same conversation."""
    MODEL_SET = "model_set"
    """`/model`."""
    COMPACTED = "compacted"
    """`/compact`, or a summary that the client put in the place of the history."""
    CLEARED = "cleared"
    """The client took old tool results out of the history."""
    COMMAND = "command"
    """A slash command or skill was expanded; it may set model, thinking and tools of its own."""
    TOOLS_ANNOUNCED = "tools_announced"
    """The client told of tools or MCP servers that came or went."""
    TOOLS_LOADED = "tools_loaded"
    """A tool search answered with tools to load."""


_COMMAND_EVENTS: Mapping[str, Event] = {
    "exit": Event.RESTARTED,
    "quit": Event.RESTARTED,
    "model": Event.MODEL_SET,
    "compact": Event.COMPACTED,
}
_NO_PROMPTS = frozenset({"clear", "ide", "login", "logout", "remote-env", "status", "cost"})
"""Commands of the client that send no prompt of their own."""

_COMMAND = re.compile(r"<command-name>/?([^<]{1,80})</command-name>")
_SKILL = re.compile(r"\A(?:Launching skill: |Base directory for this skill: )")
_ATTACHMENTS: Mapping[str, Event] = {
    "deferred_tools_delta": Event.TOOLS_ANNOUNCED,
    "mcp_instructions_delta": Event.TOOLS_ANNOUNCED,
    "compact_file_reference": Event.COMPACTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a record shows of a call.

    follows: id of the call whose conversation it carries on; `None` for the first of its own.
    compacted: a summary stands in the place of that conversation. thinks: its answer has thinking.
    asked: it brought text that is no tool result. positions: how many the prompt grew by since that call, as the
    look-back counts. messages: how many messages were sent; `None` where not known. events: in the order of `Event`.
    """

    follows: str | None = None
    compacted: bool = False
    thinks: bool = False
    asked: bool = False
    positions: int = 0
    messages: int | None = None
    events: tuple[Event, ...] = ()

    def to_json(self) -> JsonObject:
        """Return what `observed_in` reads."""
        return {
            "follows": self.follows,
            "compacted": self.compacted,
            "thinks": self.thinks,
            "asked": self.asked,
            "positions": self.positions,
            "messages": self.messages,
            "events": [event.value for event in self.events],
        }


def observed_in(plan: Mapping[str, JsonValue]) -> Observed | None:
    """Return what was kept in the `plan` of a row; `None` for rows that nobody imported, or before this was kept."""
    told = plan.get(RECORDED)
    if not isinstance(told, dict):
        return None
    follows, positions, messages, events = (told.get(key) for key in ("follows", "positions", "messages", "events"))
    named = {str(name) for name in events} if isinstance(events, list) else set()
    return Observed(
        follows=follows if isinstance(follows, str) else None,
        compacted=told.get("compacted") is True,
        thinks=told.get("thinks") is True,
        asked=told.get("asked") is True,
        positions=positions if isinstance(positions, int) else 0,
        messages=messages if isinstance(messages, int) else None,
        events=tuple(event for event in Event if event.value in named),
    )


def thinks(blocks: Iterable[JsonObject]) -> bool:
    """Tell whether an answer has thinking."""
    return any(block.get("type") in _THINKING for block in blocks)


def asks(blocks: Iterable[JsonObject]) -> bool:
    """Tell whether a user message has text (or a picture) of its own, beside results and what the client attached."""
    return any(block.get("type") != "tool_result" and "approx" not in block for block in blocks)


def positions(kinds: Iterable[str]) -> int:
    """Return how many positions blocks are: a run of tool uses is one, and so is a run of tool results."""
    count, last = 0, ""
    for kind in kinds:
        count += not (kind == last and kind in _RUNS)
        last = kind
    return count


def events_of(blocks: Iterable[JsonObject]) -> tuple[Event, ...]:
    """Return what the blocks of user messages tell of the client's doings."""
    return in_order(event for block in blocks for event in _events(block))


def attachment_event(kind: JsonValue) -> Event | None:
    """Return the event that an attachment of this type is."""
    return _ATTACHMENTS.get(kind) if isinstance(kind, str) else None


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return each event once, in the order of `Event`."""
    found = set(events)
    return tuple(event for event in Event if event in found)


def _events(block: JsonObject) -> Iterator[Event]:
    approx = block.get("approx")
    if isinstance(approx, str) and (event := attachment_event(approx.rpartition(":")[2])) is not None:
        yield event
    if block.get("type") == "tool_result":
        content = block.get("content")
        if isinstance(content, list) and any(_type(item) == "tool_reference" for item in content):
            yield Event.TOOLS_LOADED
    for text in _texts(block):
        if _SKILL.match(text):
            yield Event.COMMAND
        for name in _COMMAND.findall(text):
            if name.strip() not in _NO_PROMPTS:
                yield _COMMAND_EVENTS.get(name.strip(), Event.COMMAND)


def _texts(block: JsonObject) -> Sequence[str]:
    """Return the texts of a block in which a client leaves its marks."""
    content = block.get("text") if block.get("type") == "text" else block.get("content")
    if isinstance(content, str):
        return (content,)
    items = content if isinstance(content, list) else []
    return [text for item in items if isinstance(item, dict) and isinstance(text := item.get("text"), str)]


def _type(item: JsonValue) -> JsonValue:
    return item.get("type") if isinstance(item, dict) else None
