"""Thresholds on a ledger's numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agentcache.accounting.alerts import AgentThresholds, Thresholds, broken_thresholds, unchecked_agents
from agentcache.accounting.pricing import price_record
from agentcache.accounting.selection import Selection
from agentcache.accounting.summary import Summary, summarise
from agentcache.accounting.usage import CallRecord, Usage

DAY_S = 86_400.0
CALL = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="support",
    model="claude-opus-5",
    sent_at=1_793_000_000.0,
    usage=Usage(uncached_input_tokens=1000, cache_read_tokens=3000),
)


def broken(thresholds: Thresholds, *changes) -> tuple[str, ...]:
    """Return what is broken by a priced call for each set of changed fields."""
    calls = priced(*changes)
    return broken_thresholds(
        thresholds,
        by_agent=summarise(calls),
        by_day=summarise(calls, by="day"),
        agents=days_of(calls, *thresholds.agents),
    )


def priced(*changes) -> list[CallRecord]:
    return [price_record(replace(CALL, call_id=f"call_{n}", **change)) for n, change in enumerate(changes)]


def days_of(calls: list[CallRecord], *agents: str) -> dict[str, Summary]:
    return {name: summarise(calls, by="day", only=Selection(agent=name)) for name in agents}


def test_nothing_asked_is_nothing_broken():
    assert broken(Thresholds(), {"usage": None}, {"usage": Usage(cache_write_1h_tokens=9)}) == ()


def test_a_share_just_kept_is_kept():
    assert broken(Thresholds(read_share=Decimal("0.75")), {}) == ()


def test_an_agent_that_reads_too_little_is_named_with_all_its_models_together():
    least = Thresholds(read_share=Decimal("0.5"))
    low = {"agent": "editor", "usage": Usage(uncached_input_tokens=900, cache_read_tokens=100)}
    high = {"agent": "editor", "model": "claude-haiku-5-5", "usage": Usage(cache_read_tokens=1000)}

    assert broken(least, {}, low, high) == ()
    assert broken(least, {}, low) == (
        "agent 'editor' read 100 of 1,000 prompt tokens from the cache, a share of 0.1000; "
        "read_share asks for 0.5 or more.",
    )


def test_an_agent_without_a_prompt_has_no_share_to_keep():
    assert broken(Thresholds(read_share=Decimal(1)), {"usage": Usage()}) == ()


def test_a_day_over_its_dollars_is_named():
    # 1,000 tokens at 5 and 3,000 at 0.5 dollars per million.
    assert broken(Thresholds(usd_per_day=Decimal("0.0065")), {}, {"sent_at": CALL.sent_at + DAY_S}) == ()
    assert broken(Thresholds(usd_per_day=Decimal("0.0065")), {}, {}, {"sent_at": CALL.sent_at + DAY_S}) == (
        "2026-10-26 cost $0.013; usd_per_day allows $0.0065.",
    )


def test_a_call_of_no_agent_counts_in_its_day():
    assert len(broken(Thresholds(usd_per_day=Decimal("0.0065")), {}, {"agent": None})) == 1


def test_a_day_without_a_price_has_not_been_shown_to_be_cheap():
    (told,) = broken(Thresholds(usd_per_day=Decimal(100)), {}, {"model": "acme-9"})

    assert told == (
        "2026-10-26 cost at least $0.0065, and 1 call without a price came on top; "
        "whether usd_per_day ($100) was kept is not known."
    )


def test_a_day_over_its_dollars_that_lacks_a_price_cost_at_least_that():
    (told,) = broken(Thresholds(usd_per_day=Decimal("0.006")), {}, {"model": "acme-9"})

    assert told == "2026-10-26 cost at least $0.0065; usd_per_day allows $0.006."


def test_wasted_writes_have_a_bound_in_tokens_and_one_as_a_share():
    wrote = {"usage": Usage(cache_write_5m_tokens=5000)}

    assert broken(Thresholds(wasted_write_tokens=5000, wasted_write_share=Decimal(1)), wrote) == ()
    assert broken(Thresholds(wasted_write_tokens=4999, wasted_write_share=Decimal("0.9")), wrote) == (
        "5,000 written tokens were not read again (estimate); wasted_write_tokens allows 4,999.",
        "5,000 of 5,000 written tokens were not read again (estimate), a share of 1.0000; "
        "wasted_write_share allows 0.9.",
    )


def test_nothing_written_wastes_no_share():
    assert broken(Thresholds(wasted_write_share=Decimal(0)), {}) == ()


def test_calls_of_unknown_usage_have_a_bound():
    assert broken(Thresholds(unknown_usage_calls=1), {"usage": None}) == ()
    assert broken(Thresholds(unknown_usage_calls=0), {"usage": None}) == (
        "1 call of unknown usage; unknown_usage_calls allows 0.",
    )


def test_calls_and_bounds_are_counted_in_thousands():
    calls = [{"usage": None}] * 1001
    assert broken(Thresholds(unknown_usage_calls=1000), *calls) == (
        "1,001 calls of unknown usage; unknown_usage_calls allows 1,000.",
    )


# --- of agents by their names -----------------------------------------------------------------------------------------

EDITOR = {"agent": "editor", "usage": Usage(uncached_input_tokens=900, cache_read_tokens=100)}


def for_editor(**thresholds) -> dict[str, AgentThresholds]:
    return {"editor": AgentThresholds(**thresholds)}


def test_an_agents_own_share_takes_the_place_of_the_general_one():
    lower = Thresholds(read_share=Decimal("0.5"), agents=for_editor(read_share=Decimal("0.1")))
    higher = Thresholds(read_share=Decimal("0.05"), agents=for_editor(read_share=Decimal("0.2")))

    assert broken(lower, {}, EDITOR) == ()
    assert broken(higher, {}, EDITOR) == (
        "agent 'editor' read 100 of 1,000 prompt tokens from the cache, a share of 0.1000; "
        "agents.editor.read_share asks for 0.2 or more.",
    )


def test_the_general_share_holds_for_an_agent_that_has_other_thresholds_only():
    asked = Thresholds(read_share=Decimal("0.5"), agents=for_editor(unknown_usage_calls=0))

    assert len(broken(asked, {}, EDITOR)) == 1


def test_an_agents_dollars_are_those_of_its_own_calls_and_come_on_top_of_those_of_all():
    # The editor's call: 900 tokens at 5 and 100 at 0.5 dollars per million.
    own = Thresholds(agents=for_editor(usd_per_day=Decimal("0.00454")))
    both = Thresholds(usd_per_day=Decimal("0.01"), agents=for_editor(usd_per_day=Decimal("0.00455")))

    assert broken(own, {}, {}, EDITOR) == (
        "agent 'editor': 2026-10-26 cost $0.00455; agents.editor.usd_per_day allows $0.00454.",
    )
    assert broken(both, {}, EDITOR) == ("2026-10-26 cost $0.01105; usd_per_day allows $0.01.",)


def test_an_agents_day_without_a_price_has_not_been_shown_to_be_cheap():
    asked = Thresholds(agents=for_editor(usd_per_day=Decimal(100)))

    (told,) = broken(asked, {}, {**EDITOR, "model": "acme-9"})
    assert told.startswith("agent 'editor': 2026-10-26 cost at least $0, and 1 call without a price came on top;")


def test_an_agents_wasted_writes_are_those_of_its_own_calls():
    asked = Thresholds(agents=for_editor(wasted_write_tokens=99, wasted_write_share=Decimal("0.5")))
    wrote = {"usage": Usage(cache_write_5m_tokens=100), "run_id": "run_2"}

    assert broken(asked, wrote) == ()
    assert broken(asked, wrote, {**wrote, "agent": "editor"}) == (
        "agent 'editor': 100 written tokens were not read again (estimate); "
        "agents.editor.wasted_write_tokens allows 99.",
        "agent 'editor': 100 of 100 written tokens were not read again (estimate), a share of 1.0000; "
        "agents.editor.wasted_write_share allows 0.5.",
    )


def test_an_agents_calls_of_unknown_usage_are_its_own():
    asked = Thresholds(agents=for_editor(unknown_usage_calls=0))

    assert broken(asked, {"usage": None}) == ()
    assert broken(asked, {"agent": "editor", "usage": None}) == (
        "agent 'editor': 1 call of unknown usage; agents.editor.unknown_usage_calls allows 0.",
    )


def test_agents_are_told_in_the_order_of_their_names_behind_what_holds_for_all():
    none = AgentThresholds(read_share=Decimal(1))
    asked = Thresholds(usd_per_day=Decimal(0), agents={"support": none, "editor": none})

    assert [sentence.split()[:2] for sentence in broken(asked, {}, EDITOR)] == [
        ["2026-10-26", "cost"],
        ["agent", "'editor'"],
        ["agent", "'support'"],
    ]


def test_an_agent_without_a_call_breaks_nothing_and_is_told_with_the_name_that_was_meant():
    calls = priced({}, EDITOR)
    asked = Thresholds(agents={"edtor": AgentThresholds(read_share=Decimal(1)), "support": AgentThresholds()})

    assert broken(asked, {}, EDITOR) == ()
    assert unchecked_agents(days_of(calls, *asked.agents), {"support", "editor"}) == (
        "agent 'edtor' has thresholds and no call among those looked at, so none was checked; did you mean 'editor'?",
    )


def test_an_agent_like_no_other_is_told_with_those_that_there_are():
    (told,) = unchecked_agents(days_of(priced({}, EDITOR), "planner"), {"support", "editor"})

    assert told.endswith("so none was checked; there are: 'editor', 'support'")


def test_where_no_agent_has_a_call_none_is_offered():
    (told,) = unchecked_agents(days_of([], "planner"), set())

    assert told.endswith("so none was checked; there are: none")


def test_an_agent_whose_calls_are_all_of_unknown_usage_has_calls():
    assert unchecked_agents(days_of(priced({"usage": None}), "support"), set()) == ()
