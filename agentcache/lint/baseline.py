"""Findings that were there before anybody linted: a file that lets old projects look at new ones only.

A finding is known again by its path, its code and a digest of the line that it stands in, so that lines may shift. Two
alike lines are two findings: each entry counts how many.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentcache.errors import SettingsError
from agentcache.lint.finding import Finding, Place
from agentcache.lint.text_lines import lines_of
from agentcache.prompt.strict_json import parsed_json

_FORMAT = 1


class Entry(NamedTuple):
    """What a finding is known by."""

    path: str
    code: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How many findings of each kind are known."""

    counts: Mapping[Entry, int]

    def to_json(self) -> str:
        """Return the file's text: sorted, an entry a line, so that changes of it can be read."""
        rows = [
            json.dumps({**entry._asdict(), "count": count}, ensure_ascii=False)
            for entry, count in sorted(self.counts.items())
        ]
        body = ",\n    ".join(rows)
        inside = f"\n    {body}\n  " if rows else ""
        return f'{{\n  "version": {_FORMAT},\n  "findings": [{inside}]\n}}\n'


def line_digest(text: str, line: int | None) -> str:
    """Return the digest of a line, blanks at its ends apart; without a line that of nothing, which holds for a file."""
    lines = lines_of(text)
    content = lines[line - 1].strip() if line is not None and 0 < line <= len(lines) else ""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def entry_of(code: str, place: Place, texts: Mapping[str, str], paths: Mapping[str, str]) -> Entry:
    """Return what a finding is known by. paths: path of a file -> what the baseline calls it."""
    path = place.path
    return Entry(path=paths.get(path, path), code=code, digest=line_digest(texts.get(path, ""), place.line))


def baseline_of(findings: Sequence[Finding], texts: Mapping[str, str], paths: Mapping[str, str]) -> Baseline:
    """Return the baseline that knows `findings`."""
    return Baseline(counts=Counter(entry_of(item.code, item.place, texts, paths) for item in findings))


def unknown(
    findings: Sequence[Finding], baseline: Baseline, texts: Mapping[str, str], paths: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Return the findings that `baseline` does not know; of alike ones, those behind as many as it counts."""
    left = Counter(dict(baseline.counts))
    new = []
    for item in findings:
        entry = entry_of(item.code, item.place, texts, paths)
        if left[entry] > 0:
            left[entry] -= 1
        else:
            new.append(item)
    return tuple(new)


def read_baseline(text: str, path: str) -> Baseline:
    """Return the baseline in the file's text.

    Raises `SettingsError` when it is none.
    """
    try:
        document = parsed_json(text)
    except ValueError as error:
        raise SettingsError(f"{path} is no baseline: {error}; write it anew with --write-baseline") from error
    if not isinstance(document, dict) or document.get("version") != _FORMAT:
        raise SettingsError(f"{path} is no baseline of version {_FORMAT}; write it anew with --write-baseline")
    rows = document.get("findings")
    counts: Counter[Entry] = Counter()
    for number, row in enumerate(rows if isinstance(rows, list) else [None], start=1):
        match row:
            case {"path": str(name), "code": str(code), "digest": str(digest), "count": int(count)} if count > 0:
                counts[Entry(path=name, code=code, digest=digest)] += count
            case _:
                raise SettingsError(
                    f"{path}: entry {number} has no path, code, digest and count; write it anew with --write-baseline"
                )
    return Baseline(counts=counts)
