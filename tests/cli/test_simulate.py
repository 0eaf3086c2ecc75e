"""`agentcache simulate`: recorded traffic in, policies beside the bound out, errors in one sentence."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import Result

from tests.cli.test_progress import _read_all

Cli = Callable[..., Result]

LONG = "word " * 2000
ALL = ["off", "automatic", "fixed-5m", "fixed-1h-prefix", "fixed-1h", "layers", "auto"]


def body(*texts: str, **fields: object) -> dict[str, object]:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": messages, **fields}


def write(path: Path, *lines: Mapping[str, object]) -> str:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return str(path)


def told(total: int) -> dict[str, object]:
    return {"usage": {"input_tokens": total, "cache_read_input_tokens": None, "output_tokens": 9}}


@pytest.fixture
def log(tmp_path: Path) -> str:
    lines = [
        {"t": 0, "agent": "a", "request": body(LONG), "response": told(3000)},
        {"t": 60, "agent": "b", "request": body(LONG, "ok", "on"), "response": told(3010)},
    ]
    return write(tmp_path / "log.jsonl", *lines)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    messages = [{"role": "user", "content": [{"type": "text", "text": LONG}]}, {"role": "assistant", "content": []}]
    agents = [
        {"name": name, "model": None, "system": None, "tools": None, "system_known": False} for name in ("one", "two")
    ]
    threads = [{"id": name, "agent": name, "reason": "start", "messages": messages} for name in ("one", "two")]
    calls = [{"thread": name, "agent": name, "in": 1, "model": "gpt-4o"} for name in ("one", "two", "one")]
    return write(tmp_path / "trace.jsonl", {"trace_id": "t", "agents": agents, "threads": threads, "calls": calls})


def policies(result: Result) -> dict[str, dict[str, object]]:
    assert result.exit_code == 0, result.output
    return {policy["name"]: policy for policy in json.loads(result.stdout)["policies"]}


def test_json_has_every_policy_and_nothing_beside_it(cli: Cli, log: str) -> None:
    result = cli("simulate", log, "--format", "json")
    assert list(policies(result)) == [*ALL, "recorded"]
    assert Decimal(json.loads(result.stdout)["bound_usd"]) > 0
    assert result.stderr == ""


def test_the_table_shows_costs_and_ratios(cli: Cli, log: str) -> None:
    result = cli("simulate", log, "--policy", "off", "--policy", "fixed-5m")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line.split()[0] for line in lines] == ["policy", "off", "fixed-5m", "bound"]
    assert all(re.search(r"\$\d+\.\d{4} +\d+\.\d{3}$", line) for line in lines[1:])


def test_traces_have_no_markers_to_keep(cli: Cli, trace: str) -> None:
    assert list(policies(cli("simulate", trace, "--format", "json", "--model", "claude-opus-5"))) == ALL


def test_only_the_policies_asked_for_are_billed(cli: Cli, log: str) -> None:
    assert list(policies(cli("simulate", log, "--format", "json", "--policy", "recorded", "--policy", "off"))) == [
        "recorded",
        "off",
    ]


def test_per_call_adds_every_calls_buckets(cli: Cli, log: str) -> None:
    plain = policies(cli("simulate", log, "--format", "json", "--policy", "off"))["off"]
    detailed = policies(cli("simulate", log, "--format", "json", "--policy", "off", "--per-call"))["off"]
    details = detailed.pop("calls_detail")
    assert detailed == plain
    assert isinstance(details, list)
    assert [(detail["t"], detail["agent"], detail["output_tokens"]) for detail in details] == [
        (0, "a", 9),
        (60, "b", 9),
    ]


def test_recorded_totals_take_the_place_of_estimates(cli: Cli, log: str) -> None:
    words = ("simulate", log, "--format", "json", "--policy", "off", "--totals")
    assert policies(cli(*words, "recorded"))["off"]["uncached_input_tokens"] == 6010
    assert policies(cli(*words, "estimated"))["off"]["uncached_input_tokens"] != 6010


def test_calls_without_a_recorded_total_are_named_and_estimated(cli: Cli, tmp_path: Path) -> None:
    lines = [{"t": 0, "request": body(LONG), "response": told(3000)}, {"t": 1, "request": body(LONG)}]
    log = write(tmp_path / "log.jsonl", *lines)
    result = cli("simulate", log, "--format", "json", "--policy", "off", "--totals", "recorded")
    assert 5000 < int(str(policies(result)["off"]["uncached_input_tokens"])) < 5200
    assert result.stderr == "1 call has no recorded usage, so the length of the prompt is estimated\n"


def test_a_dump_is_a_log_of_what_the_policy_sends(cli: Cli, log: str, tmp_path: Path) -> None:
    dump = str(tmp_path / "dump.jsonl")
    first = policies(cli("simulate", log, "--format", "json", "--policy", "layers", "--dump-requests", dump))["layers"]
    again = policies(cli("simulate", dump, "--format", "json", "--policy", "recorded"))["recorded"]
    assert {**again, "name": "layers"} == first


def test_a_dump_is_of_one_policy(cli: Cli, log: str, tmp_path: Path) -> None:
    dump = str(tmp_path / "dump.jsonl")
    for words in ((), ("--policy", "off", "--policy", "auto")):
        result = cli("simulate", log, *words, "--dump-requests", dump)
        assert result.exit_code == 2
        assert result.stderr == (
            "agentcache: --dump-requests writes what one policy sends; name it with one --policy\n"
        )
    assert not Path(dump).exists()


def test_a_prefix_makes_up_for_what_a_trace_lacks(cli: Cli, trace: str, tmp_path: Path) -> None:
    (tmp_path / "prefix.json").write_text(json.dumps({"system": LONG, "tools": []}))
    words = ("simulate", trace, "--format", "json", "--policy", "off", "--model", "claude-opus-5")
    bare = cli(*words)
    completed = cli(*words, "--prefix", str(tmp_path / "prefix.json"))
    assert bare.stderr == "2 agents' system prompt and tools were not recorded; --prefix FILE adds them\n"
    assert completed.stderr == ""
    tokens = [int(str(policies(result)["off"]["uncached_input_tokens"])) for result in (bare, completed)]
    assert tokens[1] > tokens[0] * 1.9


def test_seeds_and_arrivals_choose_the_pauses(cli: Cli, tmp_path: Path) -> None:
    text = [{"type": "text", "text": LONG}]
    messages = [{"role": role, "content": text} for role in ("user", "assistant") * 30]
    agents = [{"name": "one", "model": "claude-opus-5", "system": None, "tools": None, "system_known": True}]
    calls = [{"thread": "one", "agent": "one", "in": upto} for upto in range(1, 60, 2)]
    threads = [{"id": "one", "agent": "one", "reason": "start", "messages": messages}]
    trace = write(tmp_path / "t.jsonl", {"trace_id": "t", "agents": agents, "threads": threads, "calls": calls})

    def cost(*words: str) -> object:
        return policies(cli("simulate", trace, "--format", "json", "--policy", "fixed-5m", *words))["fixed-5m"]

    assert cost() == cost("--arrivals", "brisk") == cost("--arrivals", "brisk", "--seed", "1")
    assert cost("--arrivals", "wandering") == cost("--arrivals", "wandering", "--seed", "0")
    assert cost("--arrivals", "wandering") != cost("--arrivals", "wandering", "--seed", "1")


def test_a_model_without_a_price_leaves_costs_out(cli: Cli, tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", {"t": 0, "request": {**body(LONG), "model": "gpt-4o"}})
    result = cli("simulate", log, "--format", "json", "--policy", "off")
    assert json.loads(result.stdout)["bound_usd"] is None
    assert policies(result)["off"]["cost_usd"] is None
    assert result.stderr == "no price is known for gpt-4o: costs and the bound are left out\n"
    assert "unpriced" in cli("simulate", log, "--policy", "off").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["missing.jsonl"], "cannot read missing.jsonl: No such file or directory"),
        (["."], "cannot read .: Is a directory"),
        (["broken.jsonl"], "broken.jsonl, line 1: not JSON"),
        (["cut.jsonl.gz"], "cannot read cut.jsonl.gz: "),
        (["log.jsonl", "--policy", "best"], "there is no policy 'best'; there are off, automatic"),
        (["log.jsonl", "--model", "gpt-4o"], "--model gpt-4o: no such model is known"),
        (["log.jsonl", "--prefix", "missing.json"], "cannot read the prefix missing.json: No such file"),
        (["log.jsonl", "--policy", "off", "--dump-requests", "no/dump.jsonl"], "cannot write no/dump.jsonl: No such"),
        (["trace.jsonl"], "trace.jsonl, line 1 (t) names no Claude model; say which one to bill with --model"),
        (["trace.jsonl", "--model", "claude-opus-5", "--totals", "recorded"], "no call of this traffic has a recorded"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    cli: Cli, tmp_path: Path, log: str, trace: str, words: list[str], sentence: str
) -> None:
    (tmp_path / "broken.jsonl").write_text("{\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00")
    result = cli("simulate", *words)
    said = result.stderr.splitlines()
    assert result.exit_code == 2
    assert said[-1].startswith(f"agentcache: {sentence}")
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_a_terminal_sees_how_far_it_is_and_a_pipe_does_not(log: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agentcache", "simulate", log, "--format", "json"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = _read_all(ours)
        assert process.stdout is not None
        stdout = process.stdout.read()
    piped = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60)

    assert process.returncode == 0, seen
    assert "billing" in seen
    assert "100%" in seen
    assert piped.stderr == b""
    assert piped.stdout == stdout
