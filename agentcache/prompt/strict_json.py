"""JSON of strangers, read strictly: what is no JSON, or nothing that could be written down again, is refused at once.

Python's reader takes `NaN`, makes `1e999` an infinity, and fails at deep nesting with an error of its own; what it let
in would fail later, where nobody expects it. Pure.
"""

from __future__ import annotations

import json
import math

from agentcache.prompt.canonical import JsonValue

MAX_DEPTH = 200
"""Nesting beyond this is refused. No request has it, and what walks over values calls itself once a level."""


def parsed_json(text: str | bytes) -> JsonValue:
    """Return the value of a JSON text.

    Raises `ValueError` for what is no JSON, a number that is none or too large, and nesting beyond `MAX_DEPTH`.
    """
    try:
        value: JsonValue = _READER.decode(text if isinstance(text, str) else text.decode(json.detect_encoding(text)))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _may_be_deep(text) and _is_deep(value):
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return value


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is no number")


def _finite(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise ValueError(f"{written[:20]} is larger than a number can be")
    return number


def _may_be_deep(text: str | bytes) -> bool:
    if isinstance(text, str):
        return text.count("[") + text.count("{") > MAX_DEPTH
    return text.count(b"[") + text.count(b"{") > MAX_DEPTH


def _is_deep(value: JsonValue) -> bool:
    level: list[JsonValue] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(item: JsonValue) -> list[JsonValue]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


_READER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
