"""The one way a value becomes bytes: canonical JSON, digests and the prefix chain.

Two kinds of order meet here. The order of keys in *our* values (variables, settings) means nothing and is
sorted away; the order of keys in values that the API renders (`tool_use.input`, a schema's `properties`) is
part of the prompt and is kept. Every digest carries its scheme, so that a change of scheme can be seen.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from typing import TypeAlias

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
"""A JSON value as Python has it."""
JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object as Python has it."""

DIGEST_SCHEME = "p1"
ROOT_DIGEST = f"{DIGEST_SCHEME}:"

# Made once: `json.dumps` makes one for each value that it is not to write in its own way.
_AS_IT_IS = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def json_text(value: object) -> str:
    """Return `value` as compact JSON with its keys in the order they have: what the wire carries."""
    return _AS_IT_IS.encode(value)


def canonical_json(value: object) -> str:
    """Return `value` as compact JSON with sorted keys: equal values give equal text."""
    return _SORTED.encode(value)


def canonical_text(text: str) -> str:
    """Return `text` in the one form that is sent: NFC, LF line ends, no white space at line or text end.

    Editors, `autocrlf` and operating systems disagree on exactly these bytes, and the cache counts every one.
    """
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def sorted_schema(schema: Mapping[str, JsonValue]) -> JsonObject:
    """Return a JSON schema with sorted keys, but `properties` (and `$defs`) in declared order.

    The order of properties steers the order in which a model fills them in, so it is meaning, not noise.
    """
    ordered: JsonObject = {}
    for key in sorted(schema):
        value = schema[key]
        if key in {"properties", "$defs"} and isinstance(value, dict):
            ordered[key] = {name: _sorted_value(item) for name, item in value.items()}
        else:
            ordered[key] = _sorted_value(value)
    return ordered


def _sorted_value(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return sorted_schema(value)
    if isinstance(value, list):
        return [_sorted_value(item) for item in value]
    return value


def digest(text: str) -> str:
    """Return the tagged digest of one text: `p1:` and 32 hexadecimal digits."""
    return f"{DIGEST_SCHEME}:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def chain(parent: str, child: str) -> str:
    """Return the digest of a prefix from the digest of the prefix before it and the digest of its last block."""
    return digest(f"{parent}\n{child}")
