"""Agent frameworks against the emulator: the same conversations through each one's own loop, billed by one judge.

    python benchmarks/peers/compare.py [--peer NAME ...] [--scenario NAME ...] [--out RESULTS.json] [--markdown]

The first run makes a virtual environment for each peer (`peers.toml`), which needs a package index. Everything else is
offline. `--show RESULTS.json` prints an earlier run. What is compared and what it cannot show: `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from environments import NotInstalled, Peer, python_of, read_peers
from judging import Bench
from scenarios import MODEL, REPOSITORY, Scenario, all_scenarios
from tables import as_markdown, as_text

PLAYER_TIMEOUT_S = 300
ENVIRONMENTS = Path(tempfile.gettempdir()) / "agentcache-peers"


async def compare(peers: Sequence[Peer], scenarios: Sequence[Scenario], room: Path, logs: Path) -> dict[str, Any]:
    """Let every peer play every scenario with each of its settings and return the results."""
    on = dt.datetime.now(dt.UTC).date().isoformat()
    results: dict[str, Any] = {
        "date": on,
        "model": MODEL,
        "python": ".".join(map(str, sys.version_info[:3])),
        "scenarios": [{"name": one.name, "about": one.about, "calls": one.calls} for one in scenarios],
        "peers": [],
        "rows": [],
    }
    for peer in peers:
        began = time.monotonic()
        described: dict[str, Any] = {"name": peer.name, "title": peer.title, "settings": list(peer.settings)}
        results["peers"].append(described)
        try:
            python = python_of(peer, room)
            described["versions"], rows = await play(peer, python, scenarios, logs, on=on)
        except (NotInstalled, NotPlayed) as error:
            described |= {"versions": {}, "missing": str(error)}
            print(f"{peer.title}: {error}", file=sys.stderr)
            continue
        described["missing"] = None
        results["rows"] += rows
        print(f"{peer.title}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return results


class NotPlayed(Exception):
    """A player did not get to its end; the message says why."""


async def play(
    peer: Peer, python: Path, scenarios: Sequence[Scenario], logs: Path, *, on: str
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Let one peer play and return its versions and a row for each setting and scenario."""
    async with AsyncExitStack() as serving:
        benches = {
            (scenario.name, settings): await serving.enter_async_context(Bench.opened(scenario))
            for settings in peer.settings
            for scenario in scenarios
        }
        jobs = [bench.scenario.job(bench.emulator.base_url, key[1]) for key, bench in benches.items()]
        said = await _run_player(peer, python, jobs, logs)
        rows = []
        for played in said["played"]:
            key = (played["scenario"], played["settings"])
            log = logs / f"{peer.name}-{key[1]}-{key[0]}.jsonl".replace(" ", "_").replace(",", "")
            row = {"peer": peer.name, "settings": key[1], "scenario": key[0], "error": played["error"]}
            rows.append(row | benches[key].row(log, on=on))
    return said["versions"], rows


async def _run_player(peer: Peer, python: Path, jobs: list[dict[str, Any]], logs: Path) -> dict[str, Any]:
    job = logs / f"{peer.name}-job.json"
    job.write_text(json.dumps({"scenarios": jobs}), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    if not peer.packages:
        environment["PYTHONPATH"] = str(REPOSITORY)
    player = await asyncio.create_subprocess_exec(
        str(python),
        str(peer.player),
        str(job),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        out, err = await asyncio.wait_for(player.communicate(), PLAYER_TIMEOUT_S)
    except TimeoutError:
        player.kill()
        await player.wait()
        raise NotPlayed(f"no end after {PLAYER_TIMEOUT_S} s") from None
    (logs / f"{peer.name}-stderr.txt").write_bytes(err)
    if player.returncode != 0 or not out.strip():
        raise NotPlayed((err.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1][:300])
    said: dict[str, Any] = json.loads(out.decode().strip().splitlines()[-1])
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", help="only this one (may be repeated)")
    parser.add_argument("--scenario", action="append", help="only this one (may be repeated)")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--show", type=Path, help="print earlier results and run nothing")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/benchmarks.md")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where the peers' environments live")
    parser.add_argument("--logs", type=Path, help="keep request logs here, for `agentcache simulate`")
    chosen = parser.parse_args()
    if chosen.show is not None:
        results = json.loads(chosen.show.read_text(encoding="utf-8"))
    else:
        peers = [peer for peer in read_peers() if chosen.peer is None or peer.name in chosen.peer]
        scenarios = [one for one in all_scenarios() if chosen.scenario is None or one.name in chosen.scenario]
        if not peers or not scenarios:
            parser.error("there is no such peer or scenario")
        with tempfile.TemporaryDirectory() as scratch:
            logs = chosen.logs or Path(scratch)
            logs.mkdir(parents=True, exist_ok=True)
            results = asyncio.run(compare(peers, scenarios, chosen.environments, logs))
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(as_markdown(results) if chosen.markdown else as_text(results))


if __name__ == "__main__":
    main()
