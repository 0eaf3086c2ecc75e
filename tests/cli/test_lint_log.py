"""`agentcache lint --log`: what `explain` finds, in the linter's form, and markers that the API refuses or ignores."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.mistakes import MISTAKES
from agentcache.cli.lint_log import log_findings
from agentcache.errors import TargetError
from agentcache.simulate.explained_logs import logged_calls

CORPUS = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[3] / "shared")) / "explain-corpus" / "dev"
LONG = "Rules of the house. " * 900
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def body(**changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "system": [text(LONG, cache_control=MARK)],
        "messages": [{"role": "user", "content": "Hello"}],
        **changes,
    }


MARKED = text("x", cache_control=MARK)


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    """Write a request log of bodies, a minute apart, and return its path."""

    def write(*bodies: dict[str, Any], agent: str = "desk") -> Path:
        lines = [json.dumps({"t": 60.0 * at, "agent": agent, "request": each}) for at, each in enumerate(bodies)]
        path = tmp_path / "requests.jsonl"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def told(path: Path) -> list[tuple[str, str | None, str]]:
    return [(finding.code, finding.where, finding.cause) for finding in log_findings(path)]


def test_a_cause_of_misses_is_a_finding_with_its_place_in_the_log(log: Callable[..., Path]):
    stamped = [text(f"You help. Current time: 2026-11-20 10:0{at}:00. {LONG}", cache_control=MARK) for at in range(3)]
    asked = [[{"role": "user", "content": f"Question {at}"}] for at in range(3)]
    path = log(*(body(system=[system], messages=messages) for system, messages in zip(stamped, asked, strict=True)))
    (found,) = log_findings(path)
    assert (found.code, found.where, found.place.path, found.place.line) == ("PC001", "system[0]", str(path), 2)
    assert (found.call, found.calls, found.agent) == (1, 2, "desk")
    assert found.to_json()["cause"] == "system_changed"
    assert {"code", "name", "severity", "path", "line", "column", "agent", "layer"} <= set(found.to_json())


@pytest.mark.parametrize(
    ("changes", "where", "cause"),
    [
        ({"system": [text(LONG, cache_control=MARK)] * 5}, "system[4]", "too_many_markers"),
        ({"system": [text(LONG, cache_control=MARK)] * 4, "cache_control": MARK}, "cache_control", "too_many_markers"),
        ({"system": [text(LONG, cache_control=MARK), text(LONG, cache_control=HOUR)]}, "system[1]", "ttl_order"),
        ({"cache_control": HOUR}, "cache_control", "ttl_order"),
        ({"system": [text(LONG), text("", cache_control=MARK)]}, "system[1]", "misplaced_marker"),
        ({"messages": [{"role": "user", "content": "Hi", "cache_control": MARK}]}, "messages[0]", "misplaced_marker"),
        (
            {"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": "", "cache_control": MARK}]}]},
            "messages[0].content[0]",
            "misplaced_marker",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "t", "content": [MARKED]}],
                    }
                ]
            },
            "messages[0].content[0].content[0]",
            "misplaced_marker",
        ),
        (
            {"tools": [{"name": "a", "input_schema": {}, "defer_loading": True, "cache_control": MARK}]},
            "tools[0]",
            "misplaced_marker",
        ),
    ],
)
def test_markers_that_the_api_refuses_or_drops(
    log: Callable[..., Path], changes: dict[str, Any], where: str, cause: str
):
    assert told(log(body(**changes))) == [("PC049", where, cause)]


def test_markers_as_they_should_be(log: Callable[..., Path]):
    four = [text(LONG, cache_control=HOUR), text(LONG, cache_control=HOUR), text(LONG, cache_control=MARK)]
    assert told(log(body(system=four, cache_control=MARK))) == []


def test_a_marked_head_under_the_minimum(log: Callable[..., Path]):
    short = body(system=[text("Be brief.", cache_control=MARK)])
    (found,) = log_findings(log(short))
    assert (found.code, found.where, found.severity) == ("PC048", "min_tokens", MISTAKES["PC048"].severity)
    assert "nothing says so" in found.message
    assert told(log(body(system=[text("Be brief.")], cache_control=MARK))) == []  # a conversation that may grow
    assert told(log({**short, "model": "some-model"})) == []


def test_a_fault_is_told_once_for_an_agent_with_the_number_of_calls(log: Callable[..., Path]):
    many = body(system=[text(LONG, cache_control=MARK)] * 5)
    (found,) = [each for each in log_findings(log(*[many] * 3)) if each.code == "PC049"]
    assert (found.call, found.calls, found.place.line) == (0, 3, 1)


def test_the_command_prints_them_and_ends_with_one(cli: Callable[..., Result], log: Callable[..., Path]):
    path = log(body(system=[text(LONG, cache_control=MARK)] * 5))
    result = cli("lint", "--log", str(path), "--format", "json")
    (item,) = json.loads(result.output)["findings"]
    assert (item["code"], item["where"], item["cause"]) == ("PC049", "system[4]", "too_many_markers")
    assert result.exit_code == 1
    assert cli("lint", "--log", str(log(body())), "--format", "json").exit_code == 0


def test_a_log_that_is_none_is_an_error(cli: Callable[..., Result], tmp_path: Path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(TargetError, match="there is no call"):
        log_findings(tmp_path / "empty.jsonl")
    assert cli("lint", "--log", "nowhere.jsonl").exit_code == 2


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not there; set AGENTCACHE_SHARED to the shared data")
def test_single_requests_of_the_labelled_logs_have_no_finding_that_explain_has_not():
    for path in sorted(CORPUS.glob("*.jsonl")):
        explained = {(item.code, item.call) for item in explain_calls(logged_calls(path))}
        assert {(item.code, item.call) for item in log_findings(path)} == explained
