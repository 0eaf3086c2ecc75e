"""How often `explain` names the right call, place and cause: precision and recall per cause on labelled request logs.

    python benchmarks/explain_accuracy.py FOLDER [--wrong]

FOLDER holds NAME.jsonl (a request log) and NAME.expected.json each: `label` (a code, or `none`) and `expected` with
`call`, `where` and perhaps `accept_calls`. `--wrong` lists every log that was not told right.

A finding is right when code, place and call are. Findings of severity `info` (what costs and is no fault) count for the
logs that are labelled so, and as alarms on clean ones; on other logs they are neither right nor wrong.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agentcache.accounting.explaining.explanation import explain_calls
from agentcache.accounting.explaining.suspects import Explanation
from agentcache.accounting.mistakes import MISTAKES
from agentcache.simulate.explained_logs import logged_calls


@dataclass(slots=True)
class Score:
    """Counts over a folder of logs, by code."""

    right: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    extra: Counter[str] = field(default_factory=Counter)
    alarms: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    clean_logs: int = 0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall over all causes."""
        right = self.right.total()
        return 2 * right / (2 * right + self.missed.total() + self.extra.total()) if right else 0.0


def score(folder: Path) -> Score:
    """Return how the logs of a folder are told."""
    total = Score()
    for answer in sorted(folder.glob("*.expected.json")):
        expected = json.loads(answer.read_text())
        name = answer.name.removesuffix(".expected.json")
        found = explain_calls(logged_calls(folder / f"{name}.jsonl"))
        _count(total, name, expected, found)
    return total


def _count(total: Score, name: str, answer: dict[str, object], found: Sequence[Explanation]) -> None:
    label, expected = str(answer["label"]), answer.get("expected")
    shown = ", ".join(f"{item.code}@{item.call} {item.where}" for item in found) or "nothing"
    if not isinstance(expected, dict):
        total.clean_logs += 1
        total.extra.update(item.code for item in found)
        if found:
            total.alarms.append(f"{name}: {shown}")
        return
    calls = {expected["call"], *expected.get("accept_calls", ())}
    right = [item for item in found if (item.code, item.where) == (label, expected["where"]) and item.call in calls]
    scored = not answer.get("unscored")
    extra = [item for item in found if item not in right[:1] and item.severity != "info"]
    if scored:
        (total.right if right else total.missed)[label] += 1
        total.extra.update(item.code for item in extra)
    if not right or extra:
        remark = "" if scored else " (unscored)"
        total.wrong.append(f"{name}: expected {label}@{expected['call']} {expected['where']}, found {shown}{remark}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wrong", action="store_true", help="list the logs that were not told right")
    given = parser.parse_args()
    total = score(given.folder)
    print(f"{'code':6} {'name':34} {'right':>5} {'missed':>6} {'extra':>5} {'precision':>9} {'recall':>6}")
    for code in sorted({*total.right, *total.missed, *total.extra}):
        right, missed, extra = total.right[code], total.missed[code], total.extra[code]
        precision = f"{right / (right + extra):.2f}" if right + extra else "-"
        recall = f"{right / (right + missed):.2f}" if right + missed else "-"
        print(f"{code:6} {MISTAKES[code].name:34} {right:5} {missed:6} {extra:5} {precision:>9} {recall:>6}")
    print(f"F1 at call, place and code: {total.f1:.3f}")
    print(f"alarms on {total.clean_logs} clean logs: {len(total.alarms)}")
    for line in [*total.alarms, *total.wrong] if given.wrong else total.alarms:
        print(f"  {line}")


if __name__ == "__main__":
    main()
