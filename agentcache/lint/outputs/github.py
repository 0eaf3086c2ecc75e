"""Findings as workflow commands of GitHub Actions, which shows them beside the changed lines."""

from __future__ import annotations

from agentcache.lint.finding import Finding
from agentcache.lint.outputs.result import LintResult, whole_message
from agentcache.visible import visible

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def as_github(result: LintResult) -> str:
    """Return a command a line, empty when nothing was found."""
    return "".join(f"{_command(item)}\n" for item in result.findings)


def _command(finding: Finding) -> str:
    place = finding.place
    fields = {"file": visible(place.path)}
    if place.line is not None:
        fields |= {"line": str(place.line), "endLine": str(place.line)}
        if place.column is not None:
            fields["col"] = str(place.column)
        if place.column is not None and place.end_column is not None:
            fields["endColumn"] = str(max(place.column, place.end_column - 1))
    fields["title"] = f"{finding.code} {finding.name}"
    written = ",".join(f"{name}={_property(value)}" for name, value in fields.items())
    return f"::{_COMMANDS[finding.severity]} {written}::{_data(visible(whole_message(finding), keep_lines=True))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
