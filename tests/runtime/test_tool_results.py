"""How what a tool returns reads on the wire."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.runtime.tool_results import ToolResult, result_of
from agentcache.runtime.tools import tool

ROOM = 200_000
IMAGE: JsonObject = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


class Mood(StrEnum):
    GOOD = "good"


class Group(Enum):
    BOTH = frozenset({"b", "a"})


class Order(BaseModel):
    number: int
    total: Decimal = Field(serialization_alias="totalEur")
    tags: set[str]


@dataclass
class Found:
    orders: list[Order]
    on: date


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        (17, "17"),
        (True, "true"),
        (Mood.GOOD, "good"),
        (date(2026, 1, 2), "2026-01-02"),
        (Path("a"), "a"),
        (Decimal("1.10"), "1.10"),
        (b"bytes", "bytes"),
        ({"b": 1, "a": [2, None]}, '{"a":[2,null],"b":1}'),
        ({3: "int keys", "nested": {"s": {"c", "a", "b"}}}, '{"3":"int keys","nested":{"s":["a","b","c"]}}'),
        ([Group.BOTH], '[["a","b"]]'),
        (
            Found(orders=[Order(number=1, total=Decimal("1.10"), tags={"y", "x"})], on=date(2026, 1, 2)),
            '{"on":"2026-01-02","orders":[{"number":1,"tags":["x","y"],"totalEur":"1.10"}]}',
        ),
        ([1.5, math.nan, -math.inf], '[1.5,"NaN","-Infinity"]'),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        ([], "[]"),
        ("", "(no output)"),
        (" \n", "(no output)"),
        (None, "null"),
    ],
)
def test_text_stays_and_everything_else_is_canonical_json(value: object, text: str):
    assert result_of(value, max_chars=ROOM) == ToolResult(content=text)


async def test_a_tool_declared_to_return_nothing_says_ok():
    @tool
    def delete(order_id: str) -> None:
        """Delete an order."""

    @tool
    def find(order_id: str) -> str | None:
        """Find an order."""

    assert (await delete.call({"order_id": "17"})).content == "ok"
    assert (await find.call({"order_id": "17"})).content == "null"


def test_content_blocks_pass_through():
    blocks = [{"type": "text", "text": "A picture:"}, IMAGE]
    assert result_of(blocks, max_chars=ROOM).content == blocks


def test_data_that_merely_has_a_type_stays_data():
    records = [{"type": "image", "source": "camera 1"}, {"type": "text"}]
    assert result_of(records, max_chars=ROOM).content == '[{"source":"camera 1","type":"image"},{"type":"text"}]'


def test_a_tool_may_return_a_result_of_its_own():
    own = ToolResult(content="closed on Sundays", outcome="error")
    assert result_of(own, max_chars=ROOM) == own


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ({"type": "thinking", "thinking": "hm"}, "type 'thinking' is not one that a tool result may hold"),
        ({"type": "text"}, "or lacks its content"),
        ({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}, "the planner places breakpoints"),
    ],
)
def test_blocks_that_the_api_would_refuse_are_refused(block: JsonObject, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        result_of(ToolResult(content=[block]), max_chars=ROOM)


@pytest.mark.parametrize("value", [object(), lambda: 1, b"\xff", {1, object()}, Order])
def test_a_value_without_a_json_form_is_refused_instead_of_shown_as_a_repr(value: object):
    with pytest.raises((TypeError, ValueError)):
        result_of(value, max_chars=ROOM)


async def test_the_model_is_told_what_could_not_be_sent():
    @tool
    def connect() -> object:
        """Connect."""
        return object()

    result = await connect.call({})
    assert (result.outcome, result.is_error) == ("error", True)
    assert "connect returned a object that cannot be sent: Unable to serialize" in str(result.content)


def test_a_long_text_is_cut_and_says_by_how_much():
    assert result_of("x" * 120, max_chars=100).content == "x" * 100 + "\n[cut: 20 more characters]"
    block: JsonObject = {"type": "text", "text": "x" * 120}
    cut: JsonObject = {"type": "text", "text": "x" * 100 + "\n[cut: 20 more characters]"}
    assert result_of([block, IMAGE], max_chars=100).content == [cut, IMAGE]


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_joined():
    assert result_of("bad \ud800 name", max_chars=ROOM).content == "bad \ufffd name"
    assert result_of("\ud83d\ude00", max_chars=ROOM).content == "\U0001f600"


def test_a_result_block_has_one_order_of_keys_and_is_error_only_when_so():
    assert json_text(ToolResult(content="ok").block("toolu_1")) == (
        '{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}'
    )
    assert json_text(ToolResult(content="no", outcome="timeout").block("toolu_1")) == (
        '{"type":"tool_result","tool_use_id":"toolu_1","content":"no","is_error":true}'
    )


def test_only_text_counts_as_characters():
    assert ToolResult(content=[{"type": "text", "text": "four"}, IMAGE, {"type": "text", "text": "six"}]).chars == 7
    assert ToolResult(content="four").chars == 4


def test_no_blocks_at_all_say_that_there_is_no_output():
    assert result_of(ToolResult(content=[]), max_chars=ROOM).content == "(no output)"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), JSON, max_size=5), st.randoms())
def test_the_order_in_which_a_dict_was_filled_does_not_show(value, random):
    names = list(value)
    random.shuffle(names)
    shuffled = {name: value[name] for name in names}
    assert result_of(shuffled, max_chars=ROOM) == result_of(value, max_chars=ROOM)


@settings(max_examples=50)
@given(st.one_of(st.text(st.characters()), JSON), st.integers(1, 50))
def test_every_result_can_be_sent(value, max_chars):
    content = result_of(value, max_chars=max_chars).content
    assert isinstance(content, str)
    assert content.strip()
    assert content.encode()
