"""`agentcache explain` on sessions without requests: traces, Claude Code's transcripts, and imported rows of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agentcache.cli import app
from tests.accounting.test_claude_code import SESSION, assistant, usage, user
from tests.simulate.recordings import TRACES, needs_traces, trace, write_lines
from tests.simulate.recordings import assistant as answer
from tests.simulate.recordings import user as asked

T0 = "2026-02-18T11:30:00+00:00"


def explained(*arguments: object, exit_code: int = 1) -> Result:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


def told(*arguments: object, exit_code: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(explained(*arguments, "--format", "json", exit_code=exit_code).stdout)
    return found


def traced(path: Path, *reads: int, gap_s: float = 400.0) -> Path:
    """Write a trace whose calls each write up to 1,000 tokens for five minutes, `gap_s` apart."""
    turns = [message for _ in reads for message in (asked("And now?"), answer("This."))]
    calls: list[dict[str, Any]] = [
        {
            "in": 2 * place + 1,
            "t_req": gap_s * place,
            "t_end": gap_s * place + 2,
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 1000 - read,
                "cache_read_input_tokens": read,
                "output_tokens": 5,
            },
        }
        for place, read in enumerate(reads)
    ]
    return write_lines(path, [trace(turns, calls, t0=T0)])


SESSION_LINES = [
    user("u1", None, 1),
    assistant("a1", "u1", 2, "msg_1", usage=usage(hour=1000)),
    user("u2", "a1", 5),
    assistant("a2", "u2", 6, "msg_2", usage=usage(hour=1100)),
]


def test_a_trace_is_explained_by_what_was_billed_and_when(tmp_path: Path) -> None:
    found = told("--log", traced(tmp_path / "traces.jsonl", 0, 0, 1000))

    (finding,) = found["findings"]
    assert (finding["cause"], finding["code"], finding["severity"]) == ("expired", "PC050", "info")
    assert (finding["where"], finding["lost_tokens"], finding["gap_s"]) == ("ttl", 1000, 400)
    assert {"call", "where", "cause", "code", "lost_tokens", "lost_usd", "fix", "path", "agent", "layer"} <= set(
        finding
    )
    assert (found["calls"], found["followed"]) == (3, 2)
    assert found["shares"] == [
        {"cause": "expired", "certainty": "explained", "code": "PC050", "calls": 1, "lost_tokens": 1000}
    ]


def test_the_page_for_people_ends_with_shares(tmp_path: Path) -> None:
    page = explained("--log", traced(tmp_path / "traces.jsonl", 0, 0)).stdout

    assert "expired PC050" in page
    assert "1,000 tokens were cached for 300 s and had last been used 400 s before." in page
    assert "2 calls; 1 carry another one on; 1 fell short" in page


def test_a_trace_that_read_all_has_no_finding_and_no_table(tmp_path: Path) -> None:
    result = explained("--log", traced(tmp_path / "traces.jsonl", 0, 1000, gap_s=10), exit_code=0)

    assert result.stdout.startswith("No call read less")
    assert "fell short" not in result.stdout


def test_a_trace_without_usage_cannot_be_explained_and_says_so(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "traces.jsonl", [trace([asked("hi"), answer("ho")], [{"in": 1}], t0=T0)])

    result = explained("--log", path, exit_code=2)

    assert "has a time and usage" in result.output


def test_a_folder_of_sessions_is_read_and_a_line_cut_off_is_counted(tmp_path: Path) -> None:
    path = write_lines(tmp_path / f"{SESSION}.jsonl", SESSION_LINES)
    with path.open("a") as file:
        file.write('{"type":"assistant","uuid":"a3","mess')

    result = explained("--log", tmp_path, "--format", "json")

    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["cause"], finding["code"], finding["certainty"]) == ("head_changed", None, "narrowed")
    assert "1 line left out: is no JSON object" in result.stderr


@pytest.mark.parametrize("kind", ["session", "trace"])
def test_what_was_imported_is_explained_from_the_ledger_as_from_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.jsonl"
    if kind == "session":
        write_lines(path, SESSION_LINES)
    else:
        traced(path, 0, 0, 1000)
    db = tmp_path / "ledger.db"
    assert CliRunner().invoke(app, ["import", str(path), "--db", str(db)]).exit_code == 0

    (from_file,) = told("--log", path)["findings"]
    (from_run,) = told("--run", from_file["run"], "--db", db)["findings"]
    (from_call,) = told("--call", from_file["call"], "--db", db)["findings"]

    assert from_run == from_call
    assert {**from_run, "path": str(path), "line": None, "column": None} == from_file


@needs_traces
def test_recorded_calls_that_fell_short_are_accounted_for() -> None:
    found = told("--log", TRACES / "pi_coding.jsonl.gz")

    assert (found["calls"], found["followed"]) == (452, 438)
    assert Counter(finding["cause"] for finding in found["findings"]) == {"head_changed": 33, "expired": 4}
    assert {finding["certainty"] for finding in found["findings"]} == {"explained", "narrowed"}


@needs_traces
def test_few_recorded_calls_of_teams_stay_unexplained() -> None:
    found = told("--log", TRACES / "claude_code_multi.jsonl.xz")

    known = Counter(finding["certainty"] for finding in found["findings"])
    assert len(found["findings"]) == 125
    assert known["explained"] > 90
    assert known["unexplained"] <= 6


@needs_traces
def test_a_family_without_recorded_usage_is_refused() -> None:
    explained("--log", TRACES / "tau_airline.jsonl.gz", exit_code=2)
