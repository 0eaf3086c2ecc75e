"""How many labelled mistakes in prompt directories the linter finds, at which line, and how often it cries wolf.

    python benchmarks/lint_accuracy.py FOLDER [--details]

FOLDER holds a directory for each case with an `expected.json`: `label`, `also_acceptable`, and `lines` by file. A
label is found when a finding has its code at one of the listed lines (any line of the directory when none is listed).
A finding is right when its code is among the labels, at a listed line, or among the acceptable codes; else it is wrong.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--details", action="store_true", help="list what was missed and what was wrong")
    parser.add_argument("--only", help="codes to count, with commas")
    options = parser.parse_args()
    cases = [read_case(path.parent) for path in sorted(options.folder.glob("*/expected.json"))]
    only = set(options.only.split(",")) if options.only else None
    found, missed, wrong = Counter[str](), Counter[str](), Counter[str]()
    alarms = 0
    for case in cases:
        for code in sorted(case.labels if only is None else case.labels & only):
            hit = case.found(code)
            (found if hit else missed)[code] += 1
            if options.details and not hit:
                print(f"missed {code} in {case.name}: {case.lines}")
        mistaken = [finding for finding in case.wrong() if only is None or finding.code in only]
        alarms += bool(mistaken and not case.labels)
        for finding in mistaken:
            wrong[finding.code] += 1
            if options.details:
                print(f"wrong  {finding.code} in {case.name}, line {finding.place.line}: {finding.message}")
    print("code    found  missed  wrong  precision  recall")
    for code in sorted({*found, *missed, *wrong}):
        counts = found[code], missed[code], wrong[code]
        print(
            f"{code}  {counts[0]:5}  {counts[1]:6}  {counts[2]:5}      {ratio(counts[0], counts[0] + counts[2])}   "
            f"{ratio(counts[0], counts[0] + counts[1])}"
        )
    right, lost, bad = found.total(), missed.total(), wrong.total()
    clean = sum(not case.labels for case in cases)
    print(f"all     {right:5}  {lost:6}  {bad:5}      {ratio(right, right + bad)}   {ratio(right, right + lost)}")
    print(f"false alarms on {alarms} of {clean} clean cases; {len(cases)} cases")


if __name__ == "__main__":
    main()
