"""What lines between the answers of a Claude Code transcript tell: whom an answer carries on, and the client's doings.

Lines are linked by `parentUuid`. An answer carries on the nearest answer above its first line, so a rewind is no edit.
Behind a compaction the chain begins anew; `logicalParentUuid` of its `compact_boundary` line names what it replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from agentcache.accounting.observed import Event, Observed, asks, attachment_event, events_of, in_order, positions
from agentcache.prompt.canonical import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class _Line:
    above: str | None
    compacts: bool
    asked: bool = False
    kinds: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(slots=True)
class TranscriptLines:
    """Takes lines in; tells of each answer what the lines above it show."""

    _lines: dict[str, _Line] = field(default_factory=dict)
    _answers: dict[str, str] = field(default_factory=dict)
    """Of each line of an answer by its uuid: the answer's key."""
    _kinds: dict[str, list[str]] = field(default_factory=dict)
    """Kinds of blocks of each answer, in order."""

    def take(self, line: JsonObject) -> None:
        """Take any line in that has a uuid."""
        uuid = line.get("uuid")
        if not isinstance(uuid, str) or uuid in self._lines:
            return
        blocks = list(_user_blocks(line)) if line.get("type") == "user" else []
        events = in_order((*events_of(blocks), *_line_events(line)))
        summed_up = line.get("isCompactSummary") is True or line.get("subtype") == "compact_boundary"
        self._lines[uuid] = _Line(_above(line), summed_up, asks(blocks), tuple(map(_kind, blocks)), events)

    def take_answer(self, line: JsonObject, key: str, blocks: Iterable[JsonObject]) -> None:
        """Take in a line of the answer `key`, with its content."""
        uuid = line.get("uuid")
        if isinstance(uuid, str) and uuid not in self._answers:
            self._answers[uuid] = key
            self._kinds.setdefault(key, []).extend(map(_kind, blocks))

    def observed(self, key: str, above: str | None, call_id: Callable[[str], str | None]) -> Observed:
        """Return what is seen of an answer. above: the line above its first. call_id: of the answer of a key."""
        between: list[_Line] = []
        follows, seen = None, set[str]()
        while above is not None and above not in seen:
            seen.add(above)
            if (answer := self._answers.get(above)) is not None and answer != key:
                follows = answer
                break
            line = self._lines.get(above)
            if line is None:
                break
            between.append(line)
            above = line.above
        between.reverse()
        own = self._kinds.get(key, [])
        kinds = [*(self._kinds.get(follows, []) if follows else []), *(kind for line in between for kind in line.kinds)]
        return Observed(
            follows=None if follows is None else call_id(follows),
            compacted=any(line.compacts for line in between),
            thinks=any(kind in {"thinking", "redacted_thinking"} for kind in own),
            asked=any(line.asked for line in between),
            positions=positions(_once(kinds)),
            events=in_order(event for line in between for event in line.events),
        )


def _line_events(line: JsonObject) -> Iterator[Event]:
    """Yield what a line tells by its own fields, beside the blocks of its message."""
    if line.get("isCompactSummary") is True or line.get("subtype") == "compact_boundary":
        yield Event.COMPACTED
    if line.get("subtype") == "microcompact_boundary":
        yield Event.CLEARED
    attached = line.get("attachment")
    event = attachment_event(attached.get("type")) if isinstance(attached, dict) else None
    if event is not None:
        yield event


def _above(line: JsonObject) -> str | None:
    named = (line.get("parentUuid"), line.get("logicalParentUuid"))
    return next((uuid for uuid in named if isinstance(uuid, str)), None)


def _user_blocks(line: JsonObject) -> Iterator[JsonObject]:
    message = line.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            yield block


def _kind(block: JsonObject) -> str:
    kind: JsonValue = block.get("type")
    return kind if isinstance(kind, str) else ""


def _once(kinds: Sequence[str]) -> Iterator[str]:
    """Yield kinds without repetition: lines that a client wrote twice while an answer grew are not told from others."""
    for place, kind in enumerate(kinds):
        if place == 0 or kind != kinds[place - 1]:
            yield kind
