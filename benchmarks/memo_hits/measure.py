"""What one kept result costs to get: ours and other libraries', in memory, in SQLite and in Redis.

    python benchmarks/memo_hits/measure.py [--rounds 15] [--asks 300] [--room DIRECTORY]

Each contestant is a process that stays; in every round all are asked in turn, so that a busy machine slows all alike.
An ask is everything from a call's arguments to its result: the key, the look-up, and reading the value back. The table
shows medians in microseconds, and each beside ours of the same kind. Redis is `AGENTCACHE_TEST_REDIS_URL` or the one on
this machine; the others' packages go into a virtual environment in `room`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peers"))

from environments import Peer, python_of  # noqa: E402  # beside us, and no package

PACKAGES = (
    "diskcache==5.6.3",
    "cashews==7.6.0",
    "langgraph==1.2.24",
    "langgraph-checkpoint-sqlite==3.1.2",
    "redis==8.1.0",
)
OURS = ("key", "memory", "sqlite", "redis")
PEERS = (
    "cashews memory",
    "langgraph memory",
    "diskcache sqlite",
    "diskcache blocking",
    "cashews sqlite",
    "langgraph sqlite",
    "cashews redis",
    "langgraph redis",
)
KIND = {"diskcache blocking": "sqlite"}
REDIS_URL = os.environ.get("AGENTCACHE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


@dataclass
class Contestant:
    """A process that answers, and the microseconds of an ask in each round."""

    name: str
    process: subprocess.Popen[str]
    took_us: list[float] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return KIND.get(self.name, self.name.split()[-1])

    def play(self, asks: int) -> None:
        self.process.stdin.write(f"{asks}\n")
        self.process.stdin.flush()
        self.took_us.append(float(self.process.stdout.readline()))


def started(name: str, way: str, python: Path, script: str, folder: Path) -> Contestant:
    (folder / name).mkdir()
    command = [str(python), str(HERE / script), way, str(folder / name), REDIS_URL]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", name
    return Contestant(name, process)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--asks", type=int, default=300, help="asks of each contestant in a round")
    parser.add_argument("--room", type=Path, default=Path(tempfile.gettempdir()) / "agentcache-memo-peers")
    options = parser.parse_args()
    peer = Peer(name="memo", title="caches", settings=(), packages=PACKAGES)
    python = python_of(peer, options.room)
    with tempfile.TemporaryDirectory() as folder:
        contestants = [
            started(f"agentcache {way}", way, Path(sys.executable), "ask_ours.py", Path(folder)) for way in OURS
        ]
        contestants += [started(name, name, python, "ask_peers.py", Path(folder)) for name in PEERS]
        try:
            for _ in range(options.rounds):
                for contestant in contestants:
                    contestant.play(options.asks)
        finally:
            for contestant in contestants:
                contestant.process.stdin.close()
                contestant.process.wait()
    show(contestants)


def show(contestants: list[Contestant]) -> None:
    medians = {contestant.name: statistics.median(contestant.took_us) for contestant in contestants}
    print(f"{'a kept result from':24}{'µs':>8}{'beside ours':>14}")
    for contestant in contestants:
        ours = medians.get(f"agentcache {contestant.kind}", 0.0)
        beside = "" if contestant.name.startswith("agentcache") else f"{medians[contestant.name] / ours:.2f}"
        print(f"{contestant.name:24}{medians[contestant.name]:8.1f}{beside:>14}")
    beyond = medians["agentcache memory"] - medians["agentcache key"]
    print(f"\nagentcache in memory beyond making the key: {beyond:.1f} µs")


if __name__ == "__main__":
    main()
