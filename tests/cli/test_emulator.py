from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import Result

Cli = Callable[..., Result]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `agentcache emulator` and give its address."""
    command = [sys.executable, "-c", "from agentcache.cli import main; main()", "emulator", *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def served(team: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `agentcache emulator` with a script, and its address."""
    with serving(team, "--replies", "team.py:calm", "--faults", "529@2") as running:
        yield running


def post(base_url: str, body: dict[str, object]) -> urllib.request.Request:
    headers = {"content-type": "application/json", "x-api-key": "any", "anthropic-version": "2023-06-01"}
    return urllib.request.Request(f"{base_url}/v1/messages", json.dumps(body).encode(), headers)


def test_it_answers_messages_with_its_script_and_fails_as_told(served: tuple[subprocess.Popen[str], str]) -> None:
    _, base_url = served
    body = {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
    request = post(base_url, body)

    with urllib.request.urlopen(request, timeout=30) as response:
        reply = json.load(response)

    assert reply["content"][0]["text"] == "calm"
    with pytest.raises(urllib.error.HTTPError, match="529"):
        urllib.request.urlopen(request, timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_well_when_asked(served: tuple[subprocess.Popen[str], str], number: signal.Signals) -> None:
    process, _ = served

    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)

    assert process.returncode == 0
    assert stderr.splitlines()[-1] == "stopped"


def test_a_fault_that_means_nothing_is_one_sentence(cli: Cli) -> None:
    result = cli("emulator", "--faults", "sometimes")

    assert result.exit_code == 2
    assert "'sometimes' is no fault" in result.stderr


def test_a_port_that_is_taken_is_one_sentence(served: tuple[subprocess.Popen[str], str], cli: Cli) -> None:
    port = served[1].rsplit(":", 1)[1]

    result = cli("emulator", "--port", port)

    assert result.exit_code == 2
    assert "choose another port" in result.stderr


def test_a_recording_answers_as_it_was_recorded(tmp_path: Path) -> None:
    body = {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
    content = [{"type": "text", "text": "As recorded."}]
    response = {"id": "msg_1", "content": content, "stop_reason": "end_turn", "usage": {}}
    (tmp_path / "log.jsonl").write_text(json.dumps({"t": 0, "request": body, "response": response}))

    with (
        serving(tmp_path, "--replies", "log.jsonl") as (_, base_url),
        urllib.request.urlopen(post(base_url, body), timeout=30) as answer,
    ):
        assert json.load(answer)["content"][0]["text"] == "As recorded."
