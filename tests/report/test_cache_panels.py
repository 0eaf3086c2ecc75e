"""What the page says of layers and of misses."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agentcache.accounting.layers import summarise_layers
from agentcache.accounting.misses import Cause, Miss
from agentcache.report.cache_panels import layer_panel, miss_panel
from tests.report.spending import Spending, team

TEAM: Spending = team(runs=2, calls_each=2)
CALL = TEAM.calls[0]
SPANS = CALL.prompt_spans or ()
MISS = Miss(
    call=CALL,
    earlier=CALL,
    cause=Cause.EXPIRED,
    available_tokens=5_000,
    lost_tokens=4_000,
    lost_usd=Decimal("0.012"),
    span=SPANS[0],
    gap_s=400.0,
    ttl_s=300.0,
)


def test_the_bars_of_layers_are_all_agents_prompts():
    bars = layer_panel(summarise_layers(TEAM.calls)).bars
    prompts = [call.usage.input_tokens if call.usage else 0 for call in TEAM.calls]

    assert bars is not None
    assert bars.bars == ("tools", "static", "turn")
    assert sum(piece.amount for piece in bars.pieces) == sum(prompts)


def test_calls_without_runs_of_their_prompt_have_a_row():
    panel = layer_panel(summarise_layers([replace(CALL, prompt_spans=None), *TEAM.calls[1:]]))

    assert panel.table.rows[-1]["agent"] == "(unattributed)"
    assert panel.table.rows[-1]["calls"] == 1


def test_misses_are_summed_up_by_cause():
    table = miss_panel([MISS, MISS, replace(MISS, cause=Cause.MOVED)]).table

    assert list(table.rows) == [
        {"cause": "expired", "calls": 2, "lost_tokens": 8_000, "lost_usd": "0.024"},
        {"cause": "the prompt changed", "calls": 1, "lost_tokens": 4_000, "lost_usd": "0.012"},
    ]
    assert table.total == {"cause": "Total", "calls": 3, "lost_tokens": 12_000, "lost_usd": "0.036"}


def test_dollars_of_a_miss_without_a_price_are_not_told():
    table = miss_panel([MISS, replace(MISS, lost_usd=None)]).table

    assert [row["lost_usd"] for row in table.rows] == [None]


def test_every_cause_has_words():
    panel = miss_panel([replace(MISS, cause=cause) for cause in Cause])

    assert len({row["cause"] for row in panel.table.rows}) == len(Cause)


def test_no_miss_is_said_in_words():
    panel = miss_panel([])

    assert (panel.bars.bars, panel.caption) == ((), "No call is known to have read less than it could.")
