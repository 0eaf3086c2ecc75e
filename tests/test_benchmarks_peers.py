"""The comparison with other frameworks: its data, its players and its judge, without installing anybody."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOM = ROOT / "benchmarks" / "peers"
PEERS = tomllib.loads((ROOM / "peers.toml").read_text(encoding="utf-8"))


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-B", str(ROOM / "compare.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def player(name: str) -> Path:
    return ROOM / f"play_{name.replace('-', '_')}.py"


def test_the_data_file_holds_names_and_versions_only() -> None:
    packages = [package for peer in PEERS.values() for package in peer.get("packages", ())]
    assert packages
    assert [item for item in packages if not re.fullmatch(r"[a-z-]+(\[[a-z]+\])?==[0-9.]+", item)] == []


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_has_a_player_that_knows_its_settings(name: str) -> None:
    tree = ast.parse(player(name).read_text(encoding="utf-8"))
    known = [
        ast.literal_eval(key)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if key is not None and "SETTINGS" in ast.unparse(node)
    ]
    # A player without a table of settings hands their names on as they are: a lifetime, or a policy.
    assert set(PEERS[name]["settings"]) <= set(known or ["5m", "1h", "auto", "layers"])


def test_the_command_explains_itself() -> None:
    said = run("--help")
    assert said.returncode == 0, said.stderr
    assert "--scenario" in said.stdout


def test_an_unknown_scenario_is_a_usage_error() -> None:
    assert run("--scenario", "no such thing").returncode == 2


@pytest.mark.slow
def test_results_are_complete_and_agree_with_the_replay(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    said = run("--peer", "agentcache", "--scenario", "30 parallel calls", "--out", str(out))
    assert said.returncode == 0, said.stderr
    results = json.loads(out.read_text(encoding="utf-8"))
    assert set(results) == {"date", "model", "python", "scenarios", "peers", "rows"}
    assert [row["settings"] for row in results["rows"]] == PEERS["agentcache"]["settings"]
    for row in results["rows"]:
        assert row["calls"] == row["calls_recorded"] == 6
        assert (row["error"], row["refused"], row["strayed"], row["never_asked"]) == (None, 0, 0, None)
        assert row["replay_agrees"] is True
        assert row["ratio_to_bound"] >= 1
        assert float(row["input_cost_usd"]) < float(row["input_cost_without_caching_usd"])
        assert 1 <= row["breakpoints_mean"] <= row["breakpoints_max"] <= 4
    assert "30 parallel calls" in said.stdout


def test_the_published_results_are_of_the_versions_in_the_data_file() -> None:
    published = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    packages = [package for peer in PEERS.values() for package in peer.get("packages", ())]
    wanted = {re.sub(r"\[.*\]", "", package).replace("==", " ") for package in packages}
    assert sorted(item for item in wanted if item not in published) == []
    rows = [f"| {peer['title']}, {settings} |" for peer in PEERS.values() for settings in peer["settings"]]
    assert [row for row in rows if row not in published] == []
