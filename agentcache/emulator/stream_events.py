"""A finished message as the events of a stream, in the order in which the API sends them.

It decides how content is cut into deltas. `message_start` carries the whole usage with the split by lifetime and one
output token; `message_delta` carries cumulative counts without the split (section 5.4).
"""

from __future__ import annotations

from collections.abc import Iterator

from agentcache.emulator.json_values import JsonObject, JsonValue, compact

CHUNK_CHARS = 24
"""Characters per delta: several deltas for any real text, so that clients have to join them."""

PING: JsonObject = {"type": "ping"}


def events_of(message: JsonObject, *, first_usage: JsonObject, cut_input: str | None = None) -> Iterator[JsonObject]:
    """Yield the events that carry `message`, a complete Messages reply.

    `first_usage` is the usage when the answer begins: of the first round, where server tools led to more.
    `cut_input` is what was written of the last tool call's input when `max_tokens` ended it.
    """
    yield {"type": "message_start", "message": _started(message, first_usage)}
    content = message["content"]
    blocks = content if isinstance(content, list) else []
    for index, block in enumerate(blocks):
        if isinstance(block, dict):
            start, deltas = _opened(block, cut_input if index == len(blocks) - 1 else None)
            yield {"type": "content_block_start", "index": index, "content_block": start}
            if index == 0:
                yield PING
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {key: message[key] for key in ("stop_reason", "stop_sequence", "stop_details")},
        "usage": _delta_usage(message["usage"]),
    }
    yield {"type": "message_stop"}


def sse(event: JsonObject) -> bytes:
    """Return one event as server-sent-event bytes."""
    return f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()


def _started(message: JsonObject, usage: JsonObject) -> JsonObject:
    later = {"output_tokens_details", "server_tool_use", "iterations"}
    first = {key: value for key, value in usage.items() if key not in later} | {"output_tokens": 1}
    return {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": first}


def _delta_usage(usage: JsonValue) -> JsonObject:
    kept = (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
        "server_tool_use",
        "iterations",
    )
    return {key: usage[key] for key in kept if key in usage} if isinstance(usage, dict) else {}


def _opened(block: JsonObject, cut_input: str | None) -> tuple[JsonObject, list[JsonObject]]:
    kind = block.get("type")
    if kind == "text":
        deltas: list[JsonObject] = [
            {"type": "citations_delta", "citation": item} for item in _list(block.get("citations"))
        ]
        deltas.extend({"type": "text_delta", "text": piece} for piece in _pieces(block.get("text")))
        return {**block, "text": ""}, deltas
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block.get("thinking"))]
        signed: JsonObject = {"type": "signature_delta", "signature": block.get("signature")}
        return {**block, "thinking": "", "signature": ""}, [*deltas, signed]
    if kind in {"tool_use", "server_tool_use"}:
        written = compact(block.get("input")) if cut_input is None else cut_input
        pieces = ["", *_pieces(written)]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    if kind == "compaction":
        told: JsonObject = {key: block.get(key) for key in ("content", "encrypted_content")}
        return {**block, **dict.fromkeys(told)}, [{"type": "compaction_delta", **told}]
    return block, []


def _pieces(text: JsonValue) -> list[str]:
    if not isinstance(text, str):
        return []
    return [text[at : at + CHUNK_CHARS] for at in range(0, len(text), CHUNK_CHARS)]


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
