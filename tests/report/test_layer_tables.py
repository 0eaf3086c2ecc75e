"""What each layer was billed, drawn for a terminal."""

from __future__ import annotations

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
