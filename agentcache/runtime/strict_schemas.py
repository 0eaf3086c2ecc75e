"""A JSON schema in the subset that the API's structured outputs accept, as far as it can be said there.

What the subset has no word for and only narrows a value (a minimum, a pattern) moves into the description, where the
model reads it; the answer is validated afterwards in any case. What would change the meaning (a recursive type, a
mapping with free keys, "anything") cannot be said, and the whole schema is then no strict one.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs, "JSON Schema limitations", and what
`anthropic` 2.12.0 does before it sends a schema. The limits on size: that page as others quote it, medium confidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentcache.prompt.canonical import JsonObject, JsonValue, json_text, sorted_schema

MAX_OPTIONAL_PROPERTIES = 24
MAX_UNIONS = 16
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})
_SILENT = frozenset({"title", "discriminator", "$defs", "type", "additionalProperties"})
"""Keywords that say nothing beyond what is kept."""

_Definitions = Mapping[str, JsonValue]


class _CannotSay(Exception):  # leaves this module as `None`
    """The subset has no words for this part of a schema."""


def strict_schema(schema: JsonObject) -> JsonObject | None:
    """Return `schema` in the accepted subset, or `None` when that cannot say the same."""
    definitions = schema.get("$defs", {})
    if not isinstance(definitions, dict) or _is_recursive(definitions):
        return None
    try:
        strict = _strict({key: value for key, value in schema.items() if key != "$defs"}, definitions)
        kept = {name: _strict(item, definitions) for name, item in definitions.items()}
    except _CannotSay:
        return None
    whole: JsonObject = {**strict, "$defs": dict(kept.items())} if kept else strict
    objects = list(_subschemas(whole))
    optional = sum(_optional_properties(item) for item in objects)
    unions = sum("anyOf" in item for item in objects)
    if optional > MAX_OPTIONAL_PROPERTIES or unions > MAX_UNIONS:
        return None
    return sorted_schema(whole)


def _strict(schema: JsonValue, definitions: _Definitions) -> JsonObject:
    if not isinstance(schema, dict):
        raise _CannotSay
    if "$ref" in schema:
        return _reference(schema, definitions)
    for keyword in ("anyOf", "oneOf"):
        variants = schema.get(keyword)
        if isinstance(variants, list):
            return _described({"anyOf": [_strict(item, definitions) for item in variants]}, schema, {keyword})
    if "enum" in schema or "const" in schema:
        return _literal(schema)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, definitions)
    if kind == "array":
        return _array(schema, definitions)
    if not isinstance(kind, str) or kind not in _SCALARS:
        raise _CannotSay
    if kind == "string" and str(schema.get("format")) in _FORMATS:
        return _described({"type": kind, "format": schema["format"]}, schema, {"format"})
    return _described({"type": kind}, schema, set())


def _reference(schema: JsonObject, definitions: _Definitions) -> JsonObject:
    """Keep a bare reference; write out one that has words of its own, which the API would not see beside `$ref`."""
    name = str(schema["$ref"]).removeprefix("#/$defs/")
    if name not in definitions:
        raise _CannotSay
    own = {key: value for key, value in schema.items() if key != "$ref"}
    if not own:
        return {"$ref": schema["$ref"]}
    target = definitions[name]
    return _strict({**target, **own} if isinstance(target, dict) else target, definitions)


def _literal(schema: JsonObject) -> JsonObject:
    keyword = "enum" if "enum" in schema else "const"
    value = schema[keyword]
    values = value if keyword == "enum" and isinstance(value, list) else [value]
    if not values or any(isinstance(item, (list, dict)) for item in values):
        raise _CannotSay
    return _described({keyword: value}, schema, {keyword})


def _object(schema: JsonObject, definitions: _Definitions) -> JsonObject:
    properties = schema.get("properties", {})
    is_open = schema.get("additionalProperties", False) is not False
    if is_open or "patternProperties" in schema or not isinstance(properties, dict):
        raise _CannotSay
    strict: JsonObject = {
        "type": "object",
        "properties": {name: _strict(item, definitions) for name, item in properties.items()},
        "additionalProperties": False,
    }
    if "required" in schema:
        strict["required"] = schema["required"]
    return _described(strict, schema, {"properties", "required"})


def _array(schema: JsonObject, definitions: _Definitions) -> JsonObject:
    if "prefixItems" in schema or not schema.get("items"):
        raise _CannotSay
    strict: JsonObject = {"type": "array", "items": _strict(schema["items"], definitions)}
    if schema.get("minItems") in (0, 1):
        strict["minItems"] = schema["minItems"]
    return _described(strict, schema, {"items"} | strict.keys())


def _described(strict: JsonObject, schema: JsonObject, said: set[str]) -> JsonObject:
    """Return `strict` with the description of `schema` and, in words, the keywords that `strict` could not take."""
    unsaid = sorted(schema.keys() - said - _SILENT - {"description"})
    words = [str(schema["description"])] if schema.get("description") else []
    if unsaid:
        words.append("(" + "; ".join(f"{key}: {json_text(schema[key])}" for key in unsaid) + ")")
    return {**strict, "description": "\n".join(words)} if words else strict


def _is_recursive(definitions: _Definitions) -> bool:
    uses = {name: frozenset(_references(item)) for name, item in definitions.items()}
    reached = dict(uses)
    for _ in uses:  # one more step of the way each time; a way without a circle is no longer than there are names
        reached = {
            name: found.union(*(uses.get(item, frozenset()) for item in found)) for name, found in reached.items()
        }
    return any(name in found for name, found in reached.items())


def _references(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix("#/$defs/")
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _subschemas(value: JsonValue) -> Iterator[JsonObject]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _subschemas(item)
    elif isinstance(value, list):
        for item in value:
            yield from _subschemas(item)


def _optional_properties(schema: JsonObject) -> int:
    properties, required = schema.get("properties"), schema.get("required")
    if schema.get("type") != "object" or not isinstance(properties, dict):
        return 0
    return len(properties) - len(required if isinstance(required, list) else [])
