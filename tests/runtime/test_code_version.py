"""What stands for a tool's code in the key of its kept results."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest

from agentcache.errors import ToolDeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.memo_keys import bound
from agentcache.runtime.tools import Tool, tool


def key_of(declared: Tool, arguments: JsonObject) -> str:
    call = bound(declared, arguments)
    assert call is not None
    return call.key()


def declare(function: Callable[..., str], **options: str) -> Tool:
    return tool(function, deterministic=True, name="same", version=options.get("version"))


def by_number(order_id: str) -> str:
    """Find an order."""
    return order_id


def by_reversed_number(order_id: str) -> str:
    """Find an order."""
    return order_id[::-1]


def in_region(region: object) -> Callable[[str], str]:
    def find(order_id: str) -> str:
        """Find an order."""
        return f"{region}{order_id}"

    return find


def test_another_version_of_the_code_is_another_key():
    arguments: JsonObject = {"order_id": "17"}
    assert key_of(declare(by_number), arguments) == key_of(declare(by_number), arguments)
    assert key_of(declare(by_number), arguments) != key_of(declare(by_reversed_number), arguments)
    assert key_of(declare(by_number, version="2"), arguments) != key_of(declare(by_number, version="1"), arguments)


def test_what_a_function_closes_over_is_part_of_the_key():
    arguments: JsonObject = {"order_id": "17"}
    north, south = declare(in_region({"north", "far"})), declare(in_region({"south"}))
    assert key_of(north, arguments) != key_of(south, arguments)
    assert key_of(north, arguments) == key_of(declare(in_region({"far", "north"})), arguments)
    with pytest.raises(ToolDeclarationError, match=r"depends on 'region' \(a object\).* pass version='...'"):
        declare(in_region(object()))


def test_code_without_a_file_has_a_version_too():
    texts = ['"""Find."""\n    return x', '"""Find."""\n    return x + "!"', '"""Find."""\n    return x + "?"']
    versions = []
    for text in texts:
        names: dict[str, Callable[[str], str]] = {}
        exec(f"def find(x: str) -> str:\n    {text}\n", names)
        versions.append(declare(names["find"]).version)
    assert len(set(versions)) == 3


def test_the_arguments_that_a_partial_holds_are_part_of_the_key():
    def priced(order_id: str, factor: int) -> str:
        """Price an order."""
        return order_id * factor

    once, twice = declare(partial(priced, factor=1)), declare(partial(priced, factor=2))
    assert once.version != twice.version
    assert once.version == declare(partial(priced, factor=1)).version


def test_modules_classes_and_functions_count_by_their_names():
    def weighing(weigh: object) -> Callable[[str], str]:
        def find(order_id: str) -> str:
            """Find an order."""
            return f"{weigh}{order_id}"

        return find

    versions = [declare(weighing(item)).version for item in (math, Tool, by_number, by_reversed_number)]
    assert len(set(versions)) == 4
    assert declare(weighing(math)).version == versions[0]


def test_a_recursive_function_may_be_a_tool():
    @tool(deterministic=True)
    def depth(of: int) -> int:
        """Count down."""
        return depth(of - 1) if of else 0

    assert depth.version is not None


def test_a_container_of_objects_cannot_be_written_down():
    with pytest.raises(ToolDeclarationError, match=r"depends on 'region' \(a list\)"):
        declare(in_region([object()]))


def test_an_object_that_is_called_needs_a_version():
    class Finder:
        def __call__(self, order_id: str) -> str:
            """Find an order."""
            return order_id

    with pytest.raises(ToolDeclarationError, match=r"depends on 'self' \(a Finder\)"):
        declare(Finder())
    assert declare(Finder(), version="1").version == "1"
