"""The editor's report, written by the script: findings of one title merged, ranked, and put into Markdown.

This module decides how much of the findings a reader sees: one entry for each cause, a few of its places with a count
of the rest, the most written out and the others in the table alone. It changes no fact, and says at the top who wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast, get_args

from pydantic import JsonValue

from agents.offline.python_source import counted
from agents.offline.rules import UNTESTED_CASES, Severity
from agents.offline.transcript import Json

SCRIPT_NOTICE = (
    "> No model was asked. A script that comes with agentcache (`agents/offline/`) wrote this report from simple "
    "static checks; it understands nothing of what the code means."
)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
PLACES_LISTED = 8
"""How many places of one cause are named, the first included; the rest are counted."""
MOST_UNTESTED = 10
"""How many functions are named in a directory without tests."""
WRITTEN_OUT = 6
"""How many causes are explained; all that are critical or high are, even when they are more."""

_NOTE = re.compile(r" Here: (.*?)\.(?= Also in line|$)")
_FURTHER = re.compile(r" Also in lines? ([\d, ]+?)(?: and (\d+) more)?\.$")


def write_report(given: Mapping[str, JsonValue]) -> str:
    """Return the report on what `editor_input` of `agents/review.py` gives."""
    findings, small = _without_small_gaps([item for item in _list(given["findings"]) if isinstance(item, dict)])
    causes = _causes(findings)
    unchecked = [str(line) for line in _list(given["not_checked"])]
    if small:
        unchecked.append(f"{counted(small, 'function')} without a test, with fewer cases than those named, left out")
    if given["left_out_for_length"]:
        unchecked.append(f"{given['left_out_for_length']} findings were left out for length")
    lines = [f"# Review of {given['project']}", "", SCRIPT_NOTICE, "", _opening(causes, findings), ""]
    if causes:
        lines += [*_table(causes), "", "## Findings", ""]
        numbers = _worth_explaining(causes)
        for number in numbers:
            lines += _written_out(number, causes[number - 1])
        if rest := len(causes) - len(numbers):
            lines += [f"The other {'cause stands' if rest == 1 else f'{rest} causes stand'} in the table alone.", ""]
    lines += ["## What was not checked", "", *(f"- {line}" for line in unchecked)]
    lines += [] if unchecked else ["Nothing was reported as unchecked."]
    return "\n".join(lines) + "\n"


def explained(explanation: str, note: str, further: Sequence[int]) -> str:
    """Return the explanation of one finding: what the rule says, what was counted here, and the further lines."""
    text = explanation + (f" Here: {note}." if note else "")
    if not further:
        return text
    named = ", ".join(map(str, further[: PLACES_LISTED - 1]))
    more = f" and {len(further) - PLACES_LISTED + 1} more" if len(further) >= PLACES_LISTED else ""
    return f"{text} Also in line{'s' if len(further) > 1 else ''} {named}{more}."


def _without_small_gaps(findings: Sequence[Json]) -> tuple[list[Json], int]:
    """Return the findings with the `MOST_UNTESTED` largest of the untested functions, and how many were left out.

    Each batch names its own largest; only here all of them are known.
    """
    gaps = [item for item in findings if item["title"] == UNTESTED_CASES.title]
    small = sorted(gaps, key=lambda item: -_counted_in(_note(item)))[MOST_UNTESTED:]
    return [item for item in findings if item not in small], len(small)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _causes(findings: Iterable[Json]) -> list[list[Json]]:
    """Group findings of one title. The input is ranked, so the groups are too; within one the largest count leads."""
    groups: dict[str, list[Json]] = {}
    for item in findings:
        groups.setdefault(str(item["title"]), []).append(item)
    causes = [sorted(group, key=lambda item: (_severity(item), -_counted_in(_note(item)))) for group in groups.values()]
    return sorted(causes, key=lambda group: (_severity(group[0]), -_places(group)))


def _severity(item: Json) -> int:
    return SEVERITIES.index(cast("Severity", item["severity"]))  # `review.py` checked it


def _note(item: Json) -> str:
    """Return what was counted at the place of a finding, empty when nothing was."""
    found = _NOTE.search(str(item["explanation"]))
    return found[1] if found else ""


def _counted_in(text: str) -> int:
    return sum(int(number) for number in re.findall(r"(?<![\w`])\d+", text))


def _places(group: Sequence[Json]) -> int:
    """Return at how many lines a cause was seen."""
    return sum(1 + _further_lines(str(item["explanation"])) for item in group)


def _further_lines(explanation: str) -> int:
    found = _FURTHER.search(explanation)
    return len(found[1].split(", ")) + int(found[2] or 0) if found else 0


def _opening(causes: Sequence[Sequence[Json]], findings: Sequence[Json]) -> str:
    if not causes:
        return "The checks found nothing to report in the files that were read."
    counts = {severity: sum(item["severity"] == severity for item in findings) for severity in SEVERITIES}
    listed = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    said = f"{counted(len(findings), 'finding')} with {counted(len(causes), 'cause')}"
    return f"The checks report {said}: {listed}. Begin with number 1."


def _table(causes: Sequence[Sequence[Json]]) -> list[str]:
    head = ["## Findings at a glance", "", "| # | severity | place | finding | seen by |", "|---|---|---|---|---|"]
    return head + [_row(number, group) for number, group in enumerate(causes, start=1)]


def _row(number: int, group: Sequence[Json]) -> str:
    more = f" and {_places(group) - 1} more" if _places(group) > 1 else ""
    title = str(group[0]["title"]).replace("|", "\\|")
    return f"| {number} | {group[0]['severity']} | {_place(group[0])}{more} | {title} | {_seen_by(group)} |"


def _place(item: Json) -> str:
    return f"`{item['file']}:{item['line']}`"


def _seen_by(group: Sequence[Json]) -> str:
    return ", ".join(sorted({str(item["reviewer"]) for item in group}))


def _worth_explaining(causes: Sequence[Sequence[Json]]) -> list[int]:
    """Return the numbers of the causes to write out: what is grave, and of the rest the first."""
    grave = sum(group[0]["severity"] in {"critical", "high"} for group in causes)
    return list(range(1, min(len(causes), max(grave, WRITTEN_OUT)) + 1))


def _written_out(number: int, group: Sequence[Json]) -> list[str]:
    first = group[0]
    heading = f"### {number}. {first['title']}"
    facts = f"**{first['severity']}** · {_place(first)} · seen by {_seen_by(group)}"
    lines = [heading, "", facts, "", str(first["explanation"]), ""]
    if further := group[1:PLACES_LISTED]:
        places = ", ".join(_place(item) + (f" ({note})" if (note := _note(item)) else "") for item in further)
        more = f" and {_places(rest)} more" if (rest := group[PLACES_LISTED:]) else ""
        lines += [f"Further places: {places}{more}.", ""]
    return [*lines, f"Suggestion: {first['suggestion']}", ""]
