"""`agentcache run --approve`: who decides, and what a person at the terminal is shown."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from agentcache import ApprovalRequest, Decision
from agentcache.cli.approving import Approving, TerminalApprover, answer_to, approver_for, question

PAYING = '''
from agentcache import Agent, Prompt, tool


@tool(approval=True)
async def pay(euros: int) -> str:
    """Pay."""
    return "paid"


clerk = Agent(name="clerk", model="claude-haiku-5-5", prompt=Prompt(static="You pay."), tools=[pay])


def emulated_replies(request):
    last = request["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        return str(last["content"])
    return [{"type": "tool_use", "name": "pay", "input": {"euros": 5}}]
'''


def asked(tool: str = "pay", **arguments: str | int | bool) -> ApprovalRequest:
    return ApprovalRequest(
        run_id="r", agent="clerk", tool=tool, arguments=dict(arguments), tool_use_id="t", idempotency_key="r:t"
    )


def test_a_question_says_who_wants_to_do_what():
    assert question(asked(payee="Köln", euros=240, rush=True)) == (
        '\nclerk asks to run pay\n  payee = "Köln"\n  euros = 240\n  rush = true\nApprove? [y/N, or why not] '
    )
    assert "pay (no arguments)" in question(asked())


@given(st.text(), st.text())
def test_nothing_that_a_model_writes_can_move_the_cursor_or_begin_a_line(name, value):
    shown = question(asked(**{name: value}))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert shown.count("\n") == 3


def test_what_looks_like_text_but_hides_or_turns_it_is_escaped():
    shown = question(asked(payee="Ana\u202e\x1b[2K\x9b1m\u200b\ud800"))
    assert shown.count("\\u202e\\u001b[2K\\x9b1m\\u200b\\ud800") == 1


@pytest.mark.parametrize(
    ("typed", "decision"),
    [
        ("y\n", Decision(True)),
        (" YES \n", Decision(True)),
        ("\n", Decision(False)),
        ("", Decision(False)),
        ("No\n", Decision(False)),
        ("yes, but not today\n", Decision(False, reason="yes, but not today")),
    ],
)
async def test_only_a_plain_yes_approves(typed, decision):
    async def answer(text: str) -> str:
        return str(typed)

    approver = TerminalApprover(ask=answer)
    assert await approver.decide(asked()) == decision


async def test_one_question_at_a_time():
    shown: list[str] = []
    lines: asyncio.Queue[str] = asyncio.Queue()

    async def answer(text: str) -> str:
        shown.append(text)
        return await lines.get()

    approver = TerminalApprover(ask=answer)
    both = [asyncio.create_task(approver.decide(asked(tool=name))) for name in ("first", "second")]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [("first" in text, "second" in text) for text in shown] == [(True, False)]
    lines.put_nowait("y")
    lines.put_nowait("n")
    assert await asyncio.gather(*both) == [Decision(True), Decision(False)]


async def test_what_was_typed_before_the_question_is_no_answer():
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"y\n")
        type_answer = partial(os.write, ours, "nicht jetzt ✓\n".encode())
        assert (await answer_to("?", show=lambda text: print(type_answer()), stdin=theirs)).strip() == "nicht jetzt ✓"
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_a_terminal_nobody_is_asked():
    made = approver_for(Approving.ASK, interactive=False, show=print, stdin=0)
    assert made is None


@pytest.mark.parametrize(
    ("options", "exit_code", "says"),
    [
        (["--approve", "all"], 0, "paid"),
        (["--approve", "none"], 0, "Reason: this run approves nothing"),
        ([], 2, "run it on a terminal or with `agentcache run --approve all|none`"),
    ],
)
def test_a_run_without_a_terminal_takes_its_approval_from_the_command_line(
    cli: Callable[..., Result], options, exit_code, says
):
    Path("paying.py").write_text(PAYING)
    result = cli("run", "paying.py:clerk", "go", "--emulate", *options)
    assert result.exit_code == exit_code
    assert says in result.output


@pytest.mark.slow
def test_a_person_at_the_terminal_is_asked_and_answers(tmp_path):
    (tmp_path / "paying.py").write_text(PAYING)
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "agentcache", "run", "paying.py:clerk", "go", "--emulate"]
        with subprocess.Popen(command, cwd=tmp_path, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as process:
            shown = b""
            while b"why not]" not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, b"y\n")
            output, _ = process.communicate(timeout=30)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"clerk asks to run pay\r\n  euros = 5\r\n" in shown
    assert output.startswith(b"paid\n")
