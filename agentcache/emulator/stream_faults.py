"""What a fault leaves of a stream: which bytes are sent, where they pause, and how they end.

Pure. The faults that come before an answer are no business of this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agentcache.emulator.faults import Fault, Place
from agentcache.emulator.json_values import JsonObject
from agentcache.emulator.stream_events import sse

Ending = Literal["whole", "early", "cut"]

_DELTAS: dict[Place, str] = {"text": "text_delta", "input": "input_json_delta"}
_OVERLOADED: JsonObject = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
_MISPLACED: JsonObject = {
    "type": "content_block_delta",
    "index": 1_000_000,
    "delta": {"type": "text_delta", "text": "belongs nowhere"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A stream as it is sent. `ending`: `whole`; `early`, an orderly end; `cut`, the connection is reset.

    pauses_at: the index of the piece that the pause of a fault comes before, `None` for none.
    """

    pieces: tuple[bytes, ...]
    ending: Ending = "whole"
    pauses_at: int | None = None


def play(events: Sequence[JsonObject], fault: Fault | None) -> Played:
    """Return how `events`, a whole stream, are sent under `fault`."""
    pieces = [sse(event) for event in events]
    whole = Played(pieces=tuple(pieces))
    if fault is None:
        return whole
    at = _index(events, fault.place)
    match fault.kind:
        case "stalled":
            return replace(whole, pauses_at=at)
        case "cut":
            return Played(pieces=whole.pieces[:at], ending="cut")
        case "ended":
            return Played(pieces=whole.pieces[:at], ending="early")
        case "malformed":
            pieces[at] = pieces[at][: len(pieces[at]) // 2] + b"\n\n"
        case "misplaced":
            pieces.insert(at, sse(_MISPLACED))
        case "error":
            # Before its first event an error is a refusal: `429`, `500`, `529`.
            return Played(pieces=(*whole.pieces[: max(at, 1)], sse(_OVERLOADED)), ending="early")
        case "no_usage":
            pieces = [sse(event) for event in _without_usage(events, fault.place)]
    return Played(pieces=tuple(pieces))


def _index(events: Sequence[JsonObject], place: Place) -> int:
    """Return the index of the event at which a fault happens."""
    middle = len(events) // 2
    if place in _DELTAS:
        # The second half of a run of deltas: what came before is not the whole of it.
        deltas = [at for at, event in enumerate(events) if _delta_type(event) == _DELTAS[place]]
        return deltas[len(deltas) // 2] if deltas else middle
    return {"start": 0, "end": len(events) - 1}.get(place, middle)


def _delta_type(event: JsonObject) -> object:
    delta = event.get("delta")
    return delta.get("type") if isinstance(delta, dict) else None


def _without_usage(events: Sequence[JsonObject], place: Place) -> list[JsonObject]:
    """Leave the usage out of `message_start`, or for the place `end` out of `message_delta`."""
    if place == "end":
        return [_without(event) if event["type"] == "message_delta" else event for event in events]
    first = events[0]["message"]
    return [{**events[0], "message": _without(first) if isinstance(first, dict) else first}, *events[1:]]


def _without(value: JsonObject) -> JsonObject:
    return {key: item for key, item in value.items() if key != "usage"}
