"""How far a breakpoint reaches back, and which earlier write it finds, block by block."""

from __future__ import annotations

import pytest

from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.lookback import deepest_written, furthest_in_reach, in_reach, layer_ends, shared_ends
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability

THOUGHT: JsonObject = {"type": "thinking", "thinking": "hm", "signature": "s"}
TOOL: JsonObject = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object"}}
DEFERRED: JsonObject = {**TOOL, "name": "rare", "defer_loading": True}


def section(name: str, stability: Stability = Stability.STATIC, *, parting: bool = False) -> RenderedSection:
    return RenderedSection(name=name, stability=stability, text=f"{name} text", breakpoint=None, parting=parting)


def laid_out(
    blocks: int = 0,
    *,
    tools: tuple[JsonObject, ...] = (),
    system: tuple[RenderedSection, ...] = (),
    answer: tuple[JsonObject, ...] = (),
) -> Layout:
    """Return a layout of one user message of `blocks` texts, and an answer if one is given."""
    texts: list[JsonValue] = [{"type": "text", "text": f"text {place}"} for place in range(blocks)]
    messages: list[JsonObject] = [{"role": "user", "content": texts}, {"role": "assistant", "content": list(answer)}]
    return lay_out(
        facts=facts_for("claude-opus-5-5"), tools=tools, system=system, messages=messages[: 1 + bool(answer)]
    )


def test_a_breakpoint_finds_its_own_block_and_19_positions_before_it_and_nothing_behind() -> None:
    layout = laid_out(30)
    assert [written for written in range(30) if in_reach(layout, written, 25)] == list(range(6, 26))


def test_the_last_write_is_found_however_many_there_are() -> None:
    layout = laid_out(5)
    digests = [block.prefix_digest for block in layout.blocks]
    assert deepest_written(layout, {digests[0], digests[3]}) == 3
    assert deepest_written(layout, {digests[0]}) == 0
    assert deepest_written(layout, {digests[4]}) == 4
    assert deepest_written(layout, {"of another prompt"}) is None
    assert deepest_written(layout, set()) is None


def test_nothing_was_written_under_the_minimum() -> None:
    layout = laid_out(5)
    block = layout.blocks[2]
    assert deepest_written(layout, {block.prefix_digest}, minimum_tokens=block.prefix_tokens) == 2
    assert deepest_written(layout, {block.prefix_digest}, minimum_tokens=block.prefix_tokens + 1) is None


def test_nothing_was_written_on_a_block_that_takes_no_marker() -> None:
    layout = laid_out(1, answer=(THOUGHT,))
    digests = [block.prefix_digest for block in layout.blocks]
    assert deepest_written(layout, set(digests)) == 0
    assert deepest_written(layout, {digests[1]}) is None


def test_the_furthest_block_from_which_a_write_is_still_found_is_no_further_than_asked() -> None:
    layout = laid_out(30)
    assert furthest_in_reach(layout, 5, until=29) == 24
    assert furthest_in_reach(layout, 5, until=24) == 24
    assert furthest_in_reach(layout, 5, until=9) == 9
    assert furthest_in_reach(layout, 5, until=5) == 5


def test_a_block_that_takes_no_marker_finds_nothing() -> None:
    layout = laid_out(1, answer=(THOUGHT, THOUGHT))
    assert furthest_in_reach(layout, 0, until=2) == 0


def test_each_layer_ends_on_its_last_block_that_takes_a_marker() -> None:
    layout = laid_out(
        1, tools=(TOOL, DEFERRED), system=(section("rules"), section("more"), section("today", Stability.SESSION))
    )
    assert layer_ends(layout) == {Stability.SESSION: 3, Stability.STATIC: 2}
    assert list(layer_ends(layout)) == [Stability.SESSION, Stability.STATIC]
    assert layer_ends(laid_out(3)) == {}
    assert layer_ends(laid_out(1, tools=(TOOL, DEFERRED))) == {Stability.STATIC: 0}


def test_a_shared_prefix_ends_with_the_tools_and_with_each_layer() -> None:
    layout = laid_out(1, tools=(TOOL, DEFERRED), system=(section("rules"), section("today", Stability.SESSION)))
    assert shared_ends(layout) == {"tools": 0, "static": 1, "session": 2}


def test_where_a_layer_ends_with_the_tools_the_place_has_the_layers_name() -> None:
    assert shared_ends(laid_out(1, tools=(TOOL,))) == {"static": 0}


@pytest.mark.parametrize("tools", [(), (TOOL,)])
def test_a_declared_parting_stands_for_the_end_of_the_tools(tools: tuple[JsonObject, ...]) -> None:
    layout = laid_out(1, tools=tools, system=(section("house", parting=True), section("own")))
    assert shared_ends(layout) == {"shared sections": len(tools), "static": len(tools) + 1}


def test_tools_that_a_team_shares_end_where_it_says() -> None:
    tools = [{**TOOL, "name": name} for name in ("one", "two", "own")]
    system = [section("rules")]
    layout = lay_out(facts=facts_for("claude-opus-5-5"), tools=tools, system=system, messages=[], shared_tools=2)
    assert shared_ends(layout) == {"shared tools": 1, "static": 3}


def test_what_is_said_in_the_messages_is_shared_by_nobody() -> None:
    assert shared_ends(laid_out(3)) == {}
