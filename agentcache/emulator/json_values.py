"""JSON as the emulator sees it: its own types, one reader of untrusted bytes, one canonical form for hashing.

It decides when two blocks are the same bytes of prompt. The order of keys is part of the prompt inside values that the
API renders as JSON (`tool_use.input`, `input_schema`) and means nothing anywhere else. It does not know which blocks
count: `positions` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TypeAlias

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_DEPTH = 200
"""Nesting beyond this is refused as unreadable JSON. The API's own limit is not published."""

# Values under these keys are rendered as JSON, so the order of their keys is part of the prompt
# (prompt-caching page, troubleshooting: tool_use key order; cache-diagnostics: schema serialisation).
_RENDERED_KEYS = frozenset({"input", "input_schema"})

# Written out or left out, these render the same prompt (K4: the rendered prompt is hashed, not the bytes sent).
_DEFAULTS: tuple[tuple[str, JsonValue], ...] = (
    ("is_error", False),
    ("caller", {"type": "direct"}),
    ("strict", False),
    ("defer_loading", False),
    ("eager_input_streaming", False),
    ("type", "custom"),
)

_plain: Callable[[object], str] = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_sorted: Callable[[object], str] = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode


class UnreadableJson(ValueError):
    """Bytes that are no JSON text; the message says why."""


def read_json(body: bytes) -> JsonValue:
    """Return the JSON value of a request body.

    Raises `UnreadableJson` on invalid UTF-8, bad syntax, `NaN` and infinities, and nesting beyond `MAX_DEPTH`.
    """
    try:
        value: JsonValue = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise UnreadableJson(f"invalid utf-8 at byte {error.start}") from error
    except RecursionError as error:
        raise UnreadableJson("nested too deeply") from error
    except ValueError as error:
        raise UnreadableJson(str(error)) from error
    if _deeper_than(value, MAX_DEPTH):
        raise UnreadableJson("nested too deeply")
    return value


def _refuse_constant(name: str) -> JsonValue:
    raise UnreadableJson(f"{name} is not JSON")


def _deeper_than(value: JsonValue, limit: int) -> bool:
    level: list[JsonValue] = [value]
    for _ in range(limit):
        below: list[JsonValue] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(child for child in item.values() if isinstance(child, (dict, list)))
            elif isinstance(item, list):
                below.extend(child for child in item if isinstance(child, (dict, list)))
        if not below:
            return False
        level = below
    return True


def compact(value: object) -> str:
    """Return `value` as compact JSON, keys in the order they have."""
    return _plain(value)


def digest(*parts: bytes) -> bytes:
    """Return the 16-byte digest of `parts`, each told apart from its neighbours by its length."""
    hasher = blake2b(digest_size=16)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()


def canonical_block(block: Mapping[str, JsonValue]) -> str:
    """Return the text of one block that the cache hashes: without `cache_control`, keys sorted, rendered JSON as sent.

    A string `content` equals an array of one text block, a default written out equals one left out. Markers on blocks
    nested in `content` are left out too.
    """
    parts: list[str] = []
    for key in sorted(block):
        value = block[key]
        if value is None or key == "cache_control" or (key, value) in _DEFAULTS:
            continue
        if key in _RENDERED_KEYS:
            text = _plain(value)
        elif key == "content":
            text = _canonical_content(value)
        else:
            text = _sorted(value)
        parts.append(f"{_plain(key)}:{text}")
    return "{" + ",".join(parts) + "}"


def _canonical_content(value: JsonValue) -> str:
    if isinstance(value, str):
        return "[" + canonical_block({"type": "text", "text": value}) + "]"
    if isinstance(value, list):
        return (
            "[" + ",".join(canonical_block(item) if isinstance(item, dict) else _sorted(item) for item in value) + "]"
        )
    if isinstance(value, dict):
        return canonical_block(value)
    return _sorted(value)
