"""A prompt as runs of blocks: where it is cut, what each run is, and what it says of the last call's prompt."""

from __future__ import annotations

from hypothesis import given

from agentcache.prompt.layout import Layout, lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.sections import Stability
from agentcache.prompt.spans import short_digest, span_from_json, spans_of
from tests.prompt.strategies import conversations, section_lists, tool_lists

OPUS = facts_for("claude-opus-5-5")
TOOL = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object", "properties": {}}}
RULES = RenderedSection(name="rules", stability=Stability.STATIC, text="Be brief.", breakpoint=None)
QUESTION = {"role": "user", "content": "What rains?"}
ANSWER = {"role": "assistant", "content": [{"type": "text", "text": "Water."}]}
NEXT = {"role": "user", "content": "What snows?"}


def laid(messages, **rest) -> Layout:
    return lay_out(facts=OPUS, tools=rest.pop("tools", [TOOL]), system=[RULES], messages=messages, **rest)


def shape(layout: Layout, **rest):
    return [(span.layer, span.section, span.where) for span in spans_of(layout, cuts=(), **rest)]


def test_runs_stand_in_wire_order_and_say_which_layer_they_are():
    assert shape(laid([QUESTION, ANSWER, NEXT])) == [
        ("tools", None, "tools[0]"),
        ("settings", None, "system"),
        ("static", "rules", "system[0]"),
        ("settings", None, "messages"),
        ("history", None, "messages[0].content[0]"),
        ("turn", None, "messages[2].content[0]"),
    ]


def test_messages_are_cut_behind_a_prefix_that_matters():
    layout = laid([QUESTION, ANSWER, NEXT])
    first = layout.blocks[layout.messages_start].prefix_digest

    history = [span for span in spans_of(layout, cuts={first}) if span.layer == "history"]

    assert [span.where for span in history] == ["messages[0].content[0]", "messages[1].content[0]"]
    assert history[0].digest == short_digest(first)


def test_a_conversation_that_only_grows_parts_nowhere():
    before = laid([QUESTION])

    spans = spans_of(laid([QUESTION, ANSWER, NEXT], previous=before), cuts=(), previous=before)

    assert not any(span.parted for span in spans)


def test_a_changed_message_is_where_the_conversation_parted():
    before = laid([QUESTION, ANSWER, NEXT])
    changed = {"role": "assistant", "content": [{"type": "text", "text": "Frogs."}]}

    spans = spans_of(laid([QUESTION, changed, NEXT]), cuts=(), previous=before)

    assert [(span.where, span.parted) for span in spans if span.layer == "history"] == [
        ("messages[0].content[0]", False),
        ("messages[1].content[0]", True),
    ]


def test_changed_settings_change_the_run_that_stands_for_them_and_no_text_before_it():
    one, other = (spans_of(laid([QUESTION], level_salts={"messages": effort}), cuts=()) for effort in ("low", "high"))

    same = {span.where: span.digest == twin.digest for span, twin in zip(one, other, strict=True)}

    assert same == {
        "tools[0]": True,
        "system": True,
        "system[0]": True,
        "messages": False,
        "messages[0].content[0]": False,
    }


@given(tools=tool_lists(), system=section_lists(), turns=conversations())
def test_runs_add_up_to_the_prompt_and_come_back_from_json(tools, system, turns):
    layout = lay_out(facts=OPUS, tools=tools, system=system, messages=turns[-1])
    cuts = [block.prefix_digest for block in layout.blocks[::3]]

    spans = spans_of(layout, cuts=cuts)

    in_messages = any(block.tokens for block in layout.blocks[layout.messages_start :])
    assert sum(span.tokens for span in spans) == (layout.total_tokens if in_messages else layout.prefix_tokens)
    assert tuple(span_from_json(span.to_json()) for span in spans) == spans
