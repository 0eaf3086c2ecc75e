"""What can never work as a tool is refused when it is declared, with place and remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated

import pytest
from pydantic import Field

from agentcache.errors import ToolDeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.tool_order import ordered_tools
from agentcache.runtime.tools import Tool, tool


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    def find(self, order_id: str) -> str:
        """Find an order."""
        return f"{self.name}:{order_id}"


def find_order(order_id: str) -> str:
    """Find an order."""
    return order_id


def undocumented(order_id: str) -> str:
    return order_id


def untyped(order_id) -> str:
    """Find."""
    return str(order_id)


def variadic(*order_ids: str) -> str:
    """Find."""
    return "".join(order_ids)


def keywords(**order_ids: str) -> str:
    """Find."""
    return "".join(order_ids)


def positional(order_id: str, /) -> str:
    """Find."""
    return order_id


def misfit(order_id: str = None) -> str:  # type: ignore[assignment]  # noqa: RUF013
    """Find."""
    return order_id


def objects(shop: Shop) -> str:
    """Find."""
    return shop.name


def endless(limit: float = float("inf")) -> str:
    """Find."""
    return str(limit)


def callback(then: Callable[[], None]) -> str:
    """Find."""
    return str(then)


async def stream(order_id: str) -> AsyncIterator[str]:
    """Find."""
    yield order_id


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (undocumented, "has no docstring; say in one what it does"),
        (untyped, "parameter 'order_id' has no type; annotate it"),
        (Shop.find, r"parameter 'self' has no type; .*tool\(instance.method\)"),
        (variadic, r"\*order_ids has no fixed schema"),
        (keywords, r"\*\*order_ids has no fixed schema"),
        (positional, "'order_id' is positional-only, .* drop the '/'"),
        (misfit, "the default of 'order_id' does not fit its own type"),
        (objects, "Shop.* Use types that JSON can carry"),
        (endless, "the default inf has no JSON form"),
        (callback, "no JSON schema can say this"),
        (stream, "yields, but a tool returns one value; return a list"),
        (lambda order_id: order_id, "parameter 'order_id' has no type"),
    ],
)
def test_what_can_never_work_is_refused_with_place_and_remedy(function: Callable[..., str], complaint: str):
    with pytest.raises(ToolDeclarationError, match=complaint) as refused:
        tool(function)
    assert "test_tool_refusals.py:" in str(refused.value)
    assert function.__qualname__ in str(refused.value)


@pytest.mark.parametrize("built_in", [len, str])
def test_what_is_not_written_in_python_is_refused(built_in: Callable[..., object]):
    with pytest.raises(ToolDeclarationError, match=f"{built_in.__name__}: is no Python function; wrap it in one"):
        tool(built_in)


def test_a_default_that_json_cannot_carry_is_refused():
    def use(weird: object = object()) -> str:
        """Use."""
        return str(weird)

    with pytest.raises(ToolDeclarationError, match="would leave something out"):
        tool(use)


def test_a_memory_address_in_a_schema_is_refused():
    def use(x: Annotated[int, Field(description=f"As in {object()}")]) -> str:
        """Use."""
        return str(x)

    with pytest.raises(ToolDeclarationError, match="memory address"):
        tool(use)


def test_an_annotation_that_cannot_be_found_is_named():
    def use(x: Missing) -> str:  # type: ignore[name-defined]  # noqa: F821
        """Use."""
        return str(x)

    with pytest.raises(ToolDeclarationError, match="'Missing' is not known where the function is declared"):
        tool(use)


@pytest.mark.parametrize("name", ["", "find order", "räume", "x" * 65, "a.b"])
def test_a_name_that_the_api_refuses_is_refused(name: str):
    with pytest.raises(ToolDeclarationError, match=r"give one with name='\.\.\.'"):
        Tool(name=name, description="Find.", input_schema={"type": "object"}, function=str)


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "string"}, "the API takes 'object' only"),
        ({"type": "object", "anyOf": []}, "anyOf at its top"),
        ({"type": "object", "default": float("nan")}, "is no JSON"),
    ],
)
def test_a_schema_that_the_api_refuses_is_refused(schema: JsonObject, complaint: str):
    with pytest.raises(ToolDeclarationError, match=complaint):
        Tool(name="x", description="Find.", input_schema=schema, function=str)


def test_options_of_the_memo_need_determinism():
    with pytest.raises(ToolDeclarationError, match="add deterministic=True"):
        tool(ttl="1h")(find_order)
    with pytest.raises(ToolDeclarationError, match=r"write tags=\['orders'\]"):
        tool(find_order, deterministic=True, tags="orders")


def test_a_nonsensical_duration_names_its_option():
    with pytest.raises(ToolDeclarationError, match=r"find_order: timeout: 'soon' is no length of time"):
        tool(find_order, timeout="soon")


def test_a_deterministic_tool_that_depends_on_an_object_needs_a_version():
    with pytest.raises(ToolDeclarationError, match=r"depends on 'self' \(a Shop\).*pass version="):
        tool(Shop("north").find, deterministic=True)
    assert tool(Shop("north").find, deterministic=True, version="north").version == "north"


def test_a_tool_without_a_description_or_without_room_is_refused():
    with pytest.raises(ToolDeclarationError, match="has no description"):
        tool(find_order, description=" ")
    with pytest.raises(ToolDeclarationError, match="max_result_chars is 0"):
        tool(find_order, max_result_chars=0)


def test_two_tools_of_one_name_are_refused_with_both_places():
    with pytest.raises(ToolDeclarationError, match=r"two tools are named 'find_order': .*find_order and .*Shop.find"):
        ordered_tools([tool(find_order), tool(Shop("north").find, name="find_order")])


def test_a_tool_cannot_be_declared_twice():
    with pytest.raises(ToolDeclarationError, match=r"find_order: is a tool already; .* pass its \.original"):
        tool(tool(find_order), timeout="5s")


def test_what_is_no_tool_is_refused():
    with pytest.raises(ToolDeclarationError, match="put @tool on the function"):
        ordered_tools([find_order])  # type: ignore[type-var]
