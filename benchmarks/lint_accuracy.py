"""How many labelled mistakes in prompt directories the linter finds, at which line, and how often it cries wolf.

    python benchmarks/lint_accuracy.py FOLDER [--details] [--only PC001,PC002]

FOLDER holds a directory for each case with an `expected.json`: `label`, `also_acceptable`, and `lines` by file. A
label is found when a finding has its code at one of the listed lines (any line of the directory when none is listed).
A finding is right when its code is among the labels, at a listed line, or among the acceptable codes; else it is wrong.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agentcache.lint.finding import Finding
from agentcache.lint.linting import lint
from agentcache.lint.reading import read_agents


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    labels: frozenset[str]
    acceptable: frozenset[str]
    lines: dict[str, list[int]]
    findings: tuple[Finding, ...]
    root: Path

    def located(self, finding: Finding) -> bool:
        if not any(self.lines.values()):
            return True
        name = Path(finding.place.path).relative_to(self.root).as_posix()
        lines = self.lines.get(name)
        return lines is not None and (not lines or finding.place.line is None or finding.place.line in lines)

    def found(self, code: str) -> bool:
        return any(finding.code == code and self.located(finding) for finding in self.findings)

    def wrong(self) -> list[Finding]:
        return [
            finding
            for finding in self.findings
            if finding.code not in self.acceptable and not (finding.code in self.labels and self.located(finding))
        ]


def read_case(folder: Path) -> Case:
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return Case(
        name=folder.name,
        labels=frozenset(expected["label"]),
        acceptable=frozenset(expected["also_acceptable"]),
        lines=expected["lines"],
        findings=lint(read_agents([folder])),
        root=folder,
    )


def ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "  -  "


@dataclass(kw_only=True)
class Score:
    """Counts over a folder of cases, by code. missed, wrong: what was not right, in words."""

    found: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)
    cases: int = 0
    clean: int = 0
    alarms: int = 0

    def add(self, case: Case, only: frozenset[str] | None) -> None:
        self.cases += 1
        self.clean += not case.labels
        for code in sorted(case.labels if only is None else case.labels & only):
            hit = case.found(code)
            (self.found if hit else self.missed)[code] += 1
            if not hit:
                self.mistakes.append(f"missed {code} in {case.name}: {case.lines}")
        mistaken = [finding for finding in case.wrong() if only is None or finding.code in only]
        self.alarms += bool(mistaken and not case.labels)
        for finding in mistaken:
            self.wrong[finding.code] += 1
            where = f"{finding.place.path}, line {finding.place.line}"
            self.mistakes.append(f"wrong  {finding.code} in {where}: {finding.message}")

    @property
    def precision(self) -> float:
        return self.found.total() / ((self.found.total() + self.wrong.total()) or 1)

    @property
    def recall(self) -> float:
        return self.found.total() / ((self.found.total() + self.missed.total()) or 1)


def score(folder: Path, only: frozenset[str] | None = None) -> Score:
    """Count over all cases of a folder; only: codes to count, all when `None`."""
    total = Score()
    for path in sorted(folder.glob("*/expected.json")):
        total.add(read_case(path.parent), only)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--details", action="store_true", help="list what was missed and what was wrong")
    parser.add_argument("--only", help="codes to count, with commas")
    options = parser.parse_args()
    total = score(options.folder, frozenset(options.only.split(",")) if options.only else None)
    if options.details:
        print("\n".join(total.mistakes))
    print("code    found  missed  wrong  precision  recall")
    for code in sorted({*total.found, *total.missed, *total.wrong}):
        print(row(code, total.found[code], total.missed[code], total.wrong[code]))
    print(row("all", total.found.total(), total.missed.total(), total.wrong.total()))
    print(f"false alarms on {total.alarms} of {total.clean} clean cases; {total.cases} cases")


def row(code: str, right: int, lost: int, bad: int) -> str:
    return f"{code:5} {right:7}  {lost:6}  {bad:5}      {ratio(right, right + bad)}   {ratio(right, right + lost)}"


if __name__ == "__main__":
    main()
