"""`agentcache explain` on small logs: what it prints and how it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentcache.cli.app import app

RULES = "Answer in one sentence, and name the file that you mean. " * 200


def write_log(path: Path, systems: Sequence[str], *, read: Sequence[int]) -> Path:
    lines = []
    for index, system in enumerate(systems):
        turns = [
            {"role": "user" if turn % 2 == 0 else "assistant", "content": f"turn {turn}"}
            for turn in range(index * 2 + 1)
        ]
        request = {
            "model": "claude-opus-5",
            "max_tokens": 100,
            "cache_control": {"type": "ephemeral"},
            "system": [{"type": "text", "text": system}],
            "messages": turns,
        }
        usage = {
            "input_tokens": 1,
            "cache_read_input_tokens": read[index],
            "cache_creation_input_tokens": 3000 - read[index],
            "output_tokens": 5,
        }
        lines.append(json.dumps({"t": 20.0 * index, "request": request, "response": {"usage": usage}}))
    path.write_text("\n".join(lines))
    return path


def test_a_clock_in_the_system_prompt_is_told_at_the_first_call_that_missed(tmp_path: Path) -> None:
    systems = [f"Now: 10:2{minute}\n{RULES}" for minute in range(3)]
    log = write_log(tmp_path / "log.jsonl", systems, read=[0, 0, 0])
    result = CliRunner().invoke(app, ["explain", "--log", str(log), "--format", "json"])
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["code"], finding["call"], finding["where"]) == ("PC001", 1, "system[0]")
    assert (finding["cause"], finding["continues"], finding["calls"]) == ("system_changed", 0, 2)
    assert (finding["before"], finding["after"]) == ("10:20", "10:21")
    assert finding["lost_tokens"] == 6000
    assert finding["lost_usd"] == "0.0345"  # 6,000 tokens written at 6.25 instead of read at 0.50 per million


def test_a_growing_conversation_is_told_as_nothing(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", [RULES] * 3, read=[0, 3000, 3000])
    result = CliRunner().invoke(app, ["explain", "--log", str(log)])
    assert result.exit_code == 0
    assert result.stdout == "3 calls, nothing to explain: each read what it could.\n"


def test_the_text_shows_what_changed_and_the_fix(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", [f"Step {step} of 9\n{RULES}" for step in (1, 2)], read=[0, 0])
    result = CliRunner().invoke(app, ["explain", "--log", str(log)])
    assert "PC008 error: call 1: counter in prefix at system[0]" in result.stdout
    assert "  - 1\n  + 2\n" in result.stdout
    assert "fix: append the counter" in result.stdout


@pytest.mark.parametrize("content", ["", "not json"])
def test_a_file_without_calls_is_one_sentence_and_exit_code_2(tmp_path: Path, content: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(content)
    result = CliRunner().invoke(app, ["explain", "--log", str(log)])
    assert result.exit_code == 2
    assert result.stderr.startswith("agentcache: ")
