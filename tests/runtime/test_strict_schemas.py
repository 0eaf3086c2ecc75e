"""Which schemas the API's structured outputs can say."""

from __future__ import annotations

import pytest

from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.strict_schemas import strict_schema

ITEM: JsonObject = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def inside(schema: JsonObject, definitions: JsonObject | None = None) -> JsonObject:
    whole: JsonObject = {"type": "object", "properties": {"it": schema}, "required": ["it"]}
    return whole if definitions is None else {**whole, "$defs": definitions}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "integer", "minimum": 1}, {"type": "integer", "description": "(minimum: 1)"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "path"}, {"type": "string", "description": '(format: "path")'}),
        ({"type": "string", "enum": ["b", "a"]}, {"enum": ["b", "a"]}),
        ({"type": "string", "const": "a"}, {"const": "a"}),
        (
            {"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 3},
            {"type": "array", "items": {"type": "null"}, "minItems": 1, "description": "(maxItems: 3)"},
        ),
        ({"oneOf": [{"type": "null"}, ITEM]}, {"anyOf": [{"type": "null"}, {**ITEM, "additionalProperties": False}]}),
    ],
)
def test_what_only_narrows_a_value_moves_into_the_description(schema: JsonObject, strict: JsonObject):
    assert strict_schema(inside(schema)) == {**inside(strict), "additionalProperties": False}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"allOf": [ITEM]},
        {"type": ["string", "null"]},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "array", "prefixItems": [ITEM], "items": ITEM},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "patternProperties": {"x": {"type": "string"}}},
        {"enum": []},
        {"enum": [["a"]]},
        {"const": {"a": 1}},
        {"$ref": "https://example.com/schema"},
    ],
)
def test_what_would_change_its_meaning_cannot_be_said(schema: JsonObject):
    assert strict_schema(inside(schema)) is None


def test_a_definition_that_leads_back_to_itself_cannot_be_said():
    circle: JsonObject = {
        "A": {"type": "array", "items": {"$ref": "#/$defs/B"}},
        "B": {"type": "array", "items": {"$ref": "#/$defs/A"}},
    }
    assert strict_schema(inside({"$ref": "#/$defs/A"}, circle)) is None


def test_a_definition_used_twice_is_kept_once():
    strict = strict_schema(inside({"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}, {"A": ITEM}))
    assert strict is not None
    assert strict["$defs"] == {"A": {**ITEM, "additionalProperties": False}}
    assert strict["properties"] == {"it": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}}


@pytest.mark.parametrize(("unions", "fits"), [(16, True), (17, False)])
def test_more_unions_than_the_api_compiles_cannot_be_said(unions: int, fits: bool):
    either: JsonObject = {"anyOf": [{"type": "null"}, {"type": "string"}]}
    names = [f"f{i}" for i in range(unions)]
    schema: JsonObject = {"type": "object", "properties": dict.fromkeys(names, either), "required": [*names]}
    assert (strict_schema(schema) is not None) is fits
