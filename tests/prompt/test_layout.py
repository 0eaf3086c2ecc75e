"""Blocks in wire order: identity, prefixes, tokens, look-back positions, and taking over what did not change."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.errors import BreakpointError, SettingsError
from agentcache.prompt.layout import lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.prompt.token_estimate import TokenEstimator, block_tokens, closing_tokens
from tests.prompt.strategies import conversations, section_lists, tool_lists
from tests.prompt.whole_requests import request_tokens

OPUS = facts_for("claude-opus-5-5")
TOOL = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object", "properties": {}}}
RULES = RenderedSection(name="rules", stability=Stability.STATIC, text="Be brief.", breakpoint=None)
NEWS = RenderedSection(name="news", stability=Stability.SEMI_STATIC, text="It rains.", breakpoint="1h")


def text(content):
    return {"type": "text", "text": content}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def call(name, **arguments):
    return {"type": "tool_use", "id": f"id_{name}", "name": name, "input": arguments}


def result(name, content="ok"):
    return {"type": "tool_result", "tool_use_id": f"id_{name}", "content": content}


def laid(messages=(), *, tools=(TOOL,), system=(RULES, NEWS), facts=OPUS, **rest):
    return lay_out(facts=facts, tools=tools, system=system, messages=messages, **rest)


def prefixes(layout):
    return [block.prefix_digest for block in layout.blocks]


# -------------------------------------------------------------------------------------------- order and identity


def test_blocks_stand_in_wire_order_and_know_where_they_are():
    layout = laid([user(text("a"), text("b")), assistant(text("c"))])
    assert [(block.where, block.kind, block.role, block.stability, block.section) for block in layout.blocks] == [
        ("tools[0]", "tool", None, "static", None),
        ("system[0]", "text", None, "static", "rules"),
        ("system[1]", "text", None, "semi_static", "news"),
        ("messages[0].content[0]", "text", "user", "turn", None),
        ("messages[0].content[1]", "text", "user", "turn", None),
        ("messages[1].content[0]", "text", "assistant", "turn", None),
    ]
    assert layout.messages_start == 3


def test_a_text_and_a_list_of_one_text_are_the_same_prompt_and_the_same_bytes():
    plain, listed = laid([{"role": "user", "content": "hi"}]), laid([user(text("hi"))])
    assert plain.messages == listed.messages == (user(text("hi")),)
    assert plain.blocks == listed.blocks


def test_prefix_digests_change_from_the_first_difference_on():
    one, other = laid([user(text("a"), text("b"), text("c"))]), laid([user(text("a"), text("B"), text("c"))])
    same = [a == b for a, b in zip(prefixes(one), prefixes(other), strict=True)]
    assert same == [True, True, True, True, False, False]


def test_the_role_is_part_of_the_prefix_and_the_split_into_messages_is_not():
    assert prefixes(laid([user(text("a"), text("b"))])) == prefixes(laid([user(text("a")), user(text("b"))]))
    assert prefixes(laid([user(text("a")), user(text("b"))])) != prefixes(laid([user(text("a")), assistant(text("b"))]))


def test_key_order_counts_where_the_api_renders_it_and_nowhere_else():
    def tool_prefix(tool):
        return prefixes(laid(tools=[tool]))[0]

    def call_prefix(block):
        return prefixes(laid([assistant(block)]))[-1]

    swapped_schema = {**TOOL, "input_schema": {"properties": {}, "type": "object"}}
    assert tool_prefix(TOOL) == tool_prefix(dict(reversed(TOOL.items())))
    assert tool_prefix(TOOL) != tool_prefix(swapped_schema)
    assert call_prefix(call("find", a=1, b=2)) != call_prefix(call("find", b=2, a=1))


def test_a_salt_changes_the_prefixes_of_its_level_and_those_behind_it():
    messages = [user(text("a"))]
    plain = prefixes(laid(messages))
    assert [a == b for a, b in zip(plain, prefixes(laid(messages, level_salts={"messages": "low"})), strict=True)] == [
        True, True, True, False,
    ]  # fmt: skip
    assert [a == b for a, b in zip(plain, prefixes(laid(messages, level_salts={"system": "x"})), strict=True)] == [
        True, False, False, False,
    ]  # fmt: skip


def test_another_model_shares_no_prefix_and_another_spelling_of_it_shares_all():
    bedrock = laid(facts=facts_for("anthropic.claude-opus-5-5"))
    assert prefixes(bedrock) == prefixes(laid())
    assert bedrock.model == "anthropic.claude-opus-5-5"
    assert not set(prefixes(laid(facts=facts_for("claude-sonnet-5-5")))) & set(prefixes(laid()))


# ---------------------------------------------------------------------------------------------- author's marks


def test_an_authors_marks_are_taken_off_and_remembered():
    marked_tool = {**TOOL, "cache_control": {"type": "ephemeral"}}
    marked_text = {**text("a"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    layout = laid([user(marked_text, text("b"))], tools=[marked_tool])
    assert layout.tools == (TOOL,)
    assert layout.messages == (user(text("a"), text("b")),)
    assert [layout.blocks[index].where for index in layout.author_marks] == [
        "tools[0]",
        "system[1]",
        "messages[0].content[0]",
    ]
    assert [layout.blocks[index].mark for index in layout.author_marks] == ["5m", "1h", "1h"]


def test_a_marker_is_no_part_of_the_prefix():
    marked = {**text("a"), "cache_control": {"type": "ephemeral"}}
    assert prefixes(laid([user(marked)])) == prefixes(laid([user(text("a"))]))


def test_the_authors_own_values_stay_as_they_were():
    messages = [{"role": "user", "content": "hi"}, user({**text("a"), "cache_control": {"type": "ephemeral"}})]
    tools = [{**TOOL, "cache_control": {"type": "ephemeral"}}]
    before = copy.deepcopy((messages, tools))
    laid(messages, tools=tools)
    assert (messages, tools) == before


@pytest.mark.parametrize("mark", [{"type": "persistent"}, {"type": "ephemeral", "ttl": "2h"}, True])
def test_a_mark_that_the_api_does_not_know_is_an_error(mark):
    with pytest.raises(BreakpointError, match=r"messages\[0\]\.content\[0\] has cache_control"):
        laid([user({**text("a"), "cache_control": mark})])


def test_a_mark_on_a_block_inside_a_result_is_an_error_that_says_where_to_put_it():
    inner = {**text("a"), "cache_control": {"type": "ephemeral"}}
    with pytest.raises(BreakpointError, match=r"put it on messages\[0\]\.content\[0\] itself"):
        laid([user(result("find", [inner]))])


# --------------------------------------------------------------------------------- what the API leaves out


RARE = {**TOOL, "name": "rare", "description": "Find a rare thing.", "defer_loading": True}


def test_a_deferred_tool_is_sent_and_has_no_block_and_takes_no_breakpoint():
    layout = laid(tools=[RARE, TOOL])
    assert layout.tools == (RARE, TOOL)
    assert prefixes(layout) == prefixes(laid())
    assert layout.blocks[0].where == "tools[1]"
    with pytest.raises(BreakpointError, match=r"tools\[0\] is marked, but a tool with defer_loading"):
        laid(tools=[{**RARE, "cache_control": {"type": "ephemeral"}}, TOOL])


def found(*names):
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    content = {"type": "tool_search_tool_search_result", "tool_references": references}
    return {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}


@pytest.mark.parametrize("block", [found("rare"), result("find", [{"type": "tool_reference", "tool_name": "rare"}])])
def test_a_found_tool_is_rendered_where_it_was_found(block):
    messages = [user(text("a")), {"role": "assistant", "content": [block]}]
    bare = {key: value for key, value in RARE.items() if key != "defer_loading"}
    layout, other = laid(messages, tools=[TOOL, RARE]), laid(messages, tools=[TOOL])
    assert layout.blocks[-1].tokens - other.blocks[-1].tokens == block_tokens(bare, OPUS)
    assert prefixes(layout)[:-1] == prefixes(other)[:-1]
    assert prefixes(layout)[-1] != prefixes(other)[-1]


def test_another_definition_moves_the_prefix_from_where_it_was_found_and_one_more_moves_nothing():
    messages = [user(text("a")), assistant(found("rare")), user(text("b"))]
    first = laid(messages, tools=[TOOL, RARE])
    more = laid(messages, tools=[TOOL, RARE, {**RARE, "name": "rarer"}], previous=first)
    assert prefixes(more) == prefixes(first)
    other = laid(messages, tools=[TOOL, {**RARE, "description": "Else."}], previous=first)
    assert [was == now for was, now in zip(prefixes(first), prefixes(other), strict=True)] == [True] * 4 + [False] * 2


def test_web_tools_stand_with_the_system_prompt_so_that_switching_them_spares_the_tools():
    search = {"type": "web_search_20250305", "name": "web_search"}
    layout = laid([user(text("a"))], tools=[search, TOOL])
    assert [block.where for block in layout.blocks] == [
        "tools[1]",
        "tools[0]",
        "system[0]",
        "system[1]",
        "messages[0].content[0]",
    ]
    bare = laid([user(text("a"))])
    assert layout.blocks[0].prefix_digest == bare.blocks[0].prefix_digest
    assert not {block.prefix_digest for block in layout.blocks[1:]} & set(prefixes(bare))
    again = laid([user(text("a")), assistant(text("b"))], tools=[search, TOOL], previous=layout)
    assert prefixes(again)[:-1] == prefixes(layout)


def test_a_message_for_one_turn_is_in_no_prefix_and_takes_no_breakpoint():
    reminder = {"role": "system", "content": [text("Hurry.")], "clear_at": "next_user_message"}
    layout = laid([user(text("a")), reminder, assistant(text("b"))])
    assert layout.messages[1] == reminder
    assert not layout.blocks[4].markable
    assert layout.blocks[5].prefix_digest == laid([user(text("a")), assistant(text("b"))]).blocks[-1].prefix_digest


@pytest.mark.parametrize("block", [{"type": "thinking", "thinking": "hm", "signature": "s"}, text("")])
def test_thinking_and_empty_text_take_no_breakpoint(block):
    layout = laid([user(text("a")), assistant(block, text("b"))])
    assert [found.markable for found in layout.blocks[-3:]] == [True, False, True]


def test_older_models_lose_earlier_thinking_with_the_next_question_but_not_with_a_tool_result():
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    loop = [user(text("q")), assistant(thought, call("find")), user(result("find"))]
    asked = [*loop, assistant(text("done")), user(text("and?"))]
    for model, shared in (("claude-opus-5-5", 4), ("claude-sonnet-4-5", 1)):
        facts = facts_for(model)
        short, long = laid(loop, facts=facts), laid(asked, facts=facts)
        in_step = [a == b for a, b in zip(prefixes(short)[3:], prefixes(long)[3:], strict=False)]
        assert in_step == [True] * shared + [False] * (4 - shared)


# -------------------------------------------------------------------------------------------- tokens and positions


@given(tool_lists(), section_lists(), conversations())
@settings(max_examples=50, deadline=None)
def test_tokens_add_up(tools, system, calls):
    layout = laid(calls[-1], tools=tools, system=system)
    total = 0
    for block in layout.blocks:
        total += block.tokens
        assert block.prefix_tokens == total
    assert sum(layout.section_tokens().values()) == layout.prefix_tokens
    assert layout.total_tokens == layout.prefix_tokens + closing_tokens(OPUS)


def test_a_layout_counts_what_the_request_counts():
    messages = [user(text("Where is order 17?")), assistant(call("find", order=17)), user(result("find", "in Ghent"))]
    request = {
        "tools": [TOOL],
        "system": [text(RULES.text), text(NEWS.text)],
        "messages": messages,
    }
    assert laid(messages).total_tokens == request_tokens(request, OPUS)


@given(tool_lists(), section_lists(), conversations())
@settings(max_examples=30, deadline=None)
def test_any_layout_counts_what_its_request_counts(tools, system, calls):
    layout = laid(calls[-1], tools=tools, system=system)
    request = {"tools": layout.tools, "system": layout.system, "messages": layout.messages}
    assert layout.total_tokens == request_tokens(request, OPUS)


def test_an_exact_counter_can_take_the_place_of_the_estimate():
    class Exact(TokenEstimator):
        def block_tokens(self, block, facts):
            return 1000

    layout = laid([user(text("hi"))], tools=(), counter=Exact())
    assert [block.tokens // 1000 for block in layout.blocks] == [1, 1, 1]


def test_tokens_are_told_by_section():
    counts = laid([user(text("hello"))]).section_tokens()
    assert list(counts) == ["tools", "rules", "news", "messages"]
    assert counts["rules"] == block_tokens(text(RULES.text), OPUS)


def test_runs_of_calls_and_of_results_share_a_position():
    messages = [
        user(text("q")),
        assistant(text("a"), call("x"), call("y"), text("b"), call("z")),
        user(result("x"), result("y"), result("z"), text("next")),
    ]
    positions = [block.position for block in laid(messages, tools=(), system=()).blocks]
    assert positions == [0, 1, 2, 2, 3, 4, 5, 5, 5, 6]
    apart = laid(messages, tools=(), system=(), collapse_tool_runs=False)
    assert [block.position for block in apart.blocks] == list(range(10))


# ------------------------------------------------------------------------------------------------- taking over


@given(st.sampled_from(["claude-opus-5-5", "claude-sonnet-4-5"]), tool_lists(), section_lists(), conversations())
@settings(max_examples=2 * settings().max_examples, deadline=None)
def test_a_layout_built_on_the_earlier_one_is_the_layout_built_afresh(model, tools, system, calls):
    facts, layout = facts_for(model), None
    for messages in calls:
        layout = laid(messages, tools=tools, system=system, facts=facts, previous=layout)
        assert layout == laid(messages, tools=tools, system=system, facts=facts)


def test_a_run_that_an_earlier_layout_ended_in_goes_on():
    messages = [user(text("q")), assistant(call("x"), call("y")), user(result("x")), user(result("y"), text("next"))]
    grown = laid(messages, previous=laid(messages[:3]))
    assert [block.position for block in grown.blocks][-3:] == [5, 5, 6]
    assert grown == laid(messages)


def test_unchanged_pieces_keep_their_blocks():
    first = [user(text("a"))]
    before = laid(first)
    after = laid([*first, assistant(text("b"))], previous=before)
    assert all(new is old for new, old in zip(after.blocks, before.blocks, strict=False))
    assert after.messages[0] is before.messages[0]


def test_a_message_replaced_by_another_is_read_again():
    messages = [user(text("a")), assistant(text("b"))]
    before = laid(messages)
    messages[0] = user(text("A"))
    assert laid(messages, previous=before) == laid(messages)


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{**TOOL, "description": "Find it."}]},
        {"tools": [{**TOOL, "defer_loading": True}, TOOL]},
        {"tools": []},
        {"system": [replace(RULES, text="Be long."), NEWS]},
        {"system": [replace(RULES, breakpoint="5m"), NEWS]},
        {"system": [NEWS]},
        {"level_salts": {"tools": "x"}},
        {"level_salts": {"messages": "x"}},
        {"facts": facts_for("claude-sonnet-4-5")},
        {"collapse_tool_runs": False},
    ],
)
def test_whatever_else_changed_the_result_is_that_of_a_fresh_layout(change):
    messages = [user(text("a")), assistant(call("x"), call("y")), user(result("x"), result("y"))]
    before = laid(messages)
    assert laid(messages, previous=before, **change) == laid(messages, **change)


@pytest.mark.parametrize("message", [{"role": "user"}, {"content": "hi"}, user("hi"), {"role": "user", "content": 7}])
def test_what_is_no_message_is_an_error_that_says_which(message):
    with pytest.raises(SettingsError, match=r"messages\[1\] is no message"):
        laid([user(text("a")), message])
