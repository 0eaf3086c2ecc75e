"""What each layer was billed, drawn for a terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from agentcache.accounting.layers import LayerSummary, summarise_layers
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.prompt.spans import Span
from agentcache.report.layer_tables import to_layer_table

SPANS = (
    Span(layer="static", section="rules", where="system[0]", tokens=3, digest="p1:aa"),
    Span(layer="turn", section=None, where="messages[0].content[0]", tokens=1, digest="p1:bb"),
)
USAGE = Usage(cache_write_5m_tokens=3_000_000, uncached_input_tokens=1_000_000, output_tokens=5)
CALL = CallRecord(
    call_id="a",
    run_id="run_1",
    agent="security_reviewer",
    model="claude-sonnet-5-5",
    sent_at=1.79e9,
    usage=USAGE,
    prompt_spans=SPANS,
)
UNKNOWN = CallRecord(call_id="b", run_id="run_1", agent="clerk", model="claude-sonnet-5-5", sent_at=1.79e9, usage=None)


def drawn(summary: LayerSummary, width: int) -> list[str]:
    page = StringIO()
    Console(file=page, width=width, color_system=None).print(to_layer_table(summary, width=width))
    return page.getvalue().splitlines()


@pytest.mark.parametrize(("width", "written"), [(120, "3,000,000"), (80, "3.00M")])
def test_a_layer_has_a_row_that_fits_the_width(width: int, written: str):
    lines = drawn(summarise_layers([CALL]), width)

    row = next(line for line in lines if "static" in line)
    assert written in row
    assert all(len(line) <= width for line in lines)


def test_what_cannot_be_split_has_a_row_and_a_sentence():
    page = "\n".join(drawn(summarise_layers([CALL, UNKNOWN]), 100))

    assert "(unattributed)" in page
    assert "1 calls cannot be split" in page


def test_what_a_layer_costs_a_day_because_it_is_written_again_stands_in_its_row():
    again = replace(CALL, call_id="c", sent_at=CALL.sent_at + 60)
    tomorrow = replace(CALL, call_id="d", sent_at=CALL.sent_at + 86_400)

    rewriting = drawn(summarise_layers([CALL, again, tomorrow]), 100)
    (static,) = (line.split() for line in rewriting if "static" in line)

    assert static[-2:] == ["3,000,000", "$3.7500"]
    assert "rewrites per day: what they cost, the mean of the 2 days (UTC) on which calls were sent." in "\n".join(
        rewriting
    )


def test_on_one_day_rewriting_costs_what_it_costs():
    again = replace(CALL, call_id="c", sent_at=CALL.sent_at + 60)

    rewriting = drawn(summarise_layers([CALL, again]), 100)
    (static,) = (line.split() for line in rewriting if "static" in line)

    assert static[-2:] == ["3,000,000", "$7.5000"]
    assert "per day" not in "\n".join(rewriting)


def test_what_costs_less_than_is_shown_is_not_free():
    few = replace(CALL, usage=Usage(uncached_input_tokens=4))

    row = next(line for line in drawn(summarise_layers([few]), 120) if "turn" in line)
    assert row.split()[-3:] == ["<$0.0001", "0", "$0.0000"]
