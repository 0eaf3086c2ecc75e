"""What rows of a report by layer say, and what writing a layer again cost: small ledgers, exact numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agentcache.accounting.layers import ends_of, input_usd, split_call, summarise_layers
from agentcache.accounting.selection import Selection
from agentcache.accounting.usage import BilledPart, CallRecord, Usage
from agentcache.prompt.spans import SETTINGS, Span

DAY_S = 86_400
SONNET = "claude-sonnet-5-5"
"""In September 2026 two dollars per million tokens of input, twice that written for an hour, a tenth of it read."""


def run(layer: str, tokens: int, *, section: str | None = None) -> Span:
    return Span(layer=layer, section=section, where=layer, tokens=tokens, digest=f"{layer} {section}")


TOOLS, STATIC, TURN = run("tools", 1000), run("static", 1000), run("turn", 10)


def call(at: float, usage: Usage | None, *runs: Span, agent: str | None = "clerk", model: str = SONNET) -> CallRecord:
    return CallRecord(
        call_id=f"call at {at}",
        run_id="run_1",
        agent=agent,
        model=model,
        sent_at=1.79e9 + at,
        usage=usage,
        prompt_spans=runs or None,
    )


def billed(*, five: int = 0, hour: int = 0, read: int = 0, rest: int = 10) -> Usage:
    return Usage(
        uncached_input_tokens=rest, cache_write_5m_tokens=five, cache_write_1h_tokens=hour, cache_read_tokens=read
    )


def rewritten(*calls: CallRecord) -> dict[str | None, int]:
    return {row.layer: row.rewritten_tokens for row in summarise_layers(calls).rows}


def test_the_whole_summary_as_json() -> None:
    first = call(0, billed(hour=1000, five=1000), TOOLS, STATIC, TURN)
    again = call(DAY_S, billed(read=1000, five=1000), TOOLS, STATIC, TURN)
    once_more = call(DAY_S + 1, billed(read=1000, five=1000), TOOLS, STATIC, TURN)
    nobodys = call(2, billed(rest=500))

    told = summarise_layers([once_more, first, again, nobodys]).to_json()

    nothing = {
        "uncached_input_tokens": 0,
        "cache_write_5m_tokens": 0,
        "cache_write_1h_tokens": 0,
        "cache_read_tokens": 0,
        "read_share": 0.0,
        "rewritten_tokens": 0,
        "rewritten_usd": "0",
        "rewritten_per_day_usd": "0",
    }
    tools = {"cache_write_1h_tokens": 1000, "cache_read_tokens": 2000, "read_share": 2000 / 3000}
    static = {"cache_write_5m_tokens": 3000, "rewritten_tokens": 1000}
    of_static = {"rewritten_usd": "0.0025", "rewritten_per_day_usd": "0.00125"}
    assert told == {
        "rows": [
            {
                **nothing,
                "agent": "clerk",
                "layer": "tools",
                "calls": 3,
                **tools,
                "cost_usd": "0.0044",
                "cost_per_day_usd": "0.0022",
            },
            {
                **nothing,
                "agent": "clerk",
                "layer": "static",
                "calls": 3,
                **static,
                "cost_usd": "0.0075",
                "cost_per_day_usd": "0.00375",
                **of_static,
            },
            {
                **nothing,
                "agent": "clerk",
                "layer": "turn",
                "calls": 3,
                "uncached_input_tokens": 30,
                "cost_usd": "0.00006",
                "cost_per_day_usd": "0.00003",
            },
        ],
        "total": {
            **nothing,
            "agent": None,
            "layer": None,
            "calls": 4,
            **tools,
            **static,
            "uncached_input_tokens": 530,
            "read_share": 2000 / 6530,
            "cost_usd": "0.01296",
            "cost_per_day_usd": "0.00648",
            **of_static,
        },
        "unattributed": {
            **nothing,
            "agent": None,
            "layer": None,
            "calls": 1,
            "uncached_input_tokens": 500,
            "cost_usd": "0.001",
            "cost_per_day_usd": "0.0005",
        },
        "days": 2,
    }


def test_without_calls_no_day_has_a_cost() -> None:
    told = summarise_layers([]).to_json()

    assert isinstance(total := told["total"], dict)
    assert (told["days"], total["cost_usd"], total["cost_per_day_usd"]) == (0, "0", None)


def test_a_call_of_several_parts_pays_for_each_run_in_each_of_them() -> None:
    parts = (
        BilledPart(model=SONNET, usage=billed(five=1000, hour=1000)),
        BilledPart(model=SONNET, usage=billed(read=2000)),
        BilledPart(model="nobody's, which billed nothing", usage=Usage()),
    )
    both = replace(call(0, parts[0].usage + parts[1].usage, TOOLS, STATIC, TURN), parts=parts)

    shares = split_call(both)

    assert [share.usage for share in shares] == [
        Usage(cache_write_1h_tokens=1000, cache_read_tokens=1000),
        Usage(cache_write_5m_tokens=1000, cache_read_tokens=1000),
        Usage(uncached_input_tokens=20),
    ]
    assert [share.cost_usd for share in shares] == [Decimal("0.0042"), Decimal("0.0027"), Decimal("0.00004")]
    assert [share.write_usd for share in shares] == [Decimal("0.004"), Decimal("0.0025"), 0]
    assert input_usd(both) == Decimal("0.00694")


def test_what_nobody_billed_or_has_a_price_for_cost_nobody_knows_what() -> None:
    unknown = call(0, None, TOOLS)
    unpriced = call(0, billed(five=10), TOOLS, model="acme-9")

    assert (input_usd(unknown), split_call(unknown)) == (None, ())
    assert input_usd(unpriced) is None
    assert [(share.cost_usd, share.write_usd) for share in split_call(unpriced)] == [(None, None)]


def test_a_prompt_of_which_no_token_was_estimated_belongs_to_its_last_run() -> None:
    runs = [run(layer, 0) for layer in ("tools", "static", "turn")]

    assert ends_of(runs, 70) == (0, 0, 70)
    assert ends_of([], 70) == ()


def test_sections_of_a_layer_are_one_row_and_settings_are_none() -> None:
    runs = (run(SETTINGS, 0), run("static", 500, section="rules"), run("static", 1500, section="house"), TURN)

    static, turn = summarise_layers([call(0, billed(five=2000), *runs)]).rows

    assert (static.layer, static.calls, static.usage.cache_write_tokens) == ("static", 1, 2000)
    assert (turn.layer, turn.calls, turn.usage.uncached_input_tokens) == ("turn", 1, 10)


def test_what_others_wrote_counts_as_written_though_only_one_agent_is_asked_about() -> None:
    theirs = call(0, billed(five=2000), TOOLS, STATIC, TURN, agent="editor")
    mine = call(1, billed(five=2000), TOOLS, STATIC, TURN)

    summary = summarise_layers([theirs, mine], only=Selection(agent="clerk"))

    assert [(row.agent, row.layer, row.rewritten_tokens) for row in summary.rows] == [
        ("clerk", "tools", 1000),
        ("clerk", "static", 1000),
        ("clerk", "turn", 0),
    ]


def test_what_an_agent_without_a_name_wrote_again_is_unattributed_and_known() -> None:
    calls = [call(at, billed(five=2000), TOOLS, STATIC, TURN, agent=None) for at in (0, 1)]

    summary = summarise_layers(calls)

    assert (summary.rows, summary.unattributed.calls) == ((), 2)
    assert (summary.unattributed.rewritten_tokens, summary.unattributed.rewritten_usd) == (2000, Decimal("0.005"))


@pytest.mark.parametrize(("after_s", "again"), [(299, 1000), (301, 0)])
def test_five_minutes_after_it_was_written_nothing_is_written_again(after_s: float, again: int) -> None:
    calls = [call(at, billed(five=2000), TOOLS, STATIC, TURN) for at in (0, after_s)]

    assert rewritten(*calls) == {"tools": again, "static": again, "turn": 0}


def test_what_was_written_for_an_hour_and_what_stands_in_front_of_it_is_there_for_an_hour() -> None:
    writes = call(0, billed(read=1000, hour=1000), TOOLS, STATIC, TURN)
    later = call(3599, billed(five=2000), TOOLS, STATIC, TURN)

    other = call(3599, billed(five=2000), TOOLS, run("static", 1000, section="other"), TURN)

    assert rewritten(writes, later) == {"tools": 1000, "static": 1000, "turn": 0}
    assert rewritten(writes, other) == {"tools": 1000, "static": 0, "turn": 0}
    assert rewritten(writes, replace(later, sent_at=writes.sent_at + 3601)) == {"tools": 0, "static": 0, "turn": 0}


def test_a_read_lets_an_hours_write_live_for_another_hour() -> None:
    calls = [
        call(0, billed(hour=2000), TOOLS, STATIC, TURN),
        call(3000, billed(read=2000), TOOLS, STATIC, TURN),
        call(6000, billed(five=2000), TOOLS, STATIC, TURN),
    ]

    assert rewritten(*calls) == {"tools": 1000, "static": 1000, "turn": 0}


def test_what_was_sent_without_being_written_is_not_written_again() -> None:
    calls = [
        call(0, billed(rest=2010), TOOLS, STATIC, TURN),
        call(1, billed(five=2000), TOOLS, STATIC, TURN),
    ]

    assert rewritten(*calls) == {"tools": 0, "static": 0, "turn": 0}
