"""What the model is told about a function."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agentcache.prompt.canonical import JsonObject, JsonValue, json_text
from agentcache.runtime.tool_order import ordered_tools
from agentcache.runtime.tools import FunctionTool, Tool, tool


class Size(Enum):
    SMALL = "small"
    LARGE = "large"
    MEDIUM = "medium"


class Line(BaseModel):
    """One line of an order."""

    article: str
    count: Annotated[int, Field(ge=1)] = 1


@tool
async def find_order(order_id: str, limit: int = 10) -> str:
    """Look an order up by its number."""
    return f"{order_id}/{limit}"


def properties_of(declared: Tool) -> dict[str, JsonValue]:
    schema = declared.definition()["input_schema"]
    assert isinstance(schema, dict)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return properties


def test_signature_and_docstring_are_the_definition():
    assert find_order.definition() == {
        "name": "find_order",
        "description": "Look an order up by its number.",
        "input_schema": {
            "additionalProperties": False,
            "properties": {"order_id": {"type": "string"}, "limit": {"default": 10, "type": "integer"}},
            "required": ["order_id"],
            "type": "object",
        },
    }


def test_the_definition_is_the_same_object_every_time():
    assert find_order.definition() is find_order.definition()


def test_properties_keep_the_order_of_the_parameters():
    @tool
    def ship(zone: str, address: str, by: str = "van") -> str:
        """Ship."""
        return zone + address + by

    assert list(properties_of(ship)) == ["zone", "address", "by"]


async def test_from_python_it_is_still_the_function():
    assert await find_order("17", limit=3) == "17/3"


def test_enums_and_literals_keep_their_declared_order_and_nothing_has_a_title():
    @tool
    def order(size: Size, speed: Literal["slow", "fast", "mad"], lines: list[Line], note: str | None = None) -> str:
        """Order."""
        return f"{size}{speed}{lines}{note}"

    text = json_text(order.definition())
    assert '"enum":["small","large","medium"]' in text
    assert '"enum":["slow","fast","mad"]' in text
    assert '"description":"One line of an order."' in text
    assert '"title"' not in text


def test_a_property_named_title_stays():
    @tool
    def name_it(title: str) -> str:
        """Name it."""
        return title

    assert properties_of(name_it) == {"title": {"type": "string"}}


def test_an_annotation_describes_and_bounds_its_parameter():
    @tool
    def take(count: Annotated[int, Field(description="How many.", ge=1)]) -> str:
        """Take some."""
        return str(count)

    assert properties_of(take) == {"count": {"description": "How many.", "minimum": 1, "type": "integer"}}


async def test_an_alias_is_what_the_model_sees():
    @tool
    def take(order_id: Annotated[str, Field(alias="orderId")]) -> str:
        """Take."""
        return order_id

    assert list(properties_of(take)) == ["orderId"]
    assert (await take.call({"orderId": "17"})).content == "17"


async def test_a_parameter_may_be_called_what_pydantic_calls_its_own():
    @tool
    def copy(schema: str, model_config: str, _hidden: int = 1) -> str:
        """Copy."""
        return f"{schema}{model_config}{_hidden}"

    assert list(properties_of(copy)) == ["schema", "model_config", "_hidden"]
    assert (await copy.call({"schema": "a", "model_config": "b", "_hidden": 2})).content == "ab2"


def test_types_declared_beside_a_local_tool_are_found():
    class Local(BaseModel):
        x: int

    @tool
    def use(local: Local) -> str:
        """Use."""
        return str(local.x)

    assert "$ref" in json_text(use.definition())


def google(first: str, second: int = 2) -> str:
    """Do it.

    At length.

    Args:
        first (str): What comes
            first.
        second: And then.

    Returns:
        The result.
    """
    return first * second


def numpy(first: str, second: int = 2) -> str:
    """Do it.

    At length.

    Parameters
    ----------
    first : str
        What comes
        first.
    second : int
        And then.
    """
    return first * second


def sphinx(first: str, second: int = 2) -> str:
    """Do it.

    At length.

    :param str first: What comes
        first.
    :type second: int
    :param second: And then.
    """
    return first * second


@pytest.mark.parametrize(
    ("function", "description"),
    [
        (google, "Do it.\n\nAt length.\n\nReturns:\n    The result."),
        (numpy, "Do it.\n\nAt length."),
        (sphinx, "Do it.\n\nAt length."),
    ],
)
def test_the_docstring_describes_parameters_in_three_styles(function: Callable[..., str], description: str):
    declared = tool(function)
    assert declared.definition()["description"] == description
    assert properties_of(declared) == {
        "first": {"description": "What comes first.", "type": "string"},
        "second": {"default": 2, "description": "And then.", "type": "integer"},
    }


@pytest.mark.parametrize(
    "docstring",
    [
        "Do it.\n\nArgs:\n    frist: A slip of the pen.",
        "Do it.\n\nArgs:\n    This is prose.",
        "Do it.\n\nParameters\n----------\nThis is prose.",
        "Do it.\n\nParameters\n----------\n    first : str",
        "Do it.\n\n:param frist: A slip of the pen.",
    ],
)
def test_a_parameter_section_that_fits_no_parameter_stays_in_the_description(docstring: str):
    def do(first: str) -> str:
        return first

    do.__doc__ = docstring
    assert tool(do).definition()["description"] == docstring


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    def find(self, order_id: str) -> str:
        """Find an order."""
        return f"{self.name}:{order_id}"


async def test_a_bound_method_and_a_partial_can_be_tools():
    found = await tool(Shop("north").find).call({"order_id": "17"})
    half = tool(partial(google, second=3), name="half")
    assert found.content == "north:17"
    assert (await half.call({"first": "ab"})).content == "ababab"


async def test_a_callable_object_can_be_a_tool():
    class Finder:
        async def __call__(self, order_id: str, fields: list[str] = ["number"], also: dict[str, int] = {}) -> str:  # noqa: B006
            """Find an order."""
            return f"{order_id}{fields}{also}"

    found = tool(Finder(), name="finder")
    assert found.blocking is False
    assert (await found.call({"order_id": "17"})).content == "17['number']{}"


async def test_a_tool_may_bring_a_schema_of_its_own():
    def forward(arguments: JsonObject) -> object:
        return {"sent": arguments}

    schema: JsonObject = {"type": "object", "properties": {"z-index": {"type": "integer"}}}
    raw = Tool(name="forward", description="Forward.", input_schema=schema, function=forward)
    assert (await raw.call({"z-index": 3})).content == '{"sent":{"z-index":3}}'


NAMED: list[FunctionTool[..., str]] = [tool(google, name=name) for name in ("b", "a", "C", "a-1", "_", "a_1")]


@settings(max_examples=30)
@given(st.permutations(NAMED))
def test_tools_come_in_one_order_whatever_order_they_were_declared_in(shuffled: list[Tool]):
    assert [item.name for item in ordered_tools(shuffled)] == ["C", "_", "a", "a-1", "a_1", "b"]


PROBE = '''
from enum import Enum
from typing import Literal
from pydantic import BaseModel
from agentcache.prompt.canonical import json_text
from agentcache.runtime.output import OutputSpec
from agentcache.runtime.schemas import json_form
from agentcache.runtime.tool_order import ordered_tools
from agentcache.runtime.tools import tool

class Flag(Enum):
    RED = "red"
    BLUE = "blue"

class Deep(BaseModel):
    words: set[str] = {"x", "y", "z", "w"}

class Deeper(BaseModel):
    deep: Deep | None = None
    flag: Flag = Flag.BLUE

@tool
def second(tags: set[str] = {"delta", "alpha", "beta"}, deeper: Deeper = Deeper(), kind: Literal["q", "p"] = "q"):
    """Second."""
    return ""

@tool(deterministic=True, tags={"u", "v", "w"})
def first(tags: frozenset[str] = frozenset({"delta", "alpha"}), deep: Deep = Deep()) -> str:
    """First."""
    return ""

made = {}
exec("def made(x: str):\\n    'Made.'\\n    return x in {'a', 'b', 'c'}\\n", made)

print(json_text([item.definition() for item in ordered_tools({second, first})]))
print(json_text([first.version, first.tags, tool(made["made"], deterministic=True).version]))
print(json_text([first.identity(), tool(made["made"], deterministic=True).identity()]))
print(json_text(json_form({"a": {"k", "l", "m", "n"}, "b": [Deep()], "c": {(1, 2), (0, 9)}})))
print(json_text([OutputSpec.of(Deeper).native_schema, OutputSpec.of(set[str]).schema]))
'''


def test_bytes_do_not_depend_on_the_hash_seed(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    printed = {
        subprocess.run(
            [sys.executable, str(probe)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(printed) == 1
    definitions = json.loads(printed.pop().splitlines()[0])
    assert definitions[1]["input_schema"]["properties"]["tags"]["default"] == ["alpha", "beta", "delta"]
