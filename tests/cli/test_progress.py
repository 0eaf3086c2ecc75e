"""What a person sees during a run: plain lines in a pipe, a live table on a terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from agentcache.accounting.usage import CallRecord, RunStatus, Usage
from agentcache.cli.printing import Screen
from agentcache.cli.progress import Tally, line_of, progress
from agentcache.runtime.events import (
    CallFinished,
    CallRetried,
    CallStarted,
    Event,
    Notice,
    RunFinished,
    RunStarted,
    TextDelta,
    ToolFinished,
)

RECORD = CallRecord(
    call_id="call_1",
    run_id="run_1",
    agent="reader",
    model="claude-haiku-5-5",
    turn=1,
    sent_at=0.0,
    usage=Usage(uncached_input_tokens=250, cache_read_tokens=750, output_tokens=10),
    cost_usd=Decimal("0.0012"),
)
FINISHED = CallFinished(run_id="run_1", agent="reader", at=0.0, call_id="call_1", record=RECORD)
STARTED = CallStarted(run_id="run_1", agent="reader", at=0.0, call_id="call_1", model="claude-haiku-5-5", turn=1)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (FINISHED, "reader: call 1: prompt 1,000 (75% read), answer 10 tokens, $0.0012"),
        (
            replace(FINISHED, record=replace(RECORD, error="Overloaded: busy", usage=None)),
            "reader: call failed: Overloaded: busy",
        ),
        (replace(FINISHED, record=replace(RECORD, usage=None)), "reader: call ended, its usage is unknown"),
        (
            CallRetried(run_id="r", agent="reader", at=0.0, call_id="c", attempt=1, wait_s=2.0, reason="429"),
            "reader: attempt 1 failed (429); next one in 2.0 s",
        ),
        (
            ToolFinished(run_id="r", agent="a", at=0.0, tool_call_id="t", tool="grep", outcome="ok", memo_hit=True),
            "a: tool grep ok (kept result)",
        ),
        (Notice(run_id="r", agent=None, at=0.0, code="x", message="mind the gap"), "(no agent): mind the gap"),
        (RunStarted(run_id="r", agent=None, at=0.0, name="review", parent_run_id=None), "review: started"),
        (RunFinished(run_id="r", agent=None, at=0.0, name="review", status=RunStatus.FINISHED), "review: finished"),
        (RunStarted(run_id="r", agent="reader", at=0.0, name="reader", parent_run_id="p"), None),
        (TextDelta(run_id="r", agent="reader", at=0.0, call_id="c", text="word"), None),
    ],
)
def test_an_event_is_one_line_or_nothing(event: Event, line: str | None) -> None:
    assert line_of(event) == line


def test_the_tally_adds_calls_up_and_remembers_the_topmost_run() -> None:
    tally = Tally()
    tally.take(RunStarted(run_id="run_0", agent=None, at=0.0, name="review", parent_run_id=None))
    tally.take(RunStarted(run_id="run_1", agent="reader", at=0.0, name="reader", parent_run_id="run_0"))
    for event in (STARTED, STARTED, FINISHED):
        tally.take(event)

    reader = tally.agents["reader"]
    assert tally.run_id == "run_0"
    assert (reader.running, reader.calls, reader.usage.input_tokens) == (1, 1, 1000)
    assert reader.cost_usd == Decimal("0.0012")


def test_an_unpriced_call_makes_the_cost_unknown_for_good() -> None:
    tally = Tally()
    tally.take(replace(FINISHED, record=replace(RECORD, cost_usd=None)))
    tally.take(FINISHED)

    assert tally.agents["reader"].cost_usd is None


def test_markup_in_a_message_is_shown_as_it_is() -> None:
    page = io.StringIO()
    with progress(Screen(file=page, width=80), Tally()) as emit:
        emit(Notice(run_id="r", agent="a", at=0.0, code="x", message="see [bold]this[/bold]"))

    assert page.getvalue() == "a: see [bold]this[/bold]\n"


def test_a_terminal_gets_a_live_table_and_stdout_stays_clean(team: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from agentcache.cli import main; main()"]
    words = ["run", "team.py:support", "where is my order?", "--emulate", "--json"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(
        [*command, *words], cwd=team, env=environment, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = _read_all(ours)
        assert process.stdout is not None
        stdout = process.stdout.read()

    assert process.returncode == 0, seen
    assert "prompt tokens" in seen
    assert "\x1b[?25l" in seen  # the cursor is hidden while the table is redrawn
    assert stdout.lstrip().startswith(b"{")


def _read_all(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # how Linux says that the other end was closed
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()
