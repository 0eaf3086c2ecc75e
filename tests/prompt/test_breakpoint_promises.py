"""Every promise of DESIGN section 5 as a property, for every policy, against an independent look-back."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentcache.prompt.breakpoints import MAX_BREAKPOINTS, plan
from agentcache.prompt.layout import lay_out
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.wire import CallSettings, to_request
from tests.prompt.strategies import (
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


@given(model_facts, tool_lists(), section_lists(), conversations(), reuses, policies, st.data())
@settings(max_examples=150, deadline=None)
def test_no_request_carries_a_marker_that_the_api_refuses_or_ignores(facts, tools, system, calls, reuse, policy, data):
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[-1])
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    claimed = data.draw(st.sets(st.sampled_from([block.prefix_digest for block in layout.blocks]), max_size=3))
    reuse = replace(reuse, written=frozenset(claimed))
    planned = plan(layout, facts, reuse, policy=policy)
    request = to_request(layout, planned, SETTINGS)
    lifetimes = markers(request)
    assert len(lifetimes) == len(planned.kept) <= MAX_BREAKPOINTS
    assert lifetimes == sorted(lifetimes, key=["1h", "5m"].index)
    assert all(can_carry(block) for _, _, block in flat_blocks(request) if "cache_control" in block)
    assert all(point.prefix_tokens >= facts.minimum_prefix_tokens for point in planned.kept)


@given(model_facts, tool_lists(), section_lists(), conversations(), reuses, policies)
@settings(max_examples=100, deadline=None)
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
@settings(max_examples=50, deadline=None)
def test_equal_input_gives_an_equal_plan(facts, tools, system, calls, reuse, policy):
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    plans = [
        plan(lay_out(facts=facts, tools=tools, system=system, messages=calls[0]), facts, reuse, policy=policy)
        for _ in range(2)
    ]
    assert plans[0] == plans[1]
    assert json.dumps(plans[0].to_json()) == json.dumps(plans[1].to_json())


@given(tool_lists(marked=no_marks), section_lists(marked=no_marks), conversations(), policies)
@settings(max_examples=50, deadline=None)
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
@settings(max_examples=50, deadline=None)
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
    written: frozenset[str] = frozenset()
    layout, last_marked = None, -1
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
    written: frozenset[str] = frozenset()
    layout = None
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
    for earlier, later in pairwise(sent):
        assert json.dumps([earlier.get("tools"), earlier.get("system")]) == json.dumps(
            [later.get("tools"), later.get("system")]
        )
        assert json.dumps(later["messages"][: len(earlier["messages"])]) == json.dumps(earlier["messages"])
