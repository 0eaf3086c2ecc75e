"""What `auto` decides and why, decision by decision; the sums are those of list prices: write 1.25 or 2, read 0.1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.prompt.breakpoints import plan
from agentcache.prompt.layout import lay_out
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Outlook, Reuse
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.prompt.sections import Stability

FACTS = replace(facts_for("claude-sonnet-5-5"), minimum_prefix_tokens=0)
TOOL = {"name": "find", "description": "Find a thing.", "input_schema": {"type": "object"}}
NEVER = Outlook(soon=0.0, later=0.0, basis="stated")
AT_ONCE = Outlook(soon=1.0, later=0.0, basis="stated")
MINUTES = 60.0


def section(stability=Stability.STATIC, *, name=None, words=2000, parting=False):
    text = f"{name or stability} " + "word " * words
    return RenderedSection(
        name=name or str(stability), stability=stability, text=text, breakpoint=None, parting=parting
    )


LAYERS = [section(stability) for stability in (Stability.STATIC, Stability.SEMI_STATIC, Stability.SESSION)]


def user(*texts):
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def assistant(text):
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


TALK = [user("hello"), assistant("word " * 200), user("go on")]


def laid_out(messages=TALK, *, tools=(TOOL,), system=LAYERS[:1], **options):
    return lay_out(facts=FACTS, tools=tools, system=system, messages=messages, **options)


def planned(layout, **known):
    return plan(layout, FACTS, Reuse(**known), policy="auto")


def tail_of(made):
    return next(point for point in made.kept if point.where.startswith("messages"))


def refusals(made):
    return {point.where: (point.refusal, point.detail) for point in made.refused}


def digest(layout, where):
    return next(block.prefix_digest for block in layout.blocks if block.where == where)


# ------------------------------------------------------------------------------------------------- whether to write


def test_nothing_is_written_when_nobody_comes_back():
    layout = laid_out()
    made = planned(layout, tail=NEVER, shared=dict.fromkeys(range(2), NEVER))
    assert made.kept == ()
    refusal, detail = refusals(made)["messages[2].content[0]"]
    assert refusal == "does_not_pay"
    assert detail.startswith("expected to cost in tokens: no write ")
    assert detail.endswith("(next call within 5m 0%, within 1h 0%; stated)")
    assert refusals(made)["system[0]"] == ("does_not_pay", "0% chance of a read within 5m (stated)")


@pytest.mark.parametrize(("soon", "writes"), [(0.2, False), (0.3, True)])
def test_a_write_pays_from_the_chance_on_at_which_its_reads_earn_its_premium(soon, writes):
    # 1 + 1.25 p against 1.25 + 0.1 p: even at p = 0.25 / 1.15 = 0.217
    made = planned(laid_out(), tail=Outlook(soon=soon, later=0.0, basis="stated"), shared={0: NEVER, 1: NEVER})
    assert bool(made.kept) == writes


def test_a_layer_that_others_ask_for_is_written_when_the_conversation_is_over():
    made = planned(laid_out(), tail_continues=False, shared={0: AT_ONCE, 1: AT_ONCE})
    assert [point.where for point in made.kept] == ["tools[0]", "system[0]"]
    assert refusals(made)["messages[2].content[0]"][0] == "cannot_pay"


def test_an_entry_that_lives_is_read_even_by_a_call_that_writes_nothing():
    layout = laid_out()
    live = {digest(layout, "messages[0].content[0]"): "5m"}
    made = planned(layout, tail=NEVER, written=frozenset(live), live=live, shared={0: NEVER, 1: NEVER})
    assert [(point.where, point.origin) for point in made.kept] == [("messages[0].content[0]", "anchor")]


def test_an_entry_that_has_run_out_is_not_written_again_by_a_call_that_writes_nothing():
    layout = laid_out()
    written = frozenset({digest(layout, "messages[0].content[0]")})
    assert planned(layout, tail=NEVER, written=written, shared={0: NEVER, 1: NEVER}).kept == ()


# -------------------------------------------------------------------------------------------------- which lifetime

LIKELY_SILENT = Outlook(soon=0.9, later=0.06, basis="stated")


def test_the_hour_is_bought_when_a_silence_is_likely():
    made = planned(laid_out(), tail=Outlook(soon=0.1, later=0.8, basis="stated"), shared={0: NEVER, 1: NEVER})
    assert tail_of(made).ttl == "1h"
    assert "within 5m 10%, within 1h 80%; stated" in tail_of(made).reason


def test_a_breakpoint_in_front_of_a_1h_one_is_raised_and_says_so():
    made = planned(laid_out(), tail=Outlook(soon=0.1, later=0.8, basis="stated"), shared={0: NEVER, 1: NEVER})
    assert made.kept[0].ttl == "1h"
    assert made.kept[0].reason.endswith("raised to 1h, since messages[2].content[0] behind it is 1h")


def test_a_small_addition_is_written_for_the_hour_to_save_a_large_prompt_from_a_rare_silence():
    layout = laid_out()
    live = {digest(layout, "messages[1].content[0]"): "5m"}
    assert tail_of(planned(layout, tail=LIKELY_SILENT, live=live, shared={0: NEVER, 1: NEVER})).ttl == "1h"


def test_where_an_earlier_write_for_the_hour_outlives_the_silence_the_addition_is_written_for_5m():
    layout = laid_out()
    live = {digest(layout, "messages[1].content[0]"): "1h"}
    assert tail_of(planned(layout, tail=LIKELY_SILENT, live=live, shared={0: NEVER, 1: NEVER})).ttl == "5m"


@pytest.mark.parametrize(("others", "ttl"), [(NEVER, "1h"), (AT_ONCE, "5m")])
def test_a_shared_prefix_that_others_keep_warm_needs_no_hour(others, ttl):
    layout = laid_out([user("hello"), assistant("hi"), user("go on")])
    live = {digest(layout, "messages[1].content[0]"): "5m"}
    assert tail_of(planned(layout, tail=LIKELY_SILENT, live=live, shared={0: others, 1: others})).ttl == ttl


def test_a_layer_that_is_asked_for_every_ten_minutes_is_written_for_the_hour():
    rare = Outlook(soon=0.2, later=0.75, basis="stated")
    made = planned(laid_out(system=LAYERS), shared={1: rare, 2: rare})
    assert [(point.where, point.ttl) for point in made.kept] == [
        ("tools[0]", "1h"),
        ("system[0]", "1h"),
        ("system[1]", "1h"),
        ("messages[2].content[0]", "5m"),
    ]


# ------------------------------------------------------------------------------------------------------ which places


def test_where_the_last_blocks_are_left_out_next_time_a_breakpoint_stands_in_front_of_them():
    messages = [user("hello"), assistant("hi"), user("go on", "the time is 12:00")]
    made = planned(laid_out(messages), loose_blocks=1)
    places = {point.where: point.reason for point in made.kept}
    assert places["messages[2].content[0]"] == "other prompts share all but the last 1 blocks"
    assert "messages[2].content[1]" in places


def test_where_prompts_were_seen_to_part_is_marked():
    tools = [{**TOOL, "name": f"find_{place}"} for place in range(3)]
    made = planned(laid_out(tools=tools), shared={1: AT_ONCE})
    assert [(point.where, point.reason) for point in made.kept][:2] == [
        ("tools[1]", "where prompts part"),
        ("tools[2]", "end of the tools"),
    ]


def test_where_a_team_declares_that_prompts_part_is_marked_in_place_of_the_tools():
    system = [section(name="house", parting=True), section(name="own")]
    made = planned(laid_out(system=system))
    assert [(point.where, point.reason) for point in made.kept][:2] == [
        ("system[0]", "end of the shared sections"),
        ("system[1]", "end of the static layer"),
    ]


def test_a_place_that_takes_no_marker_gets_none_whatever_is_said_of_it():
    deferred = {**TOOL, "name": "rare", "defer_loading": True}
    made = planned(laid_out(tools=[TOOL, deferred]), shared={1: AT_ONCE, 4: AT_ONCE, 99: AT_ONCE})
    assert [point.where for point in made.asked] == ["tools[0]", "system[0]", "messages[2].content[0]"]


# ------------------------------------------------------------------------------------------------ from what was seen


def sent(history, layout, at_s, *, agent="a"):
    """Plan and send one call; return its plan."""
    made = plan(layout, FACTS, history.before_call(layout, agent=agent, at_s=at_s), policy="auto")
    history.call_sent(layout, [(point.block, point.ttl) for point in made.kept], agent=agent, at_s=at_s)
    return made


def grown(turns):
    messages = [user("hello")]
    for number in range(turns):
        messages += [assistant(f"answer {number}"), user(f"question {number}")]
    return messages


def test_silences_of_ten_minutes_teach_the_hour_and_say_on_how_many_calls_it_rests():
    history = ReuseHistory()
    plans = [sent(history, laid_out(grown(turn)), turn * 10 * MINUTES) for turn in range(12)]
    assert [{point.ttl for point in made.kept} for made in plans[:3]] == [{"5m"}] * 3
    assert "no calls seen yet" in tail_of(plans[0]).reason
    assert [point.ttl for point in plans[-1].kept if point.where == "system[0]"] == ["1h"]
    assert "10 calls of its kind seen" in tail_of(plans[-1]).reason


def test_a_parting_is_learned_from_two_agents_and_marked_for_the_third():
    history, tools = ReuseHistory(), [{**TOOL, "name": f"find_{place}"} for place in range(2)]
    own = [[*tools, {**TOOL, "name": f"own_{place}"}] for place in range(3)]
    plans = [sent(history, laid_out(tools=own[place]), float(place), agent=f"agent {place}") for place in range(3)]
    marked = [[point.where for point in made.kept if point.reason == "where prompts part"] for made in plans]
    assert marked == [[], ["tools[1]"], ["tools[1]"]]


def test_a_declared_parting_is_one_class_of_prefix_for_all_agents():
    history = ReuseHistory()
    layouts = [laid_out(system=[section(name="house", parting=True), section(name=name)]) for name in "abc"]
    for place, layout in enumerate(layouts):
        known = history.before_call(layout, agent=f"{place}", at_s=place * 4 * MINUTES)
        history.call_sent(layout, [], agent=f"{place}", at_s=place * 4 * MINUTES)
    assert known.shared[1].soon > known.shared[2].soon
    assert known.shared[1].basis == "2 calls of its kind seen"


def test_entries_are_known_to_have_run_out():
    history, layout = ReuseHistory(), laid_out()
    sent(history, layout, 0.0)
    assert history.before_call(layout, agent="a", at_s=4 * MINUTES).live
    history = ReuseHistory()
    sent(history, layout, 0.0)
    assert not history.before_call(layout, agent="a", at_s=6 * MINUTES).live
