"""Which form an answer must have, how the model is told, and how the answer is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from agentcache.errors import OutputInvalid, SettingsError
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.runtime.output import OutputSpec


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Verdict(BaseModel):
    """A verdict."""

    passed: bool
    score: Annotated[int, Field(ge=0, le=10, description="How good.")]
    reasons: Annotated[list[str], Field(min_length=2)]
    note: str | None = None


@dataclass
class Point:
    x: int
    y: int


class Box(TypedDict):
    width: int


class Tree(BaseModel):
    branches: list[Tree] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int


def test_text_has_no_schema_and_comes_as_it_is():
    spec = OutputSpec.of(str)
    assert (spec.schema, spec.native_schema, spec.instruction()) == (None, None, "")
    assert not spec.needs_words(structured_outputs=False)
    assert spec.parse("```json\n{}\n```") == "```json\n{}\n```"


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        (Verdict, '{"passed":true,"score":3,"reasons":[]}', None),
        (Point, '{"x":1,"y":2}', Point(1, 2)),
        (Box, '{"width":3}', {"width": 3}),
        (list[int], '{"value":[1,2]}', [1, 2]),
        (int | str, '{"value":"x"}', "x"),
        (Literal["a", "b"], '{"value":"b"}', "b"),
        (bool, '{"value":true}', True),
        (Point | None, '{"value":null}', None),
        (tuple[int, str], '{"value":[1,"x"]}', (1, "x")),
        (dict[str, int], '{"a":1}', {"a": 1}),
        (Union[Cat, Dog], '{"value":{"kind":"cat","lives":9}}', Cat(lives=9)),  # noqa: UP007
        (Tree, '{"branches":[{}]}', Tree(branches=[Tree()])),
    ],
)
def test_an_answer_becomes_an_instance_of_the_declared_type(output: object, text: str, value: object):
    spec = OutputSpec.of(output)
    if value is None and output is Verdict:
        with pytest.raises(OutputInvalid, match="reasons: List should have at least 2 items"):
            spec.parse(text)
    else:
        assert spec.parse(text) == value


def test_the_native_schema_is_closed_and_says_the_rest_in_words():
    assert OutputSpec.of(Verdict).native_schema == {
        "type": "object",
        "description": "A verdict.",
        "additionalProperties": False,
        "required": ["passed", "score", "reasons"],
        "properties": {
            "passed": {"type": "boolean"},
            "score": {"type": "integer", "description": "How good.\n(maximum: 10; minimum: 0)"},
            "reasons": {"type": "array", "items": {"type": "string"}, "description": "(minItems: 2)"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "(default: null)"},
        },
    }


def test_a_union_told_apart_by_a_field_becomes_any_of():
    pet = OutputSpec.of(Annotated[Cat | Dog, Field(discriminator="kind")])
    assert pet.native_schema is not None
    properties = pet.native_schema["properties"]
    assert properties == {"value": {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}}


def test_a_described_reference_is_written_out():
    class Owner(BaseModel):
        pet: Annotated[Cat, Field(description="The oldest one.")]

    native = OutputSpec.of(Owner).native_schema
    assert native is not None
    pet = native["properties"]["pet"]  # type: ignore[index, call-overload]
    assert (pet["description"], pet["additionalProperties"]) == ("The oldest one.", False)  # type: ignore[index, call-overload]


@pytest.mark.parametrize("output", [Tree, dict[str, int], tuple[int, str], Open, list[object], dict])
def test_what_structured_outputs_cannot_say_is_said_in_words(output: object):
    spec = OutputSpec.of(output)
    assert spec.native_schema is None
    assert spec.needs_words(structured_outputs=True)


def test_a_schema_beyond_the_size_limits_is_said_in_words():
    fields = {f"field_{i}": (int, 0) for i in range(25)}
    from pydantic import create_model

    assert OutputSpec.of(create_model("Large", **fields)).native_schema is None  # type: ignore[call-overload]
    del fields["field_0"]
    assert OutputSpec.of(create_model("Fitting", **fields)).native_schema is not None  # type: ignore[call-overload]


def test_only_models_without_structured_outputs_need_words_for_the_rest():
    spec = OutputSpec.of(Verdict)
    assert spec.needs_words(structured_outputs=False)
    assert not spec.needs_words(structured_outputs=True)
    assert json_text(spec.schema) in spec.instruction()


@pytest.mark.parametrize(
    "text",
    [
        '{"x":1,"y":2}',
        ' {"x":1,"y":2}\n',
        '```json\n{"x":1,"y":2}\n```',
        'Here it is:\n\n```\n{"x":1,\n"y":2}\n```\nAnything else?',
    ],
)
def test_a_code_fence_is_taken_off_where_the_form_was_asked_for_in_words(text: str):
    assert OutputSpec.of(Point).parse(text) == Point(1, 2)


def test_a_fence_inside_a_value_stays():
    assert OutputSpec.of(list[str]).parse('{"value":["```json\\n1\\n```"]}') == ["```json\n1\n```"]


def test_structured_outputs_write_no_fence():
    with pytest.raises(OutputInvalid, match="Invalid JSON"):
        OutputSpec.of(Point).parse('```json\n{"x":1,"y":2}\n```', native=True)


def test_the_repair_message_names_every_wrong_field():
    spec = OutputSpec.of(Verdict)
    with pytest.raises(OutputInvalid) as invalid:
        spec.parse('{"score":11,"reasons":["a","b"],"note":3}')
    assert spec.repair_message(invalid.value) == (
        "Your answer does not have the required form:\n"
        "- passed: Field required\n"
        "- score: Input should be less than or equal to 10 (given: 11)\n"
        "- note: Input should be a valid string (given: 3)\n"
        "Answer again with the whole corrected JSON object and nothing else."
    )


def test_an_answer_without_json_says_so():
    with pytest.raises(OutputInvalid, match=r"^- the value: Invalid JSON: expected value at line 1"):
        OutputSpec.of(Point).parse("Rather not.")


@pytest.mark.parametrize("output", [object(), type("Thing", (), {}), 3])
def test_a_type_without_a_schema_is_refused(output: object):
    with pytest.raises(SettingsError, match=r"^output .* Use str, a pydantic model"):
        OutputSpec.of(output)


def test_the_order_of_a_union_is_the_authors():
    assert OutputSpec.of(int | str).schema != OutputSpec.of(str | int).schema


def test_the_spec_of_a_class_is_made_once():
    assert OutputSpec.of(Point) is OutputSpec.of(Point)


def _closed(schema: object) -> bool:
    if isinstance(schema, list):
        return all(map(_closed, schema))
    if not isinstance(schema, dict):
        return True
    closed = schema.get("type") != "object" or schema.get("additionalProperties") is False
    return closed and all(map(_closed, schema.values()))


LEAVES = st.sampled_from([int, str, bool, float, Cat, Point, Literal["x", "y"], Annotated[int, Field(gt=3)]])
TYPES = st.recursive(
    LEAVES,
    lambda inner: inner.map(list.__class_getitem__) | st.tuples(inner, inner).map(Union.__getitem__),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(TYPES.filter(lambda output: output is not str))
def test_every_native_schema_is_closed_and_uses_supported_keywords_only(output):
    schema: JsonObject | None = OutputSpec.of(output).native_schema
    assert schema is not None
    assert _closed(schema)
    text = json_text(schema)
    for keyword in ("exclusiveMinimum", "oneOf", "discriminator", "default", "title", "prefixItems"):
        assert f'"{keyword}":' not in text
