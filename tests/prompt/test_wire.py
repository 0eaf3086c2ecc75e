"""The request body: key order, markers, settings; and that nobody else writes a marker."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.errors import SettingsError
from agentcache.prompt.breakpoints import plan
from agentcache.prompt.layout import lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.plans import Plan
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.sections import Stability
from agentcache.prompt.wire import CallSettings, to_request
from tests.prompt.strategies import conversations, flat_blocks, section_lists, tool_lists, without_markers

OPUS = replace(facts_for("claude-opus-5-5"), minimum_prefix_tokens=0)
TOOL = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object"}}
RULES = RenderedSection(name="rules", stability=Stability.STATIC, text="Be brief.", breakpoint="1h")
QUESTION = [{"role": "user", "content": "Where is order 17?"}]
SETTINGS = CallSettings(max_tokens=100)
NO_PLAN = Plan(policy="off", kept=(), refused=(), automatic=None)


def request_for(messages=QUESTION, *, tools=(TOOL,), system=(RULES,), settings=SETTINGS, policy="layers"):
    layout = lay_out(facts=OPUS, tools=tools, system=system, messages=messages)
    return to_request(layout, plan(layout, OPUS, policy=policy), settings)


def test_a_whole_request():
    assert request_for() == {
        "model": "claude-opus-5-5",
        "max_tokens": 100,
        "tools": [TOOL],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Where is order 17?", "cache_control": {"type": "ephemeral"}}],
            }
        ],
    }


def test_keys_stand_in_one_order_whatever_is_set():
    everything = CallSettings(
        max_tokens=100,
        thinking={"type": "adaptive"},
        effort="low",
        output_format={"type": "object"},
        tool_choice={"type": "auto"},
        stop_sequences=("END",),
        metadata={"user_id": "u"},
        extra={"service_tier": "auto", "inference_geo": "us"},
    )
    assert list(request_for(settings=everything, policy="automatic")) == [
        "model",
        "max_tokens",
        "cache_control",
        "tools",
        "system",
        "messages",
        "tool_choice",
        "thinking",
        "output_config",
        "stop_sequences",
        "metadata",
        "service_tier",
        "inference_geo",
    ]


def test_effort_and_format_share_output_config():
    settings = CallSettings(max_tokens=1, effort="high", output_format={"type": "object"})
    assert request_for(settings=settings)["output_config"] == {
        "effort": "high",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    }


def test_without_tools_no_tool_choice_is_sent():
    body = request_for(tools=(), settings=CallSettings(max_tokens=1, tool_choice={"type": "auto"}))
    assert "tools" not in body
    assert "tool_choice" not in body


def test_the_automatic_marker_stands_at_the_top_and_on_no_block():
    body = request_for(system=(), policy="automatic")
    assert body["cache_control"] == {"type": "ephemeral"}
    assert not any("cache_control" in block for _, _, block in flat_blocks(body))


def test_max_tokens_zero_is_written_out():
    assert request_for(settings=CallSettings(max_tokens=0))["max_tokens"] == 0


@pytest.mark.parametrize("key", ["cache_control", "tools", "system", "max_tokens", "thinking", "output_config"])
def test_an_extra_key_that_the_request_sets_itself_is_an_error(key):
    with pytest.raises(SettingsError, match=f"extra sets '{key}'"):
        CallSettings(max_tokens=1, extra={key: None})


@given(tool_lists(marked=st.none()), section_lists(), conversations(), st.sampled_from(["layers", "automatic"]))
@settings(max_examples=50, deadline=None)
def test_markers_are_all_that_a_plan_changes(tools, system, calls, policy):
    system = [replace(section, breakpoint=None) for section in system]
    layout = lay_out(facts=OPUS, tools=tools, system=system, messages=calls[-1])
    marked = to_request(layout, plan(layout, OPUS, policy=policy), SETTINGS)
    assert json.dumps(without_markers(marked)) == json.dumps(to_request(layout, NO_PLAN, SETTINGS))


@given(tool_lists(marked=st.none()), conversations())
@settings(max_examples=50, deadline=None)
def test_writing_a_request_changes_nothing_of_the_layout(tools, calls):
    layout = lay_out(facts=OPUS, tools=tools, system=[RULES], messages=calls[-1])
    before = copy.deepcopy((layout.tools, layout.system, layout.messages))
    to_request(layout, plan(layout, OPUS, Reuse()), SETTINGS)
    assert (layout.tools, layout.system, layout.messages) == before
