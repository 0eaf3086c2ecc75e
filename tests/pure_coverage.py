"""Tell how much of each pure room the tests take, and fail where it is too little; `make coverage` runs it.

usage: python tests/pure_coverage.py FILE, where FILE is what `coverage json` wrote.

Which modules are pure is said once, by the import contract `pure` in pyproject.toml: its sources, without those that
it lets import anything. What needs an extra that this Python cannot have is left out, and named.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEAST_SHARE = 0.95
"""Of the branches, and of the statements, of every room."""

NEEDS = {"agentcache.prompt.exact_tokens": "ctok"}
"""Modules that do nothing without a package that is not there for every Python."""


@dataclass
class Taken:
    """How many branches and statements there are in a room, and how many of them were taken."""

    branches: int = 0
    branches_taken: int = 0
    statements: int = 0
    statements_taken: int = 0

    def add(self, summary: dict[str, int]) -> None:
        self.branches += summary["num_branches"]
        self.branches_taken += summary["covered_branches"]
        self.statements += summary["num_statements"]
        self.statements_taken += summary["covered_lines"]

    @property
    def shares(self) -> tuple[float, float]:
        """Of branches and of statements, 0 to 1; all of nothing is 1."""
        return _share(self.branches_taken, self.branches), _share(self.statements_taken, self.statements)


def _share(taken: int, there: int) -> float:
    return taken / there if there else 1.0


def pure_modules() -> Iterator[str]:
    """Yield the dotted name of every module of the contract."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    pure = next(contract for contract in contracts if contract["id"] == "pure")
    free = {line.removesuffix(" -> *") for line in pure["ignore_imports"] if line.endswith(" -> *")}
    lacking = {module for module, package in NEEDS.items() if find_spec(package) is None}
    for module in sorted(lacking):
        print(f"{module} is left out: {NEEDS[module]} is not installed")
    for path in sorted((ROOT / "agentcache").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module not in free | lacking and any(
            f"{module}.".startswith(f"{source}.") for source in pure["source_modules"]
        ):
            yield module


def rooms(measured: dict[str, dict[str, dict[str, int]]]) -> dict[str, Taken]:
    """Sum a measurement up by room. Raises `KeyError` for a pure module that was never imported."""
    taken: dict[str, Taken] = defaultdict(Taken)
    for module in pure_modules():
        path = module.replace(".", "/")
        summary = measured.get(f"{path}.py") or measured[f"{path}/__init__.py"]
        taken[module.split(".")[1]].add(summary["summary"])
    return taken


def main(file: str) -> int:
    """Print a line for each room; return 1 when one of them falls short."""
    short = False
    for room, taken in rooms(json.loads(Path(file).read_text(encoding="utf-8"))["files"]).items():
        falls_short = min(taken.shares) < LEAST_SHARE
        short |= falls_short
        branches, statements = taken.shares
        print(
            f"{room:12}{taken.branches_taken:6} of {taken.branches:6} branches {branches:7.2%}"
            f"{taken.statements_taken:7} of {taken.statements:6} statements {statements:7.2%}"
            f"{f'  under {LEAST_SHARE:.0%}' if falls_short else ''}"
        )
    return int(short)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
