"""What a listing becomes: equal bytes for equal meaning, names that fit, refusals one by one."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.errors import DeclarationError, SettingsError, ToolDeclarationError
from agentcache.prompt.canonical import json_text
from agentcache.runtime.pinned_tools import (
    PinnedList,
    canonical_schema,
    difference,
    grown,
    lists_from_json,
    lists_to_json,
    pin,
    tool_name,
    toolset_of,
)
from agentcache.runtime.toolsets import McpServer

SERVER = McpServer.stdio("shop", "shop-server")
NAMES = st.text(alphabet="abcXYZ_-./é ", min_size=1, max_size=100)
PARTS = st.dictionaries(st.sampled_from(["size", "colour", "required", "name"]), st.just({"type": "string"}))


@st.composite
def tools(draw: st.DrawFn) -> list[dict[str, Any]]:
    listed = []
    for name in draw(st.lists(NAMES, unique=True, max_size=6)):
        properties = draw(PARTS)
        schema = {
            "type": "object",
            "properties": properties,
            "required": sorted(properties)[:2],
            "default": {"required": ["b", "a"]},
        }
        listed.append({"name": name, "description": draw(st.text(max_size=20)), "inputSchema": schema})
    return listed


def pinned(listed: list[Any], server: McpServer = SERVER) -> Any:
    return pin(server, listed, why_invalid=lambda schema: None)


def shuffled(value: Any, chance: random.Random) -> Any:
    """Return the same JSON with the keys of objects, and the lists that are sets, in another order."""
    if isinstance(value, dict):
        items = [(key, value[key] if key == "default" else shuffled(value[key], chance)) for key in value]
        chance.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return chance.sample(value, len(value))
    return value


def sent(found: Any) -> str:
    toolset = toolset_of(SERVER, PinnedList(source="s", tools=found, defer=False), lambda tool: lambda given: None)
    return json_text([tool.definition() for tool in toolset.tools])


@given(tools(), st.randoms(use_true_random=False))
def test_equal_listings_are_equal_bytes_whatever_order_they_came_in(listed: Any, chance: random.Random) -> None:
    first, refused = pinned(listed)
    second, refused_too = pinned(chance.sample([shuffled(tool, chance) for tool in listed], len(listed)))
    assert sent(first) == sent(second)
    assert {each.tool for each in refused} == {each.tool for each in refused_too}


@given(tools())
def test_every_name_fits_the_api_and_none_is_there_twice(listed: Any) -> None:
    found, refused = pinned(listed)
    names = [tool.name for tool in found]
    assert names == sorted(set(names))
    assert all(re.fullmatch(r"shop__[a-zA-Z0-9_-]+", name) and len(name) <= 64 for name in names)
    assert len(found) + len(refused) == len(listed)


@given(tools())
def test_a_stored_list_comes_back_with_the_same_bytes(listed: Any) -> None:
    found, _ = pinned(listed)
    stored = json.loads(json.dumps(lists_to_json({"shop": PinnedList(source="s", tools=found, defer=True)})))
    [back] = lists_from_json(stored).values()
    assert sent(back.tools) == sent(found)
    assert (back.source, back.defer) == ("s", True)


@given(tools(), tools())
def test_a_difference_names_every_tool_that_is_not_the_same(before: Any, now: Any) -> None:
    old, new = pinned(before)[0], pinned(now)[0]
    change = difference(old, new)
    same = {tool.name for tool in old if tool in new}
    told = {*change.added, *change.removed, *change.changed}
    assert told | same == {tool.name for tool in (*old, *new)}
    assert not told & same
    assert bool(change) == bool(told)


@given(tools(), tools(), st.data())
def test_a_deferred_list_keeps_what_was_found_and_follows_the_server_in_the_rest(
    before: Any, now: Any, data: st.DataObject
) -> None:
    old, new = pinned(before)[0], pinned(now)[0]
    found = data.draw(st.lists(st.sampled_from([tool.name for tool in old]), unique=True)) if old else []
    list_now = {tool.name: tool for tool in grown(old, new, found)}
    assert all(list_now[tool.name] == tool for tool in old if tool.name in found)
    assert all(list_now[tool.name] == tool for tool in new if tool.name not in found)
    assert list_now.keys() == {tool.name for tool in new} | set(found)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("text", "it has no name"),
        ({"inputSchema": {"type": "object"}}, "it has no name"),
        ({"name": "a", "inputSchema": None}, "its inputSchema is null, no object"),
        ({"name": "a", "inputSchema": {"type": "array"}}, "its inputSchema has type 'array'"),
        ({"name": "a", "inputSchema": {"type": "object", "anyOf": []}}, "has anyOf at its top"),
        ({"name": "a", "inputSchema": {"type": "object"}, "description": 3}, "its description is no text"),
    ],
)
def test_what_no_request_could_carry_is_refused_and_the_rest_is_not(raw: Any, reason: str) -> None:
    found, refused = pinned([raw, {"name": "b", "inputSchema": {"type": "object"}}])
    assert [tool.remote for tool in found] == ["b"]
    assert reason in refused[0].reason


def test_two_names_that_become_one_are_told_apart() -> None:
    found, refused = pinned([{"name": name, "inputSchema": {"type": "object"}} for name in ("a.b", "a b")])
    assert [tool.remote for tool in found] == ["a b"]
    assert refused[0].reason == "its name 'shop__a_b' is that of 'a b' too"


def test_a_long_name_ends_in_a_digest() -> None:
    assert len(tool_name("shop", "x" * 80)) == 64
    assert tool_name("shop", "x" * 80) != tool_name("shop", "x" * 81)


def test_data_in_a_schema_keeps_its_order() -> None:
    schema: Any = {"type": "object", "properties": {"b": {"enum": ["z", "a"]}, "a": {}}, "required": ["b", "a"]}
    assert json_text(canonical_schema(schema)) == (
        '{"properties":{"a":{},"b":{"enum":["z","a"]}},"required":["a","b"],"type":"object"}'
    )


def test_only_the_tools_that_the_author_names_are_offered() -> None:
    server = McpServer.stdio("shop", "shop-server", only=["read_*"])
    listed = [{"name": name, "inputSchema": {"type": "object"}} for name in ("read_a", "write_a")]
    found, refused = pinned(listed, server)
    assert ([tool.remote for tool in found], refused) == (["read_a"], ())


def test_an_approval_rule_that_does_not_fit_is_an_error_and_never_dropped() -> None:
    server = McpServer.stdio("shop", "shop-server", approval={"*": lambda amount: amount > 3})
    found, _ = pinned([{"name": "pay", "inputSchema": {"type": "object", "properties": {}}}], server)
    with pytest.raises(ToolDeclarationError, match="looks at 'amount', which the tool does not take"):
        toolset_of(server, PinnedList(source="s", tools=found, defer=False), lambda tool: lambda given: None)


def test_a_kept_result_belongs_to_one_definition_of_one_server() -> None:
    server = McpServer.stdio("shop", "shop-server", keep_results={"find": "1h"})

    def version(source: str, description: str) -> str | None:
        found, _ = pinned([{"name": "find", "description": description, "inputSchema": {"type": "object"}}], server)
        [tool] = toolset_of(server, PinnedList(source=source, tools=found, defer=False), lambda tool: print).tools
        assert (tool.deterministic, tool.ttl_s) == (True, 3600.0)
        return tool.version

    assert version("s", "Finds.") == version("s", "Finds.")
    assert len({version("s", "Finds."), version("t", "Finds."), version("s", "Finds all.")}) == 3


def test_secrets_are_in_no_repr_and_in_no_identity() -> None:
    first = McpServer.http("shop", "https://shop.example/mcp", headers={"authorization": "Bearer hush"})
    second = McpServer.http("shop", "https://shop.example/mcp", headers={"authorization": "Bearer other"})
    assert "hush" not in repr(first)
    assert first.source == second.source


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": "a b"}, DeclarationError),
        ({"concurrency": 0}, SettingsError),
        ({"on_change": "now"}, SettingsError),
        ({"only": "read_*"}, SettingsError),
        ({"defer": "maybe"}, SettingsError),
        ({"timeout": "soon"}, SettingsError),
    ],
)
def test_what_could_never_work_is_refused_where_it_is_declared(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        McpServer(**{"name": "shop", "transport": SERVER.transport, **wrong})
