"""Many agents at once in one process against the emulator: seconds, memory and event-loop lag, peers beside us.

    python benchmarks/many_agents/measure.py [--peer NAME ...] [--agents 100 300 1000] [--rounds 3] [--out FILE.json]

Each cell is a fresh process of the peer's own environment (`benchmarks/peers/`) and a fresh account in a third one. The
peers take turns, in another order each round; the table shows medians and the range of what varies most. It needs a
package index for the first run. `--show FILE.json` prints an earlier run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / "peers"
REPOSITORY = HERE.parents[1]
sys.path.append(str(PEERS))

from environments import NotInstalled, Peer, python_of, read_peers  # noqa: E402  # a script beside, not a package
from scenarios import MODEL, PROSE, TOKENS_A_WORD  # noqa: E402

from agentcache.accounting.pricing import cost_usd  # noqa: E402
from agentcache.accounting.usage import BilledPart, Usage  # noqa: E402

ENVIRONMENTS = Path(tempfile.gettempdir()) / "agentcache-peers"
PREFIX_TOKENS = 4000
WARM_UP = 5
TIMEOUT_S = 600
SETTING = {"agentcache": "auto", "anthropic-sdk": "5m, system by hand", "agno": "5m, tail by hand"}
"""Each peer as it caches most with five minutes throughout; `5m` where nothing is named."""
SOCKETS = "sockets"
TURNS = 5
TOOLS: list[dict[str, Any]] = [
    {
        "name": name,
        "description": f"{does} an order by its number. Numbers are those of the customer's own list.",
        "input_schema": {
            "type": "object",
            "properties": {"number": {"type": "integer", "description": "The number of the order."}},
            "required": ["number"],
        },
    }
    for name, does in (("look_up", "Look up"), ("cancel", "Cancel"), ("repeat", "Repeat"))
]


@dataclass(frozen=True, kw_only=True)
class Player:
    """Somebody who runs a crowd: a peer, or the bare sockets."""

    name: str
    title: str
    python: Path
    module: str
    settings: str
    packages: tuple[str, ...] = ()


def players(names: Sequence[str] | None, room: Path) -> list[Player]:
    """Return everybody who can be had here, the floor first."""
    floor = Player(
        name=SOCKETS, title="bare sockets", python=Path(sys.executable), module="play_sockets", settings="marks by hand"
    )
    found = [] if names and SOCKETS not in names else [floor]
    for peer in read_peers():
        if names and peer.name not in names:
            continue
        try:
            found.append(_player(peer, room))
        except NotInstalled as error:
            print(f"{peer.title}: {error}", file=sys.stderr)
    return found


def _player(peer: Peer, room: Path) -> Player:
    installed = (package.partition("==")[0].partition("[")[0] for package in peer.packages)
    return Player(
        name=peer.name,
        title=peer.title,
        python=python_of(peer, room),
        module=peer.player.stem,
        settings=SETTING.get(peer.name, "5m"),
        packages=(*dict.fromkeys([*installed, "anthropic"]),),
    )


@contextmanager
def account(latency_ms: float) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run an emulator in a process of its own and yield its address."""
    command = [sys.executable, str(HERE / "account.py"), "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment())
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.stdin.close()
        process.wait(30)


def measure(player: Player, agents: int, latency_ms: float) -> dict[str, Any]:
    """Run one crowd and return its row, with the emulator's bill and the CPU seconds that the emulator took."""
    with account(latency_ms) as (base_url, emulator), tempfile.TemporaryDirectory() as scratch:
        job = Path(scratch) / "job.json"
        job.write_text(json.dumps(_job(player, agents, base_url)), encoding="utf-8")
        command = [str(player.python), str(HERE / "crowd.py"), player.module, str(job)]
        row: dict[str, Any] = {"player": player.name, "agents": agents}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=_environment(player)
            )
        except subprocess.TimeoutExpired:
            return row | {"failed": f"no end after {TIMEOUT_S} s"}
        if done.returncode != 0:
            return row | {"failed": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]}
        row |= json.loads(done.stdout.strip().splitlines()[-1])
        return row | _billed(base_url, agents) | {"emulator_cpu_s": _cpu_s(emulator.pid)}


def _job(player: Player, agents: int, base_url: str) -> dict[str, Any]:
    words = PROSE.split()
    count = round(PREFIX_TOKENS / TOKENS_A_WORD)
    return {
        "base_url": base_url,
        "model": MODEL,
        "system": " ".join(words[place * place % len(words)] for place in range(count)),
        "tools": TOOLS,
        "settings": player.settings,
        "agents": agents,
        "warm_up": WARM_UP,
        "packages": player.packages,
    }


def _environment(player: Player | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    # With bytecode kept, so that the first round does not measure the compiler.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    path = [HERE, PEERS]
    if player is None or not player.packages or player.name == "agentcache":
        path.append(REPOSITORY)
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, path)), "ANTHROPIC_API_KEY": "none-needed-here"}


def _billed(base_url: str, agents: int) -> dict[str, Any]:
    """Return the emulator's statement without the warm-up, summed and priced at list prices."""
    with urllib.request.urlopen(f"{base_url}/emulator/statement", timeout=60) as answer:
        lines = json.loads(answer.read())["lines"][WARM_UP * TURNS :]
    usage = Usage(
        uncached_input_tokens=sum(line["input_tokens"] for line in lines),
        cache_write_5m_tokens=sum(line["ephemeral_5m_input_tokens"] for line in lines),
        cache_write_1h_tokens=sum(line["ephemeral_1h_input_tokens"] for line in lines),
        cache_read_tokens=sum(line["cache_read_input_tokens"] for line in lines),
        output_tokens=sum(line["output_tokens"] for line in lines),
    )
    cost = cost_usd(BilledPart(model=MODEL, usage=usage), on=dt.datetime.now(dt.UTC).date().isoformat())
    return {
        "calls": len(lines),
        "missing_calls": agents * TURNS - len(lines),
        "written_tokens": usage.cache_write_tokens,
        "read_tokens": usage.cache_read_tokens,
        "uncached_tokens": usage.uncached_input_tokens,
        "cost_usd": str(Decimal(0) if cost is None else cost),
    }


def _cpu_s(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def as_markdown(results: dict[str, Any]) -> str:
    """Return the tables of `docs/benchmarks.md`."""
    rows = results["rows"]
    runs = Counter((row["player"], row["agents"]) for row in rows)
    out = [
        f"{results['date']}, Python {results['python']}, runs of a cell: {min(runs.values())} to {max(runs.values())}, "
        f"{results['latency_ms']:g} ms to the first token",
        "",
        "| player | agents | wall s | without a core s | client CPU s | ms CPU per call | emulator CPU s | peak MiB "
        "| KiB per agent | lag p50 / p99 / max ms | errors |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    bill = ["| player | agents | calls | tokens written | read | uncached | $ |", "|---|---:|---:|---:|---:|---:|---:|"]
    for player in results["players"]:
        for agents in results["agents"]:
            cell = [row for row in rows if (row["player"], row["agents"]) == (player["name"], agents)]
            good = [row for row in cell if "failed" not in row]
            if not good:
                told = cell[0]["failed"] if cell else "not run"
                out.append(f"| {player['title']} | {agents:,} | {told} | | | | | | | | |")
                continue
            out.append(_measured_line(player["title"], agents, good))
            bill.append(_billed_line(player["title"], agents, good))
    return "\n".join([*out, "", *bill])


def _measured_line(title: str, agents: int, rows: Sequence[dict[str, Any]]) -> str:
    def mid(key: str) -> float:
        return float(median(row[key] for row in rows))

    walls = [row["wall_s"] for row in rows]
    lag = f"{mid('lag_p50_ms'):.0f} / {mid('lag_p99_ms'):.0f} / {mid('lag_max_ms'):.0f}"
    return (
        f"| {title} | {agents:,} | {mid('wall_s'):.1f} ({min(walls):.1f}–{max(walls):.1f}) "
        f"| {mid('waited_s'):.1f} | {mid('cpu_s'):.1f} "
        f"| {1000 * mid('cpu_s') / (agents * TURNS):.2f} | {mid('emulator_cpu_s'):.1f} | {mid('peak_mib'):.0f} "
        f"| {mid('kib_per_agent'):.0f} | {lag} | {max(row['errors'] for row in rows)} |"
    )


def _billed_line(title: str, agents: int, rows: Sequence[dict[str, Any]]) -> str:
    row = sorted(rows, key=lambda row: Decimal(row["cost_usd"]))[len(rows) // 2]
    return (
        f"| {title} | {agents:,} | {row['calls']:,} | {row['written_tokens']:,} | {row['read_tokens']:,} "
        f"| {row['uncached_tokens']:,} | {Decimal(row['cost_usd']):.2f} |"
    )


def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure every cell and return the results; they are written after each, so that a long run loses nothing."""
    taking_part = players(chosen.peer, chosen.environments)
    results: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "latency_ms": chosen.latency_ms,
        "rounds": chosen.rounds,
        "agents": chosen.agents,
        "players": [{"name": one.name, "title": one.title, "settings": one.settings} for one in taking_part],
        "rows": [],
    }
    for number in range(chosen.rounds):
        turn = number % len(taking_part)
        for agents in chosen.agents:
            for player in [*taking_part[turn:], *taking_part[:turn]]:
                began = time.monotonic()
                row = measure(player, agents, chosen.latency_ms)
                results["rows"].append(row)
                told = row.get("failed") or f"{row['wall_s']:.1f} s, {row['errors']} errors {row['error'] or ''}"
                print(f"{player.title}, {agents}: {told} ({time.monotonic() - began:.0f} s)", file=sys.stderr)
                if chosen.out is not None:
                    chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", help=f"only this one, or {SOCKETS!r} (may be repeated)")
    parser.add_argument("--agents", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--show", type=Path, help="print earlier results and run nothing")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where the peers' environments live")
    chosen = parser.parse_args()
    results = json.loads(chosen.show.read_text(encoding="utf-8")) if chosen.show else run(chosen)
    print(as_markdown(results))


if __name__ == "__main__":
    main()
