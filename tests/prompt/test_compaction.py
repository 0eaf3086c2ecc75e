"""When a history is worth a summary, where it is cut, and what stands in its place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache import Compaction, SettingsError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.compaction import CompactionChoice, Long, choose_compaction, compacted, cut_before
from agentcache.prompt.model_facts import facts_for
from agentcache.prompt.reuse import Outlook

FACTS = facts_for("claude-sonnet-5-5")
LIVELY = Outlook(soon=0.95, later=0.0, basis="seen")
WARM = Long(
    prompt_tokens=40_000,
    live_tokens=39_000,
    head_tokens=2_000,
    head_live_tokens=2_000,
    kept_tokens=1_000,
    answer_tokens=4_000,
    summary_live_tokens=39_000,
)
COLD = replace(WARM, live_tokens=0, head_live_tokens=0, summary_live_tokens=0)


def chosen(long: Long, outlook: Outlook = LIVELY, **policy) -> CompactionChoice:
    return choose_compaction(Compaction(**policy), long, FACTS, outlook)


def scaled(long: Long, prompt_tokens: int) -> Long:
    """Return the same situation with another length of what could go."""
    live = max(0, prompt_tokens - 1_000) if long.live_tokens else 0
    return replace(long, prompt_tokens=prompt_tokens, live_tokens=live, summary_live_tokens=live)


def shortest_that_pays(long: Long) -> int:
    few = Outlook(soon=0.8, later=0.0, basis="seen")
    return next(tokens for tokens in range(4_000, 400_000, 500) if chosen(scaled(long, tokens), few).compact)


def test_a_long_history_is_worth_a_summary_when_many_calls_are_to_come():
    choice = chosen(WARM)

    assert (choice.compact, choice.trigger) == (True, "pays")
    assert choice.compact_cost_tokens is not None
    assert choice.keep_cost_tokens is not None
    assert choice.compact_cost_tokens < choice.keep_cost_tokens
    assert "over this call and 19.0 more (seen)" in choice.reason


def test_the_sum_is_what_the_prices_say():
    """Sonnet 5.5: a read costs 0.05 of an uncached token, a 5-minute write 1.25, an output token 5."""
    choice = chosen(WARM, Outlook(soon=0.5, later=0.0, basis="even"), summary_tokens=1_000)

    shorter = 2_000 + 1_000 + 1_000
    assert choice.further_calls == 1.0
    assert choice.keep_cost_tokens == round(0.05 * 39_000 + 1.25 * 1_000 + 0.05 * 40_000)
    summary = 0.05 * 39_000 + 1_000 + 5 * 1_000
    assert choice.compact_cost_tokens == round(summary + 0.05 * 2_000 + 1.25 * (shorter - 2_000) + 0.05 * shorter)
    assert not choice.compact


def test_a_cold_cache_makes_it_pay_earlier():
    assert shortest_that_pays(COLD) < shortest_that_pays(WARM)


def test_nothing_is_summed_up_that_a_summary_would_not_shorten():
    choice = chosen(scaled(WARM, 3_900), summary_tokens=1_000, trigger_tokens=1)

    assert not choice.compact
    assert choice.reason == "900 tokens could go, and a summary of them is expected to take 1,000"


def test_a_conversation_that_ends_here_is_left_alone():
    assert not chosen(WARM, Outlook(soon=0.0, later=0.0, basis="over")).compact


def test_hard_triggers_do_not_ask_what_it_costs():
    over = Outlook(soon=0.0, later=0.0, basis="over")
    window = FACTS.context_window_tokens
    assert window is not None
    near = scaled(WARM, round(0.8 * window) - WARM.answer_tokens)

    assert chosen(WARM, over, trigger_tokens=40_000).trigger == "trigger_tokens"
    assert chosen(WARM, over, trigger_tokens=40_001).trigger is None
    assert chosen(near, over).trigger == "window"
    assert chosen(scaled(WARM, near.prompt_tokens - 1), over).trigger is None


def test_a_price_that_rises_with_the_length_is_a_reason_too():
    """Haiku 5.5 charges more for prompts beyond 100,000 tokens."""
    haiku, even = facts_for("claude-haiku-5-5"), Outlook(soon=0.5, later=0.0, basis="even")
    below, beyond = (
        choose_compaction(Compaction(), scaled(WARM, tokens), haiku, even).keep_cost_tokens or 0
        for tokens in (100_000, 100_001)
    )

    assert beyond > 1.2 * below


@given(st.integers(3_000, 300_000), st.integers(0, 300_000), st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_to_come_never_argues_against(prompt: int, live: int, soon: float, later: float):
    long = replace(scaled(COLD, prompt), live_tokens=min(live, prompt), summary_live_tokens=min(live, prompt))
    few = chosen(long, Outlook(soon=soon, later=0.0, basis=""))
    more = chosen(long, Outlook(soon=soon + later, later=0.0, basis=""))

    assert more.compact or not few.compact


# --- the cut ----------------------------------------------------------------------------------------------------------


def user(*texts: str) -> JsonObject:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def answer(text: str) -> JsonObject:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


CALLED: JsonObject = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
RESULT: JsonObject = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
TOLD: JsonObject = {"role": "system", "content": [{"type": "text", "text": "[section news changed]\nrain"}]}
HISTORY = [user("q1"), answer("a1"), user("q2"), TOLD, CALLED, RESULT, answer("a2"), user("q3"), answer("a3")]


@pytest.mark.parametrize(("keep_turns", "cut"), [(1, 7), (2, 2), (3, None), (4, None)])
def test_the_last_turns_stay_with_all_their_tools(keep_turns: int, cut: int | None):
    assert cut_before(HISTORY, keep_turns) == cut


def test_the_summary_stands_in_front_of_the_first_turn_that_stays():
    shorter = compacted(HISTORY, 2, "They spoke of q1.")

    assert shorter == (
        user("[summary of the conversation so far]\nThey spoke of q1.", "q2"),
        CALLED,
        RESULT,
        answer("a2"),
        user("q3"),
        answer("a3"),
    )
    assert cut_before(shorter, 2) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"way": "magic"}, "way 'magic' is unknown"),
        ({"keep_turns": 0}, "keep_turns is 0"),
        ({"trigger_tokens": 0}, "trigger_tokens is 0"),
        ({"summary_tokens": 0}, "summary_tokens is 0"),
        ({"window_share": 1.5}, "window_share is 1.5"),
        ({"instructions": " "}, "instructions are empty"),
    ],
)
def test_what_has_no_meaning_is_refused_where_it_is_declared(options, told: str):
    with pytest.raises(SettingsError, match=told):
        Compaction(**options)
