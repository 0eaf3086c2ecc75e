"""A minimal instance of a schema, for replies that nobody scripted."""

from __future__ import annotations

import pytest

from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.schema_example import example_of


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": ["string", "null"], "minLength": 2}, "xx"),
        ({"type": []}, None),
        ({"const": 7, "type": "string"}, 7),
        ({"enum": ["a", "b"]}, "a"),
        ({"enum": []}, None),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "number", "minimum": "low"}, 0),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "array"}, []),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}}, 1),
        ({"$ref": "#/$defs/none"}, None),
        ({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"a": 0}),
    ],
)
def test_an_example_is_as_small_as_the_schema_lets_it(schema: JsonObject, example: JsonValue) -> None:
    assert example_of(schema) == example


def test_a_schema_that_refers_to_itself_without_end_has_no_example() -> None:
    assert example_of({"$ref": "#"}) is None
