"""Every promise of DESIGN section 5 as a property, for every policy, and the choices in words by example."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentcache.errors import BreakpointError, SettingsError
from agentcache.prompt.breakpoints import MAX_BREAKPOINTS, Plan, Reuse, plan
from agentcache.prompt.layout import lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendering import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.prompt.wire import CallSettings, to_request

from .strategies import (
    Judge,
    can_carry,
    conversations,
    facts_with_minimum,
    flat_blocks,
    markers,
    model_facts,
    section_lists,
    tool_lists,
    without_markers,
)

SETTINGS = CallSettings(max_tokens=100)
policies = st.sampled_from(["layers", "automatic", "off"])
reuses = st.builds(Reuse, tail_continues=st.booleans(), prefix_recurs=st.booleans())
no_marks = st.none()
some_marks = st.sampled_from([None] * 12 + ["5m", "1h"])


def author_marks(tools, system):
    return [tool for tool in tools if "cache_control" in tool] + [s for s in system if s.breakpoint]


# ------------------------------------------------------------------------------------------------- one request


@given(model_facts, tool_lists(), section_lists(), conversations(), reuses, policies)
@settings(max_examples=150)
def test_no_request_carries_a_marker_that_the_api_refuses_or_ignores(facts, tools, system, calls, reuse, policy):
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[-1])
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    planned = plan(layout, facts, reuse, policy=policy)
    request = to_request(layout, planned, SETTINGS)
    lifetimes = markers(request)
    assert len(lifetimes) == len(planned.kept) <= MAX_BREAKPOINTS
    assert lifetimes == sorted(lifetimes, key=["1h", "5m"].index)
    assert all(can_carry(block) for _, _, block in flat_blocks(request) if "cache_control" in block)
    assert all(point.prefix_tokens >= facts.minimum_prefix_tokens for point in planned.kept)


@given(model_facts, tool_lists(), section_lists(), conversations(), reuses, policies)
@settings(max_examples=100)
def test_an_authors_mark_is_kept_or_refused_with_a_reason_and_never_lost(facts, tools, system, calls, reuse, policy):
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[0])
    asked = author_marks(tools, system)
    assume(len(asked) <= MAX_BREAKPOINTS)
    planned = plan(layout, facts, reuse, policy=policy)
    assert sum(point.origin == "author" for point in planned.asked) == len(asked)
    for refused in planned.refused:
        assert refused.detail
        if refused.origin == "author":
            short = refused.prefix_tokens < facts.minimum_prefix_tokens
            assert refused.refusal == ("policy_off" if policy == "off" else "under_minimum")
            assert short or policy == "off"


@given(model_facts, tool_lists(), section_lists(), conversations(), reuses, policies)
@settings(max_examples=50)
def test_equal_input_gives_an_equal_plan(facts, tools, system, calls, reuse, policy):
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    plans = [
        plan(lay_out(facts=facts, tools=tools, system=system, messages=calls[0]), facts, reuse, policy=policy)
        for _ in range(2)
    ]
    assert plans[0] == plans[1]
    assert json.dumps(plans[0].to_json()) == json.dumps(plans[1].to_json())


@given(tool_lists(marked=no_marks), section_lists(marked=no_marks), conversations(), policies)
@settings(max_examples=50)
def test_a_one_shot_prompt_writes_nothing(tools, system, calls, policy):
    facts = facts_with_minimum(0)
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[0])
    planned = plan(layout, facts, Reuse(tail_continues=False, prefix_recurs=False), policy=policy)
    assert planned.kept == ()
    assert {point.refusal for point in planned.refused} <= {"cannot_pay"}


@given(
    tool_lists(marked=no_marks),
    section_lists(marked=no_marks),
    conversations(),
    st.sampled_from(["layers", "automatic"]),
)
@settings(max_examples=50)
def test_messages_that_nobody_extends_are_not_written(tools, system, calls, policy):
    facts = facts_with_minimum(0)
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[-1])
    planned = plan(layout, facts, Reuse(tail_continues=False), policy=policy)
    assert all(layout.blocks[point.block].level != "messages" for point in planned.kept)


# ---------------------------------------------------------------------------------- a conversation that grows


@given(
    st.booleans(),
    tool_lists(marked=some_marks),
    section_lists(marked=some_marks),
    conversations(),
    st.sampled_from(["layers", "automatic"]),
    st.sampled_from([0, 600]),
)
@settings(max_examples=200, deadline=None)
def test_a_growing_conversation_reads_all_that_was_written(collapse, tools, system, calls, policy, minimum):
    assume(len(author_marks(tools, system)) < MAX_BREAKPOINTS)
    facts, judge = facts_with_minimum(minimum), Judge(collapse=collapse)
    written, layout, last_marked = frozenset(), None, -1
    for messages in calls:
        layout = lay_out(
            facts=facts,
            tools=tools,
            system=system,
            messages=messages,
            previous=layout,
            collapse_tool_runs=collapse,
        )
        planned = plan(layout, facts, Reuse(written=written), policy=policy)
        read, marked = judge.send(to_request(layout, planned, SETTINGS))
        assert read == judge.deepest
        assert read >= last_marked
        assert marked > last_marked or layout.prefix_tokens < minimum
        written, last_marked = frozenset(point.prefix_digest for point in planned.kept), marked


@given(
    tool_lists(marked=no_marks),
    section_lists(marked=no_marks),
    conversations(),
    st.sampled_from(["layers", "automatic"]),
)
@settings(max_examples=50, deadline=None)
def test_the_last_call_of_a_conversation_reads_what_was_written_and_writes_nothing_new(tools, system, calls, policy):
    facts, judge = facts_with_minimum(0), Judge()
    *growing, last = calls
    written, layout = frozenset(), None
    for messages in growing:
        layout = lay_out(facts=facts, tools=tools, system=system, messages=messages, previous=layout)
        planned = plan(layout, facts, Reuse(written=written), policy=policy)
        judge.send(to_request(layout, planned, SETTINGS))
        written = frozenset(point.prefix_digest for point in planned.kept)
    layout = lay_out(facts=facts, tools=tools, system=system, messages=last, previous=layout)
    planned = plan(layout, facts, Reuse(written=written, tail_continues=False), policy=policy)
    read, marked = judge.send(to_request(layout, planned, SETTINGS))
    assert read == marked == judge.deepest


@given(model_facts, tool_lists(marked=some_marks), section_lists(marked=some_marks), conversations(), policies)
@settings(max_examples=50, deadline=None)
def test_calls_that_share_a_prefix_get_the_same_bytes_for_it(facts, tools, system, calls, policy):
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    layout, sent = None, []
    for messages in calls:
        layout = lay_out(facts=facts, tools=tools, system=system, messages=messages, previous=layout)
        sent.append(without_markers(to_request(layout, plan(layout, facts, policy=policy), SETTINGS)))
    for earlier, later in zip(sent, sent[1:], strict=False):
        assert json.dumps([earlier.get("tools"), earlier.get("system")]) == json.dumps(
            [later.get("tools"), later.get("system")]
        )
        assert json.dumps(later["messages"][: len(earlier["messages"])]) == json.dumps(earlier["messages"])


# ------------------------------------------------------------------------------------------------- by example


OPUS = replace(facts_for("claude-opus-5-5"), minimum_prefix_tokens=0)
TOOL = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object"}}


def section(stability, *, name=None, words=100, mark=None):
    return RenderedSection(name=name or str(stability), stability=stability, text="word " * words, breakpoint=mark)


LAYERS = [section(stability) for stability in (Stability.STATIC, Stability.SEMI_STATIC, Stability.SESSION)]


def texts(count, label="x"):
    return [{"type": "text", "text": f"{label} {place}"} for place in range(count)]


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def places(points):
    return [point.where for point in points]


def planned_for(messages, *, facts=OPUS, tools=(TOOL,), system=LAYERS, reuse=None, policy="layers"):
    layout = lay_out(facts=facts, tools=tools, system=system, messages=messages)
    return plan(layout, facts, reuse or Reuse(), policy=policy)


def written_by(planned: Plan) -> Reuse:
    return Reuse(written=frozenset(point.prefix_digest for point in planned.kept))


def test_layers_marks_the_end_of_each_layer_and_the_tail():
    planned = planned_for([user(*texts(2))])
    assert places(planned.kept) == ["system[0]", "system[1]", "system[2]", "messages[0].content[1]"]
    assert [point.reason for point in planned.kept][0] == "end of the static layer"
    assert {point.ttl for point in planned.kept} == {"5m"}
    assert planned.automatic is None


def test_without_static_sections_the_static_layer_ends_with_the_last_tool_that_can_carry_a_marker():
    deferred = {**TOOL, "name": "rare", "defer_loading": True}
    planned = planned_for([user(*texts(1))], tools=[TOOL, deferred], system=[section(Stability.SESSION)])
    assert places(planned.kept) == ["tools[0]", "system[0]", "messages[0].content[0]"]


def test_a_layer_under_the_minimum_leaves_its_part_to_the_next_boundary():
    facts = replace(OPUS, minimum_prefix_tokens=650)
    planned = planned_for([user(*texts(1))], facts=facts)
    assert places(planned.kept) == ["system[2]", "messages[0].content[0]"]
    assert [(point.where, point.refusal) for point in planned.refused] == [
        ("system[0]", "under_minimum"),
        ("system[1]", "under_minimum"),
    ]


def test_automatic_leaves_the_tail_to_the_api():
    planned = planned_for([user(*texts(2))], policy="automatic")
    assert planned.automatic == "5m"
    assert [(point.where, point.automatic) for point in planned.kept] == [("messages[0].content[1]", True)]


def test_automatic_under_the_minimum_is_not_asked_for():
    planned = planned_for([user(*texts(1))], facts=replace(OPUS, minimum_prefix_tokens=9000), policy="automatic")
    assert planned.automatic is None
    assert planned.kept == ()


def test_off_sends_nothing_and_says_so_of_the_authors_marks():
    planned = planned_for([user(*texts(1))], system=[section(Stability.STATIC, mark="1h")], policy="off")
    assert planned.kept == ()
    assert [(point.where, point.refusal) for point in planned.refused] == [("system[0]", "policy_off")]


def test_a_mark_of_1h_raises_everything_before_it():
    planned = planned_for([user(*texts(1))], system=[*LAYERS[:2], section(Stability.SESSION, mark="1h")])
    assert [point.ttl for point in planned.kept] == ["1h", "1h", "1h", "5m"]
    assert planned.kept[0].reason == "end of the static layer; raised to 1h, since system[2] behind it is 1h"


def test_the_authors_own_5m_is_raised_too_with_a_reason():
    system = [section(Stability.STATIC, mark="5m"), section(Stability.SESSION, mark="1h")]
    first = planned_for([user(*texts(1))], system=system).kept[0]
    assert (first.ttl, first.origin) == ("1h", "author")
    assert "raised to 1h" in first.reason


def test_policy_marks_give_way_to_the_authors():
    marked = [section(Stability.STATIC, name=f"part_{n}", mark="5m") for n in range(3)]
    planned = planned_for([user(*texts(1))], system=[*marked, *LAYERS[1:]])
    assert places(planned.kept) == ["system[0]", "system[1]", "system[2]", "messages[0].content[0]"]
    assert {(point.where, point.refusal) for point in planned.refused} == {
        ("system[2]", "duplicate"),
        ("system[3]", "over_four"),
        ("system[4]", "over_four"),
    }


def test_four_authors_marks_leave_no_room_for_the_tail():
    marked = [section(Stability.STATIC, name=f"part_{n}", mark="5m") for n in range(4)]
    planned = planned_for([user(*texts(1))], system=marked)
    assert [point.origin for point in planned.kept] == ["author"] * 4
    assert [(point.where, point.refusal) for point in planned.refused if point.refusal != "duplicate"] == [
        ("messages[0].content[0]", "over_four")
    ]


def test_five_authors_marks_are_an_error_that_names_them():
    marked = [section(Stability.STATIC, name=f"part_{n}", mark="5m") for n in range(5)]
    with pytest.raises(BreakpointError, match=r"5 blocks are marked \(system\[0\], .* at most 4"):
        planned_for([user(*texts(1))], system=marked)


@pytest.mark.parametrize(
    ("block", "named"),
    [
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, "a thinking block"),
        ({"type": "text", "text": ""}, "a text that is empty"),
    ],
)
def test_a_mark_on_a_block_that_takes_none_is_an_error(block, named):
    messages = [user(*texts(1)), {"role": "assistant", "content": [{**block, "cache_control": {"type": "ephemeral"}}]}]
    with pytest.raises(BreakpointError, match=rf"messages\[1\]\.content\[0\] is marked, but {named}"):
        planned_for(messages)


def test_an_unknown_policy_is_an_error():
    with pytest.raises(SettingsError, match="take one of layers, automatic, off"):
        planned_for([user(*texts(1))], policy="aggressive")


def test_a_turn_within_reach_needs_no_anchor():
    first = [user(*texts(1))]
    grown = [*first, {"role": "assistant", "content": texts(18)}, user(*texts(1, "y"))]
    planned = planned_for(grown, reuse=written_by(planned_for(first)))
    assert [point.origin for point in planned.kept] == ["policy"] * 4


def test_a_wide_turn_anchors_on_the_earlier_write_in_place_of_the_session_layer():
    first = [user(*texts(1))]
    grown = [*first, {"role": "assistant", "content": texts(19)}, user(*texts(1, "y"))]
    planned = planned_for(grown, reuse=written_by(planned_for(first)))
    assert [(point.where, point.origin) for point in planned.kept] == [
        ("system[0]", "policy"),
        ("system[1]", "policy"),
        ("messages[0].content[0]", "anchor"),
        ("messages[2].content[0]", "policy"),
    ]
    (refused,) = planned.refused
    assert (refused.where, refused.refusal) == ("system[2]", "over_four")
    assert "messages[0].content[0]" in refused.detail
    assert "an earlier write that reaches further covers it" in refused.detail


def test_a_layer_that_was_never_written_is_worth_more_than_one_that_an_earlier_write_covers():
    first = [user(*texts(1))]
    before = planned_for(first)
    tail = before.kept[-1].prefix_digest
    semi_static_unwritten = Reuse(written=frozenset({before.kept[0].prefix_digest, before.kept[2].prefix_digest, tail}))
    grown = [*first, {"role": "assistant", "content": texts(30)}, user(*texts(1, "y"))]
    planned = planned_for(grown, reuse=semi_static_unwritten)
    assert places(planned.kept)[:2] == ["system[0]", "system[1]"]


def test_parallel_tool_calls_are_one_position():
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "find", "input": {}} for n in range(30)]
    results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "x"} for n in range(30)]
    first = [user(*texts(1))]
    grown = [*first, {"role": "assistant", "content": calls}, user(*results)]
    assert all(point.origin != "anchor" for point in planned_for(grown, reuse=written_by(planned_for(first))).kept)


def test_with_one_free_slot_the_last_block_within_reach_stands_in_for_the_tail():
    system = [section(Stability.STATIC, name=f"part_{n}", mark="5m") for n in range(3)]
    first = [user(*texts(1))]
    grown = [*first, {"role": "assistant", "content": texts(30)}, user(*texts(1, "y"))]
    planned = planned_for(grown, system=system, reuse=written_by(planned_for(first, system=system)))
    assert [(point.where, point.origin) for point in planned.kept][3:] == [("messages[1].content[18]", "anchor")]
    (tail,) = [point for point in planned.refused if point.where == "messages[2].content[0]"]
    assert tail.refusal == "over_four"


def test_automatic_adds_an_anchor_after_a_wide_turn():
    first = [user(*texts(1))]
    grown = [*first, {"role": "assistant", "content": texts(30)}, user(*texts(1, "y"))]
    planned = planned_for(grown, reuse=written_by(planned_for(first, policy="automatic")), policy="automatic")
    assert [(point.where, point.automatic) for point in planned.kept] == [
        ("messages[0].content[0]", False),
        ("messages[2].content[0]", True),
    ]


def test_the_plan_as_json_keeps_places_and_reasons_and_no_text():
    told = planned_for([user(*texts(1))]).to_json()
    assert told["policy"] == "layers"
    assert told["asked"] == ["system[0]", "system[1]", "system[2]", "messages[0].content[0]"]
    assert set(told["kept"][0]) == {"where", "ttl", "tokens", "digest", "reason", "origin"}
    assert "word" not in json.dumps(told)
