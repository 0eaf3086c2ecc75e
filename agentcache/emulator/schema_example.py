"""The smallest value that fits a JSON schema, so that an echo can answer where structured output is asked for.

It knows the keywords that structured outputs accept. It promises a value of the right shape, not a sensible one.
"""

from __future__ import annotations

from agentcache.emulator.json_values import JsonObject, JsonValue

_MAX_REFERENCES = 20

_BY_FORMAT = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "nobody@example.com",
    "hostname": "example.com",
    "uri": "https://example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: JsonObject) -> JsonValue:
    """Return a minimal instance of `schema`; `null` where the schema says nothing that is understood."""
    return _example(schema, schema, 0)


def _example(schema: JsonValue, root: JsonObject, depth: int) -> JsonValue:
    if not isinstance(schema, dict) or depth > _MAX_REFERENCES:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            return options[0]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _example(_resolved(reference, root), root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            return _example(options[0], root, depth + 1)
    return _by_type(schema, root, depth)


def _by_type(schema: JsonObject, root: JsonObject, depth: int) -> JsonValue:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object" or "properties" in schema:
        return _object(schema, root, depth)
    if kind == "array":
        wanted = schema.get("minItems")
        count = wanted if isinstance(wanted, int) else 0
        return [_example(schema.get("items"), root, depth + 1) for _ in range(min(count, _MAX_REFERENCES))]
    if kind == "string":
        shortest = schema.get("minLength")
        text = _BY_FORMAT.get(str(schema.get("format")), "")
        return text or "x" * (shortest if isinstance(shortest, int) else 0)
    if kind in {"integer", "number"}:
        lowest = schema.get("minimum", 0)
        return lowest if isinstance(lowest, (int, float)) else 0
    return False if kind == "boolean" else None


def _object(schema: JsonObject, root: JsonObject, depth: int) -> JsonObject:
    properties = schema.get("properties")
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    known = properties if isinstance(properties, dict) else {}
    return {str(name): _example(known.get(str(name)), root, depth + 1) for name in names}


def _resolved(reference: str, root: JsonObject) -> JsonValue:
    value: JsonValue = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            value = value.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value
