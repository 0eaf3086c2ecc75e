"""What a framework adds to a call: processor time per run beside the SDK called directly, import time, memory.

    python benchmarks/overhead.py [--rounds 7] [--runs 200] [--only calls imports long] [--no-peers] [--out FILE.json]

Every player is a process of its own that lives through all rounds; they take turns, in another order each round, and
the tables show medians, and medians of the ratios to the SDK within one round. The API is a stub in a process of its
own (`overhead_players/stub.py`), so a run costs what its client costs. `--show FILE.json` prints an earlier run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
PLAYERS = HERE / "overhead_players"
REPOSITORY = HERE.parent
sys.path.append(str(HERE / "peers"))

from environments import NotInstalled, python_of, read_peers  # noqa: E402  # a script beside, not a package

ENVIRONMENTS = Path(tempfile.gettempdir()) / "agentcache-peers"
BASELINE = "SDK"
SINGLE = ("one", "tool", "big")


@dataclass(frozen=True, kw_only=True)
class Player:
    """Somebody who makes runs. `streams`, `cells`: what it takes part in; `None` is everything."""

    title: str
    module: str
    variant: str
    streams: tuple[bool, ...] = (False, True)
    cells: tuple[str, ...] | None = None
    python: Path = Path(sys.executable)


OURS = (
    Player(title=BASELINE, module="play_sdk", variant="default"),
    Player(title="SDK, aiohttp", module="play_sdk", variant="aiohttp"),
    Player(title="SDK, events", module="play_sdk", variant="events", streams=(True,), cells=("one", "long")),
    Player(title="agentcache", module="play_agentcache", variant="all"),
    *(
        Player(title=f"agentcache, {variant}", module="play_agentcache", variant=variant, streams=(False,))
        for variant in ("no ledger", "no plan", "no scheduler", "no events", "bare")
    ),
)
PEERS = {"agno": "play_agno"}

IMPORTS = {
    "(Python)": "pass",
    "anthropic": "import anthropic",
    "agentcache": "import agentcache",
    "agentcache, what a program uses": "from agentcache import Agent, Prompt, Runtime, tool",
    "agentcache, a runtime made": (
        "import agentcache, asyncio\n"
        "async def main():\n async with agentcache.Runtime('memory:', api_key='none'): pass\n"
        "asyncio.run(main())"
    ),
    "anthropic, a client made": (
        "import anthropic, asyncio\n"
        "async def main():\n async with anthropic.AsyncAnthropic(api_key='none'): pass\n"
        "asyncio.run(main())"
    ),
}
LONG = ("wire", "SDK", "agentcache", "agentcache, kept in the ledger")
ENDS = 20
"""Turns at either end of the long conversation that are compared."""


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    # With bytecode kept: without it, imports measure the compiler.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, (PLAYERS, REPOSITORY)))}


@contextmanager
def stub() -> Iterator[str]:
    """Run the API in a process of its own and yield its address."""
    command = [sys.executable, str(PLAYERS / "stub.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


@dataclass
class Table:
    """Someone who is at the table: a living process, and what it has measured, by cell."""

    player: Player
    process: subprocess.Popen[str]
    versions: dict[str, str] = field(default_factory=dict)
    peak_mib: float = 0.0

    def told(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.player.title} ended with {self.process.wait()}")
        row: dict[str, Any] = json.loads(line)
        return row

    def play(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        row = self.told()
        self.peak_mib = row.pop("peak_mib")
        return row


@contextmanager
def seated(player: Player, address: str) -> Iterator[Table]:
    command = [str(player.python), str(PLAYERS / "playing.py"), player.module, player.variant, address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        table = Table(player, process)
        table.versions = table.told()["versions"]
        yield table
        assert process.stdin is not None
        process.stdin.close()


def peers() -> list[Player]:
    """Return the other frameworks that can be had here."""
    found = []
    for peer in read_peers():
        if peer.name in PEERS:
            try:
                python = python_of(peer, ENVIRONMENTS)
            except NotInstalled as error:
                print(f"{peer.title}: {error}", file=sys.stderr)
                continue
            found.append(Player(title=peer.title, module=PEERS[peer.name], variant="", python=python))
    return found


def play_calls(players: Sequence[Player], rounds: int, runs: int, many: int) -> dict[str, Any]:
    """Play every cell in turn, alone and `many` at once, and return milliseconds by cell and player, round by round."""
    plain = [(cell, at_once) for at_once in (1, many) for cell in SINGLE]
    streamed = [*plain, ("long", 1), ("long", many)]
    rows: dict[str, dict[str, list[float]]] = {}
    with stub() as address, ExitStack() as stack:
        tables = [stack.enter_context(seated(player, address)) for player in players]
        for turn in range(rounds):
            for stream, cells in ((False, plain), (True, streamed)):
                for cell, at_once in cells:
                    job = {"cell": cell, "at_once": at_once, "stream": stream, "runs": max(runs, at_once)}
                    name = f"{'streamed ' if stream else ''}{cell}, {at_once}"
                    first = turn % len(tables)
                    for table in (*tables[first:], *tables[:first]):
                        if stream in table.player.streams and cell in (table.player.cells or (cell,)):
                            row = table.play(job)
                            took = rows.setdefault(name, {}).setdefault(table.player.title, [])
                            took.append(1000 * row["cpu_s"] / row["runs"])
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
        return {
            "rows": rows,
            "versions": {table.player.title: table.versions for table in tables},
            "peak_mib": {table.player.title: table.peak_mib for table in tables},
        }


def play_imports(rounds: int) -> dict[str, Any]:
    """Return wall and processor milliseconds of imports, and resident memory behind them, round by round."""
    told = "\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    found: dict[str, dict[str, list[float]]] = {name: {"cpu_ms": [], "mib": []} for name in IMPORTS}
    names = list(IMPORTS)
    for turn in range(-1, rounds):  # the first time leaves bytecode on disk and is not counted
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            before = os.times()
            done = subprocess.run(
                [sys.executable, "-c", IMPORTS[name] + told],
                check=True, capture_output=True, text=True, env=environment(),
            )  # fmt: skip
            after = os.times()
            spent = after.children_user + after.children_system - before.children_user - before.children_system
            if turn >= 0:
                found[name]["cpu_ms"].append(1000 * spent)
                found[name]["mib"].append(float(done.stdout))
    return found


def play_long(rounds: int) -> dict[str, Any]:
    """Return the milliseconds of each turn of the long conversation, round by round."""
    found: dict[str, list[list[float]]] = {name: [] for name in LONG}
    with stub() as address:
        for turn in range(rounds):
            first = turn % len(LONG)
            for name in (*LONG[first:], *LONG[:first]):
                done = subprocess.run(
                    [sys.executable, str(PLAYERS / "long_conversation.py"), name, address],
                    check=True, capture_output=True, text=True, env=environment(),
                )  # fmt: skip
                found[name].append(json.loads(done.stdout))
    return found


def calls_table(results: dict[str, Any]) -> list[str]:
    """Return a table of ratios to the SDK, and its milliseconds, for calls and for streamed calls."""
    out = []
    for streamed in (False, True):
        rows = {name: row for name, row in results["rows"].items() if name.startswith("streamed") == streamed}
        titles = list(dict.fromkeys(title for row in rows.values() for title in row))
        names = [name.removeprefix("streamed ").removesuffix(", 1") for name in rows]
        out += ["", f"| {'streamed' if streamed else 'not streamed'} | {' | '.join(names)} |"]
        out.append("|---|" + "---:|" * len(names))
        for title in titles:
            cells = []
            for row in rows.values():
                if title not in row:
                    cells.append("")
                    continue
                ratios = [mine / theirs for mine, theirs in zip(row[title], row[BASELINE], strict=True)]
                shown = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
                cells.append(f"{median(row[title]):.2f} ms" if title == BASELINE else shown)
            out.append(f"| {title} | {' | '.join(cells)} |")
    dearer = {
        cell: median(
            theirs / plain
            for theirs, plain in zip(
                results["rows"][f"streamed {cell}, 1"][BASELINE], results["rows"][f"{cell}, 1"][BASELINE], strict=True
            )
        )
        for cell in SINGLE
    }
    told = ", ".join(f"{cell} {ratio:.2f}" for cell, ratio in dearer.items())
    out += ["", f"The SDK's own streaming as a multiple of the SDK without it: {told}"]
    peaks = ", ".join(f"{title} {peak:.0f}" for title, peak in results["peak_mib"].items())
    return [*out, "", f"Peak MiB of each process after all its runs: {peaks}"]


def imports_table(found: dict[str, Any]) -> list[str]:
    out = ["", "| import | CPU ms | ratio | MiB |", "|---|---:|---:|---:|"]
    for name, row in found.items():
        ratios = [mine / theirs for mine, theirs in zip(row["cpu_ms"], found["anthropic"]["cpu_ms"], strict=True)]
        out.append(f"| `{name}` | {median(row['cpu_ms']):.0f} | {median(ratios):.2f} | {median(row['mib']):.0f} |")
    return out


def long_table(found: dict[str, Any]) -> list[str]:
    """Return what the first and the last turns cost, and that beside the wire."""
    out = ["", f"| player | first {ENDS} turns, ms | last {ENDS} turns, ms | grows by, ms |", "|---|---:|---:|---:|"]
    for name, rounds in found.items():
        first = [median(turns[1 : ENDS + 1]) for turns in rounds]  # the very first one makes what all others use
        last = [median(turns[-ENDS:]) for turns in rounds]
        grown = [end - begin for begin, end in zip(first, last, strict=True)]
        out.append(f"| {name} | {median(first):.2f} | {median(last):.2f} | {median(grown):.2f} |")
    return out


def shown(results: dict[str, Any]) -> str:
    out = [f"{results['date']}, Python {results['python']}, {results['rounds']} rounds"]
    if "calls" in results:
        versions = {name: told for row in results["calls"]["versions"].values() for name, told in row.items()}
        out.append(", ".join(f"{name} {told}" for name, told in versions.items()))
        out += calls_table(results["calls"])
    if "imports" in results:
        out += imports_table(results["imports"])
    if "long" in results:
        out += long_table(results["long"])
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a framework adds to a call.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=200, help="runs of a cell in a round")
    parser.add_argument("--at-once", type=int, default=50, help="runs at once in the cells that have many")
    parser.add_argument("--only", nargs="+", choices=("calls", "imports", "long"), default=("calls", "imports", "long"))
    parser.add_argument("--players", nargs="+", metavar="TITLE", help="these beside the SDK")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=Path)
    asked = parser.parse_args()
    if asked.show:
        print(shown(json.loads(asked.show.read_text(encoding="utf-8"))))
        return
    results: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "python": sys.version.split()[0],
        "rounds": asked.rounds,
    }
    if "calls" in asked.only:
        players = [*OURS, *([] if asked.no_peers else peers())]
        if asked.players:
            players = [player for player in players if player.title in {BASELINE, *asked.players}]
        results["calls"] = play_calls(players, asked.rounds, asked.runs, asked.at_once)
    if "imports" in asked.only:
        results["imports"] = play_imports(asked.rounds)
    if "long" in asked.only:
        results["long"] = play_long(asked.rounds)
    if asked.out:
        asked.out.write_text(json.dumps(results), encoding="utf-8")
    print(shown(results))


if __name__ == "__main__":
    main()
