"""Findings as JSON: `{"findings": [...], ...}`, each the finding JSON of every command."""

from __future__ import annotations

import json

from agentcache.lint.outputs.result import LintResult
from agentcache.lint.outputs.statistics import count_rows


def as_json(result: LintResult, *, statistics: bool = False) -> str:
    """Return the findings and how much was looked at, as indented JSON; with `statistics` also the sums by code."""
    document: dict[str, object] = {
        "findings": [item.to_json() for item in result.findings],
        "prompts": result.agents,
        "files": len(result.texts),
        "ignored": result.ignored,
        "in_baseline": result.known,
    }
    if statistics:
        document["statistics"] = [row.to_json() for row in count_rows(result)]
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
