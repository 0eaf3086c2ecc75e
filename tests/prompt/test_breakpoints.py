"""Which breakpoints are kept and which are refused, case by case."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agentcache.errors import BreakpointError, SettingsError
from agentcache.prompt.breakpoints import plan
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.layout import lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.plans import Plan
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.sections import Stability

OPUS = replace(facts_for("claude-opus-5-5"), minimum_prefix_tokens=0)
TOOL: JsonObject = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object"}}


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
    assert planned.kept[0].reason == "end of the static layer"
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
    with pytest.raises(SettingsError, match="take one of auto, layers, automatic, off"):
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


def test_the_layer_up_to_which_an_earlier_write_reaches_is_worth_more_than_those_that_it_covers():
    ends = planned_for([]).kept
    written = Reuse(written=frozenset(point.prefix_digest for point in ends))
    marked = {**texts(1)[0], "cache_control": {"type": "ephemeral"}}
    planned = planned_for([user(marked, *texts(1, "y"))], reuse=written)
    assert places(planned.kept) == ["system[0]", "system[2]", "messages[0].content[0]", "messages[0].content[1]"]


def test_a_prompt_without_messages_has_no_tail():
    planned = planned_for([])
    assert [point.reason for point in planned.kept] == [
        "end of the static layer",
        "end of the semi_static layer",
        "end of the session layer",
    ]


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


def test_automatic_anchors_on_a_shared_prefix_too_and_on_the_block_that_can_carry_it():
    tools = [TOOL, {**TOOL, "name": "rare", "defer_loading": True}]
    layout = lay_out(facts=OPUS, tools=tools, system=[], messages=[user(*texts(30))])
    shared = Reuse(written=frozenset({layout.blocks[0].prefix_digest}))
    assert places(plan(layout, OPUS, shared, policy="automatic").kept) == ["tools[0]", "messages[0].content[29]"]


def test_a_prefix_that_nobody_could_have_written_gets_no_anchor():
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    messages = [user(*texts(1)), {"role": "assistant", "content": [thought, *texts(30)]}, user(*texts(1, "y"))]
    layout = lay_out(facts=OPUS, tools=[], system=[], messages=messages)
    claimed = Reuse(written=frozenset({layout.blocks[1].prefix_digest}))
    assert places(plan(layout, OPUS, claimed).kept) == ["messages[2].content[0]"]
