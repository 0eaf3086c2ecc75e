"""Every promise of the planner as a property, for every policy, against an independent look-back."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, zip_longest

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.validation import read_request
from agentcache.prompt.breakpoints import MAX_BREAKPOINTS, plan
from agentcache.prompt.layout import lay_out
from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.prompt.wire import CallSettings, to_request
from tests.prompt.strategies import (
    Judge,
    can_carry,
    conversations,
    facts_with_minimum,
    flat_blocks,
    markers,
    model_facts,
    reuses,
    section_lists,
    tool_lists,
    without_markers,
)

SETTINGS = CallSettings(max_tokens=100)
policies = st.sampled_from(["auto"] * 4 + ["layers", "automatic", "off"])
writing = st.sampled_from(["auto", "layers", "automatic"])
no_marks = st.none()
some_marks = st.sampled_from([None] * 12 + ["5m", "1h"])


def author_marks(tools, system):
    return [tool for tool in tools if "cache_control" in tool] + [s for s in system if s.breakpoint]


# ------------------------------------------------------------------------------------------------- one request


@given(model_facts, tool_lists(), section_lists(), conversations(), policies, st.data())
@settings(max_examples=4 * settings().max_examples, deadline=None)
def test_no_request_carries_a_marker_that_the_api_refuses_or_ignores(facts, tools, system, calls, policy, data):
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[-1])
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    planned = plan(layout, facts, data.draw(reuses(layout)), policy=policy)
    request = to_request(layout, planned, SETTINGS)
    if not tools or not all(tool.get("defer_loading") for tool in tools):
        read_request(request, betas=frozenset(), settings=CacheSettings())
    lifetimes = markers(request)
    assert len(lifetimes) == len(planned.kept) <= MAX_BREAKPOINTS
    assert lifetimes == sorted(lifetimes, key=["1h", "5m"].index)
    assert all(can_carry(block) for _, _, block in flat_blocks(request) if "cache_control" in block)
    assert all(point.prefix_tokens >= facts.minimum_prefix_tokens for point in planned.kept)


@given(model_facts, tool_lists(), section_lists(), conversations(), policies, st.data())
@settings(max_examples=2 * settings().max_examples, deadline=None)
def test_an_authors_mark_is_kept_or_refused_with_a_reason_and_never_lost(facts, tools, system, calls, policy, data):
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[0])
    asked = author_marks(tools, system)
    assume(len(asked) <= MAX_BREAKPOINTS)
    planned = plan(layout, facts, data.draw(reuses(layout)), policy=policy)
    assert sum(point.origin == "author" for point in planned.asked) == len(asked)
    for refused in planned.refused:
        assert refused.detail
        if refused.origin == "author":
            short = refused.prefix_tokens < facts.minimum_prefix_tokens
            assert refused.refusal == ("policy_off" if policy == "off" else "under_minimum")
            assert short or policy == "off"


@given(model_facts, tool_lists(), section_lists(), conversations(), policies, st.data())
@settings(max_examples=50, deadline=None)
def test_equal_input_gives_an_equal_plan(facts, tools, system, calls, policy, data):
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    layouts = [lay_out(facts=facts, tools=tools, system=system, messages=calls[0]) for _ in range(2)]
    reuse = data.draw(reuses(layouts[0]))
    plans = [plan(layout, facts, reuse, policy=policy) for layout in layouts]
    assert plans[0] == plans[1]
    assert json.dumps(plans[0].to_json()) == json.dumps(plans[1].to_json())


@given(tool_lists(marked=no_marks), section_lists(marked=no_marks), conversations(), policies, st.data())
@settings(max_examples=50, deadline=None)
def test_a_one_shot_prompt_writes_nothing(tools, system, calls, policy, data):
    facts = facts_with_minimum(0)
    layout = lay_out(facts=facts, tools=tools, system=system, messages=calls[0])
    known = replace(data.draw(reuses(layout)), tail_continues=False, prefix_recurs=False, written=frozenset(), live={})
    planned = plan(layout, facts, known, policy=policy)
    assert planned.kept == ()
    assert {point.refusal for point in planned.refused} <= {"cannot_pay", "does_not_pay"}


@given(
    tool_lists(marked=no_marks),
    section_lists(marked=no_marks),
    conversations(),
    writing,
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
    writing,
    st.sampled_from([0, 600]),
)
@settings(max_examples=4 * settings().max_examples, deadline=None)
def test_a_growing_conversation_reads_all_that_was_written(collapse, tools, system, calls, policy, minimum):
    assume(len(author_marks(tools, system)) < MAX_BREAKPOINTS)
    facts, judge = facts_with_minimum(minimum), Judge(collapse=collapse)
    written: dict[str, Ttl] = {}
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
        planned = plan(layout, facts, Reuse(written=frozenset(written), live=written), policy=policy)
        read, marked = judge.send(to_request(layout, planned, SETTINGS))
        assert read == judge.deepest
        assert read >= last_marked
        assert marked > last_marked or layout.prefix_tokens < minimum
        written, last_marked = {point.prefix_digest: point.ttl for point in planned.kept}, marked


@given(st.booleans(), tool_lists(marked=some_marks), section_lists(marked=some_marks), conversations(), st.data())
@settings(max_examples=3 * settings().max_examples, deadline=None)
def test_whatever_auto_expects_it_reads_all_that_lives(collapse, tools, system, calls, data):
    assume(len(author_marks(tools, system)) < MAX_BREAKPOINTS)
    facts, judge = facts_with_minimum(data.draw(st.sampled_from([0, 600]))), Judge(collapse=collapse)
    live: dict[str, Ttl] = {}
    layout = None
    for messages in calls:
        layout = lay_out(
            facts=facts, tools=tools, system=system, messages=messages, previous=layout, collapse_tool_runs=collapse
        )
        known = replace(data.draw(reuses(layout)), written=frozenset(live), live=live)
        planned = plan(layout, facts, known, policy="auto")
        read, _ = judge.send(to_request(layout, planned, SETTINGS))
        assert read == judge.deepest
        live = {**live, **{point.prefix_digest: point.ttl for point in planned.kept}}


@given(tool_lists(), section_lists(), st.lists(conversations(), min_size=1, max_size=3), st.data())
@settings(max_examples=60, deadline=None)
def test_requests_planned_from_a_history_of_any_pauses_are_accepted(tools, system, lines, data):
    assume(len(author_marks(tools, system)) <= MAX_BREAKPOINTS)
    assume(not tools or not all(tool.get("defer_loading") for tool in tools))
    facts, history, now = facts_with_minimum(350), ReuseHistory(), 0.0
    layouts = dict.fromkeys(range(len(lines)))
    for round_of_calls in zip_longest(*lines):
        for line, messages in enumerate(round_of_calls):
            if messages is None:
                continue
            now += data.draw(st.sampled_from([0.0, 3.0, 290.0, 400.0, 3000.0, 9000.0]))
            layout = lay_out(facts=facts, tools=tools, system=system, messages=messages, previous=layouts[line])
            planned = plan(layout, facts, history.before_call(layout, agent=f"{line % 2}", at_s=now), policy="auto")
            history.call_sent(
                layout, [(point.block, point.ttl) for point in planned.kept], agent=f"{line % 2}", at_s=now
            )
            request = to_request(layout, planned, SETTINGS)
            read_request(request, betas=frozenset(), settings=CacheSettings())
            assert len(markers(request)) <= MAX_BREAKPOINTS
            assert all(point.prefix_tokens >= facts.minimum_prefix_tokens for point in planned.kept)
            layouts[line] = layout


@given(
    tool_lists(marked=no_marks),
    section_lists(marked=no_marks),
    conversations(),
    writing,
)
@settings(max_examples=50, deadline=None)
def test_the_last_call_of_a_conversation_reads_what_was_written_and_writes_nothing_new(tools, system, calls, policy):
    facts, judge = facts_with_minimum(0), Judge()
    *growing, last = calls
    written: dict[str, Ttl] = {}
    layout = None
    for messages in growing:
        layout = lay_out(facts=facts, tools=tools, system=system, messages=messages, previous=layout)
        planned = plan(layout, facts, Reuse(written=frozenset(written), live=written), policy=policy)
        judge.send(to_request(layout, planned, SETTINGS))
        written = {point.prefix_digest: point.ttl for point in planned.kept}
    layout = lay_out(facts=facts, tools=tools, system=system, messages=last, previous=layout)
    known = Reuse(written=frozenset(written), live=written, tail_continues=False)
    planned = plan(layout, facts, known, policy=policy)
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
