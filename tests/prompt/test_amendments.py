"""Semi-static changes: what changed, how it is told, and which way costs less."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.prompt.amendments import (
    MOST_FURTHER_CALLS,
    UNCACHED,
    SectionChange,
    Side,
    amendment,
    amendment_tokens,
    changed_sections,
    cheaper_way,
    further_calls,
)
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.payoff import Rates
from agentcache.prompt.reuse import Outlook

USUAL = Outlook(soon=0.8, later=0.0, basis="as told")
LAST_CALL = Outlook(soon=0.0, later=0.0, basis="as told")


def way(append: tuple[int, int], rewrite: tuple[int, int], outlook: Outlook = USUAL, rates: Rates | None = None) -> str:
    first, second = (Side(prefix_tokens=prompt, live_tokens=live) for prompt, live in (append, rewrite))
    return cheaper_way(append=first, rewrite=second, outlook=outlook, rates=rates or Rates(), sections=["news"]).way


def test_texts_that_changed_came_or_went_are_changes():
    told = {"news": "old", "rates": "same", "offer": "spring"}
    now = {"news": "new", "rates": "same", "hours": "9 to 5"}
    assert changed_sections(told, now) == (
        SectionChange(name="news", text="new"),
        SectionChange(name="hours", text="9 to 5"),
        SectionChange(name="offer", text=""),
    )


def test_a_section_that_is_told_to_be_gone_is_no_change_again():
    assert changed_sections({"offer": ""}, {}) == ()


def test_an_amendment_names_each_section():
    message = amendment([SectionChange(name="news", text="It rains."), SectionChange(name="offer", text="")])
    assert message == {
        "role": "system",
        "content": [
            {"type": "text", "text": "[section news changed]\nIt rains."},
            {"type": "text", "text": "[section offer removed]"},
        ],
    }


def test_an_amendment_costs_its_text_and_its_opening():
    facts = facts_for("claude-sonnet-5-5")
    short, long = (
        amendment_tokens(amendment([SectionChange(name="news", text=text)]), facts) for text in ("rain", "rain " * 100)
    )
    assert 0 < short < long


def test_a_short_amendment_behind_a_long_live_prompt_is_appended():
    assert way(append=(20_100, 20_000), rewrite=(20_000, 2_000)) == "append"


def test_a_long_section_in_a_short_conversation_is_rewritten():
    assert way(append=(12_000, 6_500), rewrite=(6_500, 1_000)) == "rewrite"


def test_nothing_left_in_the_cache_is_rewritten_since_it_is_written_anyway():
    assert way(append=(20_100, 0), rewrite=(20_000, 0)) == "rewrite"


def test_without_a_cache_the_shorter_prompt_is_taken():
    assert way(append=(20_100, 20_000), rewrite=(20_000, 2_000), rates=UNCACHED) == "rewrite"


def test_many_calls_to_come_pay_for_a_rewrite_that_one_does_not():
    append, rewrite = (30_000, 25_000), (25_000, 15_000)
    lively = Outlook(soon=0.97, later=0.0, basis="as told")
    assert way(append, rewrite, outlook=LAST_CALL) == "append"
    assert way(append, rewrite, outlook=lively) == "rewrite"


def test_the_sum_is_told_in_the_reason_and_in_json():
    side = Side(prefix_tokens=1_000, live_tokens=1_000)
    choice = cheaper_way(
        append=side,
        rewrite=Side(prefix_tokens=1_000, live_tokens=0),
        outlook=LAST_CALL,
        rates=Rates(),
        sections=["news"],
    )
    assert choice.to_json() == {
        "choice": "append",
        "sections": ["news"],
        "reason": "expected to cost in tokens: append 100, rewrite 1,250, over this call and 0.0 more (as told)",
        "append_cost_tokens": 100,
        "rewrite_cost_tokens": 1_250,
        "further_calls": 0.0,
    }


def test_calls_to_come_follow_from_the_chance_of_one_more():
    assert round(further_calls(USUAL), 9) == 4
    assert further_calls(Outlook(soon=1.0, later=0.0, basis="sure")) == MOST_FURTHER_CALLS


@settings(max_examples=60)
@given(prompt=st.integers(0, 100_000), grown=st.integers(0, 5_000), soon=st.floats(0, 1))
def test_a_rewrite_that_reads_as_much_and_is_no_longer_is_never_the_dearer_way(prompt: int, grown: int, soon: float):
    outlook = Outlook(soon=soon, later=0.0, basis="as told")
    choice = cheaper_way(
        append=Side(prefix_tokens=prompt + grown, live_tokens=prompt),
        rewrite=Side(prefix_tokens=prompt, live_tokens=prompt),
        outlook=outlook,
        rates=Rates(),
        sections=[],
    )
    assert choice.append_cost_tokens is not None
    assert choice.rewrite_cost_tokens is not None
    assert choice.append_cost_tokens >= choice.rewrite_cost_tokens
