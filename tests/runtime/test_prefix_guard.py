"""The prefix guard on two layouts: where a prefix moved, why, and what that costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.prompt.breakpoints import plan
from agentcache.prompt.layout import Layout, Level, lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.runtime.prefix_guard import find_move, first_moved, loss
from agentcache.runtime.sent_prefix import SentPrefix, marks_after, sent_from_json, sent_to_json

MODEL = "claude-sonnet-5-5"
WORDS = "The quick brown fox jumps over the lazy dog. " * 150


def tool(name: str, description: str = "Does it.") -> dict[str, Any]:
    return {"name": name, "description": description, "input_schema": {"type": "object"}}


def section(name: str, stability: Stability, text: str = "") -> RenderedSection:
    return RenderedSection(name=name, stability=stability, text=text or f"{name} {WORDS}", breakpoint=None)


def said(role: str, *texts: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text} for text in texts]}


TOOLS = [tool("find"), tool("send")]
SYSTEM = [section("rules", Stability.STATIC), section("news", Stability.SEMI_STATIC), section("who", Stability.SESSION)]
MESSAGES = [said("user", "Hello?"), said("assistant", "Yes."), said("user", "And?")]


def laid_out(
    *,
    model: str = MODEL,
    tools: Sequence[dict[str, Any]] = TOOLS,
    system: Sequence[RenderedSection] = SYSTEM,
    messages: Sequence[dict[str, Any]] = MESSAGES,
    salts: dict[Level, str] | None = None,
) -> Layout:
    return lay_out(facts=facts_for(model), tools=tools, system=system, messages=messages, level_salts=salts or {})


def replaced(items: Sequence[Any], index: int, item: Any) -> list[Any]:
    return [*items[:index], item, *items[index + 1 :]]


def test_a_prompt_that_grows_has_not_moved():
    longer = [*MESSAGES, said("assistant", "So."), said("user", "Then?")]
    assert find_move(laid_out(), laid_out(messages=longer)) is None


@pytest.mark.parametrize(
    ("changes", "where", "cause"),
    [
        ({"model": "claude-opus-5"}, "model", "model_changed"),
        ({"tools": [tool("find", "Otherwise."), tool("send")]}, "tools[0]", "tools_changed"),
        ({"tools": TOOLS[::-1]}, "tools[0]", "tools_changed"),
        ({"tools": TOOLS[:1]}, "tools[1]", "tools_changed"),
        ({"tools": [*TOOLS, tool("tell")]}, "tools[2]", "tools_changed"),
        ({"system": replaced(SYSTEM, 1, section("news", Stability.SEMI_STATIC, "new"))}, "system[1]", "system_changed"),
        ({"system": SYSTEM[:2]}, "system[2]", "system_changed"),
        ({"messages": replaced(MESSAGES, 1, said("assistant", "No."))}, "messages[1].content[0]", "messages_changed"),
        ({"messages": MESSAGES[:2]}, "messages[2].content[0]", "messages_changed"),
        ({"salts": {"system": "a schema"}}, "output_config.format", "output_format_changed"),
        ({"salts": {"messages": "effort"}}, "thinking", "thinking_changed"),
    ],
)
def test_a_move_is_found_where_it_begins(changes, where, cause):
    moved = find_move(laid_out(), laid_out(**changes))
    assert moved is not None
    assert (moved.where, moved.cause) == (where, cause)


def test_a_move_names_section_and_layer():
    now = laid_out(system=replaced(SYSTEM, 2, section("who", Stability.SESSION, "Bob")))
    moved = find_move(laid_out(), now)
    assert moved is not None
    assert moved.named() == "system[2] (section 'who', session layer)"


def test_another_name_of_the_same_model_is_no_move():
    assert find_move(laid_out(), laid_out(model=f"anthropic/{MODEL}")) is None


def test_what_is_rewritten_on_purpose_is_no_move():
    now = laid_out(system=replaced(SYSTEM, 1, section("news", Stability.SEMI_STATIC, "new")), messages=MESSAGES[:1])
    assert find_move(laid_out(), now, intended={"news"}) is None
    assert find_move(laid_out(), laid_out(system=[SYSTEM[0], SYSTEM[2]]), intended={"news"}) is None


def test_what_moves_beside_a_rewrite_on_purpose_is_told():
    system = [SYSTEM[0], section("news", Stability.SEMI_STATIC, "new"), section("who", Stability.SESSION, "Bob")]
    moved = find_move(laid_out(), laid_out(system=system), intended={"news"})
    assert moved is not None
    assert (moved.where, moved.section) == ("system[2]", "who")
    assert moved.block == 3  # the cache is lost from the rewritten section on


def test_thinking_that_the_api_strips_is_no_move():
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    thought = {"role": "assistant", "content": [thinking, {"type": "text", "text": "Yes."}]}
    before = laid_out(model="claude-haiku-4-5", messages=[MESSAGES[0], thought])
    now = laid_out(model="claude-haiku-4-5", messages=[MESSAGES[0], thought, MESSAGES[2]])
    assert first_moved(before, now) is not None
    assert find_move(before, now) is None


def sent_with(layout: Layout, *, at_s: float = 0.0) -> SentPrefix:
    marks = marks_after((), layout, plan(layout, facts_for(layout.model)).kept, at_s=at_s)
    return SentPrefix(agent="clerk", model=MODEL, system=tuple(SYSTEM), session_digest="", salts={}, marks=marks)


def test_a_call_renews_what_it_reads_and_not_what_has_run_out():
    layout = laid_out()
    first = sent_with(layout).marks
    kept = plan(layout, facts_for(MODEL)).kept
    assert {mark.until_s for mark in marks_after(first, layout, (), at_s=200)} == {500}
    assert marks_after(first, layout, (), at_s=301) == ()
    assert [mark.block for mark in marks_after(first, layout, kept, at_s=301)] == [point.block for point in kept]


def test_what_was_sent_is_the_same_after_it_was_stored():
    sent = sent_with(laid_out())
    assert sent_from_json(json.loads(json.dumps(sent_to_json(sent)))) == sent


def test_what_an_unknown_version_stored_is_as_good_as_nothing():
    assert sent_from_json({"prefix": "unheard of"}) is None


def lost_by(now: Layout, *, at_s: float) -> Any:
    before = laid_out()
    moved = find_move(before, now)
    assert moved is not None
    facts = facts_for(now.model)
    return loss(sent_with(before), moved, plan(now, facts), now, facts, at_s=at_s)


def test_a_loss_is_what_was_cached_behind_the_last_prefix_that_can_still_be_read():
    before = laid_out()
    lost = lost_by(laid_out(system=replaced(SYSTEM, 2, section("who", Stability.SESSION, "Bob"))), at_s=60)
    semi_static_end = before.blocks[3].prefix_tokens
    assert lost.tokens == before.prefix_tokens - semi_static_end
    prices = facts_for(MODEL).prices_for()
    assert prices is not None
    assert lost.usd == (prices.write_5m_usd - prices.read_usd) * lost.tokens / Decimal(1_000_000)


def test_nothing_is_lost_that_had_run_out():
    assert lost_by(laid_out(tools=TOOLS[:1]), at_s=301).tokens == 0


def test_a_model_without_prices_loses_tokens_and_unknown_dollars():
    before = laid_out(model="someone-elses")
    now = laid_out(model="someone-elses", tools=TOOLS[:1])
    moved = find_move(before, now)
    assert moved is not None
    facts = facts_for("someone-elses")
    lost = loss(sent_with(before), moved, plan(now, facts), now, facts, at_s=0)
    assert lost.usd is None


@settings(max_examples=80, deadline=None)
@given(
    texts=st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=12),
    other=st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=12),
)
def test_the_bisection_finds_the_first_difference(texts: list[str], other: list[str]):
    before, now = (laid_out(tools=(), system=(), messages=[said("user", *words)]) for words in (texts, other))
    expected = next((at for at, (old, new) in enumerate(zip(texts, other, strict=False)) if old != new), None)
    if expected is None and len(other) < len(texts):
        expected = len(other)
    assert first_moved(before, now) == expected
