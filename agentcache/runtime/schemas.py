"""Python types and values as JSON: the same bytes from the same declaration, in every process.

pydantic says what a type looks like; this module takes away what is noise on the wire (titles) or differs from one
process to the next (sets, memory addresses). It knows nothing of tools, models or requests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Set
from enum import Enum
from typing import NoReturn

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, canonical_text, json_text, sorted_schema

_ANYTHING: TypeAdapter[object] = TypeAdapter(object, config=ConfigDict(ser_json_inf_nan="constants"))
_SHOWN_CHARS = 100
"""How much of a wrong value is shown back to whoever sent it."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{4,}")
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "patternProperties"})
_LITERALS = frozenset({"default", "const", "enum", "examples", "required"})


def schema_of(adapter: TypeAdapter[object]) -> JsonObject:
    """Return the JSON schema of a type: keys sorted, properties and enums in declared order, no titles.

    Raises `SettingsError` when a part of the type has no JSON form, a default included.
    """
    try:
        raw = adapter.json_schema(schema_generator=_StableSchema)
    except PydanticUserError as error:
        raise SettingsError(f"no JSON schema can say this: {error.message}") from error
    schema = sorted_schema(_tidied(raw))
    address = _ADDRESS.search(json_text(schema))
    if address:
        raise SettingsError(
            f"the JSON schema would hold a memory address ({address[0].strip()!r}), which differs in every process; "
            "look for an object's repr in a default or a description"
        )
    return schema


def json_form(value: object) -> JsonValue:
    """Return any value that pydantic can write as JSON: models, dataclasses, enums, dates, decimals, ids, sets.

    Aliases and serializers of models hold, as they do for the schema. Sets come out sorted; everything else keeps its
    order. NaN and the infinities become strings: JSON has no word for them, and `null` would say something else.
    Raises `TypeError` or `ValueError` for a value that JSON cannot carry, never falling back to a repr.
    """
    written = _ANYTHING.dump_python(value, mode="json", by_alias=True, warnings=False)
    return _settled(_ANYTHING.dump_python(value, by_alias=True, warnings=False), written)


def problems_in(error: ValidationError) -> str:
    """Return what pydantic found, one line per problem, each naming the field and what stood there."""
    return "\n".join(_problem(item["loc"], item["type"], item["msg"], item["input"]) for item in error.errors())


def _problem(loc: tuple[int | str, ...], kind: str, message: str, given: object) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    shown = "" if kind in {"missing", "extra_forbidden", "json_invalid"} else f" (given: {_shown(given)})"
    return f"- {where or 'the value'}: {message}{shown}"


def _shown(given: object) -> str:
    text = json_text(json_form(given))
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


class _StableSchema(GenerateJsonSchema):
    """pydantic's generator, with defaults that are the same in every process and no silent omissions."""

    def encode_default(self, dft: object) -> JsonValue:
        if isinstance(dft, float) and not math.isfinite(dft):
            raise SettingsError(f"the default {dft} has no JSON form; use None or a number")
        if dft is None or type(dft) in {bool, int, str}:
            return dft  # type: ignore[return-value]  # these are JSON; pydantic would build a serializer for each
        written = super().encode_default(dft)
        return _settled(_ANYTHING.dump_python(dft, by_alias=self.by_alias, warnings=False), written)

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> NoReturn:
        raise SettingsError(f"the JSON schema would leave something out: {detail} ({kind})")


def _settled(value: object, written: JsonValue) -> JsonValue:
    """Return `written`, the JSON form of `value`, with what JSON leaves open settled: order of sets, odd floats."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(written, list):
        alike = isinstance(value, (list, tuple)) and len(value) == len(written)
        originals = value if alike and isinstance(value, (list, tuple)) else written
        settled = [_settled(item, form) for item, form in zip(originals, written, strict=True)]
        return sorted(settled, key=canonical_json) if isinstance(value, Set) else settled
    if isinstance(written, dict):
        named = {str(name): item for name, item in value.items()} if isinstance(value, dict) else {}
        return {name: _settled(named.get(name), form) for name, form in written.items()}
    number = written if isinstance(written, float) else value
    if isinstance(number, float) and not math.isfinite(number) and not isinstance(written, str):
        return "NaN" if math.isnan(number) else f"{'-' if number < 0 else ''}Infinity"
    return written


def _tidied(schema: JsonObject) -> JsonObject:
    """Return a schema without titles, which only repeat names, and with descriptions in canonical text."""
    tidy: JsonObject = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "description" and isinstance(value, str):
            tidy[key] = canonical_text(value)
        elif key in _NAMED_SCHEMAS and isinstance(value, dict):
            tidy[key] = {name: _tidied_value(item) for name, item in value.items()}
        else:
            tidy[key] = value if key in _LITERALS else _tidied_value(value)
    return tidy


def _tidied_value(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _tidied(value)
    if isinstance(value, list):
        return [_tidied_value(item) for item in value]
    return value
