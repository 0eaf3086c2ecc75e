"""What all players share: what they are asked to run, and how the processor time of their runs is taken.

    python playing.py PLAYER VARIANT ADDRESS

PLAYER is a module beside this one. A job is a line of JSON on standard input, and its measures one on standard output;
the process lives on, so that players can take turns. Standard library only: a player's environment has nothing of ours.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

MODEL = "claude-sonnet-4-6"
MAX_TOKENS = 1024
API_KEY = "none-needed-here"
WARM_UP = 10

SENTENCES = (
    "Answer with the sum and nothing else, unless the user asks how it was found.",
    "Never guess: numbers of more than two digits go to the tool, one call for each pair.",
    "Orders are numbered by year and place, and a number that names no order is refused with its reason.",
    "Amounts are in whole cents; what the customer writes with a comma is read as in the customer's country.",
    "Whoever asks for another department is told its name, its hours and that the request was passed on.",
)


@dataclass(frozen=True)
class Cell:
    """One kind of run. `marks` is for players whose breakpoints are the author's business."""

    system: str
    tools: tuple[str, ...]
    script: str
    marks: bool = False

    def question(self, number: int) -> str:
        return f"{self.script} What is 2 and {number}?"


SMALL = {"system": "You add numbers.", "tools": ("add",)}
BIG = {
    "system": "\n".join(f"{place}. {SENTENCES[place % len(SENTENCES)]}" for place in range(1, 141)),
    "tools": ("add", "subtract", "multiply", "divide", "remainder"),
}
CELLS = {
    "one": Cell(script="MODE_TEXT", **SMALL),
    "tool": Cell(script="MODE_TOOL", **SMALL),
    "big": Cell(script="MODE_TOOL", marks=True, **BIG),
    "long": Cell(script="MODE_LONG", **SMALL),
}


def described(tool: str) -> dict[str, Any]:
    """Return a tool's definition."""
    number = {"type": "integer", "description": "A whole number."}
    return {
        "name": tool,
        "description": f"Return what `{tool}` makes of two whole numbers.",
        "input_schema": {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]},
    }


def result(arguments: dict[str, Any]) -> str:
    """Return what every tool returns."""
    return str(arguments["a"] + arguments["b"])


Ask = Callable[[int], Awaitable[None]]
"""Makes one run, from the question with this number to the end of the answer."""

Open = Callable[[str, str, Cell, bool], AbstractAsyncContextManager[Ask]]
"""`opened(variant, address, cell, stream)` of a player. With `stream` somebody looks at the answer as it comes."""


async def measured(opened: Open, variant: str, address: str, job: dict[str, Any]) -> dict[str, Any]:
    """Perform one job and return the seconds that the process took for it."""
    async with opened(variant, address, CELLS[job["cell"]], job["stream"]) as ask:
        numbers = iter(range(1_000_000))

        async def worker(runs: int) -> None:
            for _ in range(runs):
                await ask(next(numbers))

        at_once, runs = job["at_once"], job["runs"]
        await asyncio.gather(*(worker(max(1, WARM_UP // at_once)) for _ in range(at_once)))
        gc.collect()
        before, wall_s = _cpu_s(), time.perf_counter()
        await asyncio.gather(*(worker(runs // at_once) for _ in range(at_once)))
        return {"cpu_s": _cpu_s() - before, "wall_s": time.perf_counter() - wall_s, "runs": runs // at_once * at_once}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


async def main(player: str, variant: str, address: str) -> None:
    module = importlib.import_module(player)
    print(json.dumps({"versions": _versions(module.PACKAGES)}), flush=True)
    for line in sys.stdin:  # nothing else is to be done meanwhile
        row = await measured(module.opened, variant, address, json.loads(line))
        row["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    os.environ["ANTHROPIC_API_KEY"] = API_KEY
    asyncio.run(main(*sys.argv[1:]))
