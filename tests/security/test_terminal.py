"""Nobody's text drives the terminal, whatever name, reply, log or error it stands in."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from typer.testing import CliRunner

from agentcache import Event, ToolFailed
from agentcache.accounting.usage import CallRecord, RunRecord, RunStatus, ToolCallRecord, Usage
from agentcache.cli import app, saying
from agentcache.cli.approving import question
from agentcache.cli.failures import sentence
from agentcache.cli.printing import Screen, as_json
from agentcache.cli.progress import Tally, progress
from agentcache.runtime.approval import ApprovalRequest
from agentcache.runtime.events import CallRetried, CallStarted, Notice, RunStarted
from agentcache.stores.opening import open_ledger
from agentcache.visible import columns, visible, visible_json
from tests.security.hostile import DRIVING, EVERYTHING, KEPT, MARKUP, driving

ROOT = Path(__file__).parents[2]


@given(st.text())
def test_no_text_is_left_that_drives_a_terminal(text):
    assert not driving(visible(text), lines=False)
    assert not driving(visible_json(text))


@given(st.text())
def test_json_means_the_same_with_its_hidden_characters_written_out(text):
    assert json.loads(visible_json(json.dumps(text, ensure_ascii=False))) == text
    assert (
        json.loads(as_json({"text": text.encode(errors="replace").decode()}))["text"]
        == text.encode(errors="replace").decode()
    )


@pytest.mark.parametrize("attack", DRIVING)
def test_what_would_drive_it_can_still_be_read(attack):
    shown = visible(DRIVING[attack])
    assert not driving(shown, lines=False)
    assert "\\x" in shown or "\\u" in shown or "\\U" in shown


@pytest.mark.parametrize("is_terminal", [True, False])
def test_whatever_is_drawn_is_text_and_no_markup(is_terminal):
    page = io.StringIO()
    screen = Screen(file=page, width=1_000, plain=True)
    screen._force_terminal = is_terminal
    screen.print(Text(KEPT))
    screen.print(KEPT)
    assert not driving(page.getvalue())
    assert page.getvalue().count(MARKUP) == 2


def stranger(number: int) -> tuple[RunRecord, CallRecord, ToolCallRecord]:
    at = time.time() - 60
    run = RunRecord(
        run_id=f"{KEPT}{number}",
        parent_run_id=None,
        name=KEPT,
        agent=KEPT,
        started_at=at,
        status=RunStatus.RUNNING,
    )
    call = CallRecord(
        call_id=f"{KEPT}call{number}",
        run_id=run.run_id,
        agent=KEPT,
        model=KEPT,
        sent_at=at,
        usage=Usage(uncached_input_tokens=5, cache_write_5m_tokens=9_000),
        error=KEPT,
        stop_reason=KEPT,
    )
    tool = ToolCallRecord(
        tool_call_id=f"{KEPT}{number}",
        run_id=run.run_id,
        agent=KEPT,
        call_id=call.call_id,
        tool=KEPT,
        started_at=at,
        ended_at=at,
        outcome="ok",
        memo_tier="executed",
    )
    return run, call, tool


@pytest.fixture
def ledger_of_strangers(tmp_path):
    async def fill() -> str:
        url = str(tmp_path / "ledger.db")
        ledger = await open_ledger(url)
        for number in range(2):
            run, call, tool = stranger(number)
            await ledger.start_run(run)
            await ledger.add_call(call)
            await ledger.add_tool_call(tool)
        await ledger.close()
        return url

    return asyncio.run(fill())


COMMANDS = [
    *(("report", "--by", by, "--format", form) for by in ("agent", "run", "model", "tool", "layer", "day")
      for form in ("table", "json")),
    ("report", "--reprice"),
    ("report", "--reprice", "--format", "json"),
    ("report", "--run", "\x1b[2J"),
    ("report", "--format", "markdown"),
    ("export",),
    ("top", "--once"),
    ("explain", "--run", f"{KEPT}0"),
    ("explain", "--call", "\x1b[2J\u202e"),
    ("conversation", "list"),
    ("conversation", "show", "\x1b[2J\x9b"),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(map(visible, words))[:40])
def test_a_ledger_full_of_strangers_names_drives_no_terminal(ledger_of_strangers, words):
    result = CliRunner().invoke(app, [*words, "--db", ledger_of_strangers])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not driving(result.stderr)
    assert not driving(result.stdout)
    assert "Traceback" not in result.output


def test_an_error_is_one_sentence_whatever_it_quotes():
    for error in (ToolFailed(EVERYTHING), ValueError(EVERYTHING), RuntimeError("\x1b]0;title\x07")):
        assert not driving(sentence(error), lines=False)


def test_progress_shows_names_reasons_and_notices_as_they_are():
    page = io.StringIO()
    events: list[Event] = [
        RunStarted(run_id="r", agent=None, at=0, name=KEPT, parent_run_id=None),
        CallStarted(run_id="r", agent=KEPT, at=0, call_id="c", model=KEPT, turn=1),
        CallRetried(run_id="r", agent=KEPT, at=0, call_id="c", attempt=1, wait_s=1, reason=KEPT),
        Notice(run_id="r", agent=KEPT, at=0, code="X", message=KEPT),
    ]
    tally = Tally()
    with progress(Screen(file=page, width=4_000), tally) as emit:
        for event in events:
            emit(event)
    Screen(file=page, width=4_000).print(tally.table())
    assert not driving(page.getvalue())
    assert page.getvalue().count("\n") == 3 + 2  # a line an event that is told, then the table's two


def test_a_question_for_approval_shows_every_character_of_the_arguments():
    request = ApprovalRequest(
        run_id="r",
        agent=KEPT,
        tool=KEPT,
        tool_use_id="t",
        idempotency_key="k",
        arguments={"to": EVERYTHING, EVERYTHING: 1},
    )
    assert not driving(question(request))
    assert question(request).count("\n") == 4  # none of them from an argument


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_reply_is_whole_in_a_pipe_and_harmless_on_a_terminal(monkeypatch):
    reply = "\x1b[1mbold\x1b[0m family \U0001f468\u200d\U0001f467 \u0645\u06cc\u200c\u062e \x9b2J\u202e\n"
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        monkeypatch.setattr(sys, "stdout", stream)
        saying.hand_over(reply, prose=True)
    assert pipe.getvalue() == reply
    assert terminal.getvalue() == (
        "\\x1b[1mbold\\x1b[0m family \U0001f468\u200d\U0001f467 \u0645\u06cc\u200c\u062e \\x9b2J\\u202e\n"
    )


PROGRAM = """
from agentcache import Agent, Prompt
bell = Agent(name="bell", model="claude-haiku-5-5", prompt=Prompt(static="Ring."))
def emulated_replies(request):
    return "\\x1b]52;c;cm0=\\x07done \\x9b2J"
"""


def test_a_model_that_answers_with_escape_sequences_does_not_reach_a_real_terminal(tmp_path):
    (tmp_path / "bell.py").write_text(PROGRAM)
    main, ours = pty.openpty()
    command = [sys.executable, "-m", "agentcache", "run", "bell.py:bell", "ring", "--emulate", "--db", "memory:"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    try:
        with subprocess.Popen(command, cwd=tmp_path, stdout=ours, stderr=subprocess.PIPE, env=environment) as process:
            os.close(ours)
            shown = b""
            while chunk := _read(main):
                shown += chunk
        assert process.returncode == 0
    finally:
        os.close(main)
    assert rb"\x1b]52;c;cm0=\x07done \x9b2J" in shown
    assert b"\x1b]" not in shown
    assert b"\x07" not in shown
    assert "\x9b".encode() not in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # how Linux says that nobody writes to it any more
        return b""


def _printers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"typer.echo", "typer.secho", "click.echo"}:
            found.add(ast.unparse(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "Console"}:
            found.add(node.func.id)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout.write", "sys.stderr.write"}:
            found.add(ast.unparse(node))
    return found


def test_the_command_line_prints_in_two_places_only():
    files = (ROOT / "agentcache" / "cli").glob("*.py")
    printers = {path.name: found for path in files if (found := _printers(path))}
    assert printers == {"saying.py": {"typer.echo", "sys.stdout.write"}}


@pytest.mark.parametrize(("text", "wide"), [("abc", 3), ("e\u0301t\u00e9", 3), ("\u6f22\u5b57", 4)])
def test_a_text_takes_as_many_columns_as_a_terminal_gives_it(text: str, wide: int):
    assert columns(text) == wide
