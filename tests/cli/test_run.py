"""`agentcache run` against the loopback emulator: what it prints, keeps and returns."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Cli = Callable[..., Result]
Shell = Callable[..., subprocess.CompletedProcess[str]]


def _object(result: Result) -> dict[str, object]:
    body: dict[str, object] = json.loads(result.stdout)
    return body


def test_the_modules_own_script_answers_and_that_is_said_plainly(cli: Cli) -> None:
    result = cli("run", "team.py:support", "hello", "--emulate")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("heard: hello\n")
    assert "Not Claude: the script emulated_replies of team answers, on a loopback emulator." in result.stderr


def test_the_table_at_the_end_names_the_agent(cli: Cli) -> None:
    result = cli("run", "team.py:support", "where is my order?", "--emulate")

    assert "it is on its way" in result.stdout
    [row] = [line for line in result.stdout.splitlines() if line.startswith("support")]
    assert "2" in row.split()


def test_progress_goes_to_stderr_as_plain_lines(cli: Cli) -> None:
    result = cli("run", "team.py:support", "where is my order?", "--emulate")

    assert "support: tool look_up ok" in result.stderr
    assert "support: call 1: prompt" in result.stderr
    assert "tool look_up" not in result.stdout


def test_another_script_can_be_named(cli: Cli) -> None:
    assert cli("run", "team.py:support", "hello", "--emulate", "team.py:calm").stdout.startswith("calm\n")
    assert cli("run", "team.py:support", "hello", "--emulate=team:calm").stdout.startswith("calm\n")


def test_without_any_script_an_echo_answers(cli: Cli) -> None:
    Path("plain.py").write_text("from team import support\n")

    result = cli("run", "plain.py:support", "hello", "--emulate")

    assert result.stdout.startswith("hello\n")
    assert "an echo of the last message (plain has no emulated_replies)" in result.stderr


def test_json_is_one_object_on_stdout(cli: Cli) -> None:
    result = cli("run", "team.py:judge", "this", "--emulate", "--db", "other.db", "--json")

    body = _object(result)
    assert body["output"] == {"word": "good", "score": 0.5}
    assert str(body["run_id"]).startswith("run_")
    report = body["report"]
    assert isinstance(report, dict)
    assert [row["agent"] for row in report["rows"]] == ["judge"]
    assert Path("other.db").is_file()
    assert not Path(".agentcache").exists()


def test_a_workflow_takes_its_arguments_by_their_types(cli: Cli) -> None:
    assert _object(cli("run", "team.py:both", "hi", "2", "--emulate", "--json"))["output"] == "heard: hi | heard: hi"
    body = _object(cli("run", "team.py:measure", "team.py", "--emulate", "--json"))
    assert body["output"] == {"characters": len(Path("team.py").read_text())}


def test_variables_of_session_and_turn_come_from_the_command_line(cli: Cli) -> None:
    words = ("run", "team.py:greeter", "hello", "--emulate", "--json")

    given = cli(*words, "--session", "customer=Ana", "--turn", "daytime=noon", "--record-requests", "log.jsonl")

    assert given.exit_code == 0, given.output
    [line] = Path("log.jsonl").read_text().splitlines()
    request = json.loads(line)["request"]
    assert "The customer is Ana." in json.dumps(request["system"])
    assert "It is noon." in json.dumps(request["messages"])


def test_a_conversation_goes_on_in_the_next_command(cli: Cli) -> None:
    words = ("--emulate", "--conversation", "c-42", "--keep-text", "--record-requests", "log.jsonl")

    cli("run", "team.py:support", "hello", *words)
    cli("run", "team.py:support", "again", *words)

    second = json.loads(Path("log.jsonl").read_text().splitlines()[1])["request"]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]


def test_the_ledger_can_be_reported_afterwards(cli: Cli) -> None:
    cli("run", "team.py:support", "hello", "--emulate")

    report = json.loads(cli("report", "--format", "json").stdout)

    assert [(row["agent"], row["calls"]) for row in report["rows"]] == [("support", 1)]


def test_settings_come_from_the_environment_and_pyproject(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pyproject.toml").write_text('[tool.agentcache]\ndb_url = "file.db"\n')
    cli("run", "team.py:support", "hello", "--emulate")
    monkeypatch.setenv("AGENTCACHE_DB_URL", "environment.db")
    cli("run", "team.py:support", "hello", "--emulate")

    assert Path("file.db").is_file()
    assert Path("environment.db").is_file()


def test_a_dollar_bound_ends_the_run_and_what_was_spent_is_still_told(cli: Cli) -> None:
    result = cli("run", "team.py:both", "hi", "50", "--emulate", "--max-usd", "0.2", "--json")

    assert result.exit_code == 1
    body = _object(result)
    assert body["output"] is None
    assert "limit" in str(body["error"])
    report = body["report"]
    assert isinstance(report, dict)
    assert 1 <= report["total"]["calls"] < 50
    assert "agentcache: " in result.stderr


def test_an_error_in_the_workflow_names_its_line(cli: Cli) -> None:
    result = cli("run", "team.py:broken", "--emulate")

    assert result.exit_code == 1
    assert "agentcache: ZeroDivisionError: division by zero at team.py, line " in result.stderr
    assert "AGENTCACHE_TRACEBACK=1 shows the traceback" in result.stderr
    assert "support" in result.stdout


def test_a_result_without_json_form_is_shown_as_text_and_an_error_as_json(cli: Cli) -> None:
    shown = cli("run", "team.py:opaque", "--emulate")
    refused = cli("run", "team.py:opaque", "--emulate", "--json")

    assert (shown.exit_code, refused.exit_code) == (0, 1)
    assert "<class 'agentcache.workflow.run.Run'>" in shown.stdout
    assert "the result is of type type, which has no JSON form" in str(_object(refused)["error"])


def test_a_script_that_fails_is_told_as_itself(cli: Cli) -> None:
    result = cli("run", "team.py:support", "hello", "--emulate", "team.py:failing")

    assert result.exit_code == 1
    assert "agentcache: LookupError: no reply for this at team.py, line " in result.stderr


def test_without_a_key_the_sentence_says_what_to_set(cli: Cli) -> None:
    result = cli("run", "team.py:support", "hello")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("agentcache: no ANTHROPIC_API_KEY is set")
    assert "--emulate" in result.stderr
    assert not Path(".agentcache").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere.py:support", "hello"), "there is no file 'nowhere.py'"),
        (("team.py:suport", "hello"), "did you mean 'support'?"),
        (("team.py:Verdict", "hello"), "not an Agent or a workflow; decorate it with @workflow"),
        (
            ("team.py:TIMES", "hello"),
            "is of type int, not an Agent or a workflow; it defines both, broken, greeter",
        ),
        (("team.py:support",), "agent 'support' takes one INPUT, but 0 were given"),
        (("team.py:both",), "workflow 'both' takes WORD [TIMES], but 0 INPUTs were given"),
        (("team.py:both", "hi", "many"), "'many' is no int for TIMES"),
        (("team.py:both", "hi", "--session", "a=b"), "leave out --session"),
        (("team.py:greeter", "hello"), "needs 'customer'"),
        (("team.py:greeter", "hello", "--session", "Ana"), "--session 'Ana' is not of the form name=value"),
        (("team.py:support", "hello", "--conversation", "c-42"), "add --keep-text to keep it"),
        (("team.py:support", "hello", "--db", "mongodb://x"), "mongodb"),
        (("team.py:support", "hello", "--db", "."), "names no database"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_and_exit_code_2(cli: Cli, words: tuple[str, ...], sentence: str) -> None:
    result = cli("run", *words, "--emulate")

    assert result.exit_code == 2, result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith("agentcache: ")
    assert sentence in last


def test_a_broken_database_is_one_sentence(cli: Cli) -> None:
    Path("broken.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)

    result = cli("run", "team.py:support", "hello", "--emulate", "--db", "broken.db")

    assert result.exit_code == 2
    assert "broken.db" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_an_import_that_fails_is_one_sentence_with_its_place(shell: Shell) -> None:
    Path("bad.py").write_text("x = 1\nraise RuntimeError('no luck')\n")

    result = shell("run", "bad.py:agent", "hello", "--emulate")

    assert result.returncode == 2
    assert result.stderr == "agentcache: bad.py, line 2 cannot be imported: RuntimeError: no luck\n"


def test_a_broken_template_names_template_and_line(shell: Shell) -> None:
    Path("bad.py").write_text(
        "from agentcache import Agent, Prompt\n"
        "a = Agent(name='a', model='claude-haiku-5-5', prompt=Prompt(static='one\\ntwo {{ x'))\n"
    )

    result = shell("run", "bad.py:a", "hello", "--emulate")

    assert result.returncode == 2
    assert "bad.py, line 2" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_usage_error_is_exit_code_2_without_traceback(shell: Shell) -> None:
    result = shell("run", "team.py:support", "--no-such-option")

    assert result.returncode == 2
    assert "No such option" in result.stderr
    assert "Traceback" not in result.stderr
