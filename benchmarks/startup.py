"""How long the commands and the package take to start, beside the official SDK's import.

    python benchmarks/startup.py [--rounds 9]

Every round starts each of them once, as a process of its own, and the order is turned from round to round. The table
has medians of processor time (user and system, children included), their spread, and the ratio of medians to
`import anthropic`. Bytecode is on whatever the environment says: without it imports take twice as long. The first round
writes it and is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from agentcache import Agent, Prompt, Runtime, __version__
from agentcache.emulator.server import serve

CLI = ("-c", "from agentcache.cli import main; main()")
AGAINST = "import anthropic"


async def fill(url: str) -> None:
    """Make a ledger of 20 calls."""
    agent = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static="Answer questions."))
    async with (
        serve(lambda request: "ok") as emulator,
        Runtime(url, api_key="emulated", base_url=emulator.base_url) as runtime,
    ):
        for number in range(20):
            await runtime.run(agent, f"Question {number}")


def commands(prompts: Path, url: str) -> dict[str, tuple[str, ...]]:
    """Return what is started, by what the table calls it."""
    return {
        "python, nothing imported": ("-c", "pass"),
        AGAINST: ("-c", "import anthropic"),
        "import agentcache": ("-c", "import agentcache"),
        "agentcache.Runtime, first touched": ("-c", "import agentcache; agentcache.Runtime"),
        "agentcache --help": (*CLI, "--help"),
        "agentcache rule PC001": (*CLI, "rule", "PC001"),
        "agentcache lint DIR (2 templates)": (*CLI, "lint", str(prompts)),
        "agentcache report (20 calls)": (*CLI, "report", "--db", url),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder, "clerk")
        prompts.mkdir()
        (prompts / "static.j2").write_text("You answer questions of {{ company }}.\n" * 20, encoding="utf-8")
        (prompts / "session.j2").write_text("The customer is {{ customer }}.\n", encoding="utf-8")
        url = f"sqlite:///{folder}/ledger.db"
        asyncio.run(fill(url))
        started = commands(prompts, url)
        names = list(started)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(rounds + 1):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                measured = processor_s(started[name], environment)
                if number:
                    taken[name].append(measured)
    print(
        f"Python {platform.python_version()}, agentcache {__version__}, anthropic {version('anthropic')}, "
        f"typer {version('typer')}, SQLAlchemy {version('SQLAlchemy')}; {rounds} rounds, "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
    )
    base = statistics.median(processor for processor, _ in taken[AGAINST])
    print("| started | processor time, ms (least–most) | ratio | on the clock, ms |")
    print("| --- | ---: | ---: | ---: |")
    for name, times in taken.items():
        processor, clock = [one for one, _ in times], [other for _, other in times]
        middle = statistics.median(processor)
        spread = f"{min(processor) * 1000:.0f}–{max(processor) * 1000:.0f}"
        print(
            f"| {name} | {middle * 1000:.0f} ({spread}) | {middle / base:.2f} | {statistics.median(clock) * 1000:.0f} |"
        )


def processor_s(arguments: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run Python once and return the seconds it took: of the processor, and on the clock."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, *arguments], environment, file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    taken = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{arguments} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, taken


if __name__ == "__main__":
    main()
