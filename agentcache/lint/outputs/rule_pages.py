"""The rules as pages: one at a time or all, for a terminal, as Markdown, as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from agentcache.lint.codes import CODES, OWN
from agentcache.lint.rules.rule import Rule
from agentcache.prompt.canonical import JsonObject

_WIDTH = 88
_INDENT = "    "
TEMPLATES, TRAFFIC = "templates", "traffic"
_FAMILIES = (
    ("PC001", "PC018", "Text that changes in the prefix"),
    ("PC019", "PC024", "Tools"),
    ("PC025", "PC035", "Messages"),
    ("PC036", "PC042", "Settings of the request"),
    ("PC043", "PC054", "Breakpoints, lifetimes, money"),
    ("PC055", "PC060", "Layout of the layers"),
    ("PC100", "PC199", "Comments to the linter"),
    ("PC000", "PC000", "Files"),
)


def rule_text(rule: Rule) -> str:
    """Return the page of a rule for a terminal."""
    mistake = CODES[rule.code]
    parts = [
        f"{rule.code} {mistake.name} ({mistake.severity}; seen in {seen_in(rule)})",
        _filled(rule.what),
        _filled(rule.why),
        f"Bad:\n\n{textwrap.indent(rule.bad.rstrip(), _INDENT)}",
        f"Good:\n\n{textwrap.indent(rule.good.rstrip(), _INDENT)}",
        _filled(f"Fix: {mistake.fix}."),
        "\n".join(["References:", *(f"  {reference}" for reference in rule.references)]),
    ]
    return "\n\n".join(parts) + "\n"


def rule_markdown(rule: Rule, *, level: int = 1) -> str:
    """Return the page of a rule as Markdown, under a heading of `level`."""
    mistake = CODES[rule.code]
    parts = [
        f"{'#' * level} {rule.code} {mistake.name}",
        f"{mistake.severity.capitalize()}; seen in {seen_in(rule)}.",
        _filled(rule.what, 120),
        _filled(rule.why, 120),
        "Bad:",
        _fenced(rule.bad),
        "Good:",
        _fenced(rule.good),
        _filled(f"Fix: {mistake.fix}.", 120),
        "References: " + ", ".join(_linked(reference) for reference in rule.references),
    ]
    return "\n\n".join(parts) + "\n"


def rule_json(rule: Rule) -> JsonObject:
    """Return everything about a rule."""
    mistake = CODES[rule.code]
    return {
        "code": rule.code,
        "name": mistake.name,
        "severity": mistake.severity,
        "seen_in": seen_in(rule),
        "what": rule.what,
        "why": rule.why,
        "bad": rule.bad,
        "good": rule.good,
        "fix": mistake.fix,
        "references": list(rule.references),
    }


def rules_text(rules: Sequence[Rule]) -> str:
    """Return a line for each rule: code, name, severity, where it is seen, fix."""
    rows = [(rule.code, CODES[rule.code].name, CODES[rule.code].severity, seen_in(rule)) for rule in rules]
    heads = ("code", "name", "severity", "seen in")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]])
        for row in (heads, *rows)
    ]
    return "\n".join(lines) + "\n"


def rules_markdown(rules: Sequence[Rule]) -> str:
    """Return one page with all rules: a table, then each with its text."""
    parts = [
        "# Rules of the linter\n\nMade from the rules themselves by `make docs`; do not edit it.",
        "\n".join(
            [
                "| code | name | severity | seen in | fix |",
                "|---|---|---|---|---|",
                *(_row(rule) for rule in rules),
            ]
        ),
    ]
    for first, last, title in _FAMILIES:
        family = [rule for rule in rules if first <= rule.code <= last]
        if family:
            parts += [f"## {title}", *(rule_markdown(rule, level=3).rstrip() for rule in family)]
    return "\n\n".join(parts) + "\n"


def seen_in(rule: Rule) -> str:
    """Return where a mistake can be seen: in what an author wrote, or only in requests that were sent."""
    return TRAFFIC if rule.check is None and rule.code not in OWN else TEMPLATES


def _row(rule: Rule) -> str:
    mistake = CODES[rule.code]
    anchor = f"{rule.code.lower()}-{mistake.name}"
    return f"| [{rule.code}](#{anchor}) | {mistake.name} | {mistake.severity} | {seen_in(rule)} | {mistake.fix} |"


def _filled(text: str, width: int = _WIDTH) -> str:
    return textwrap.fill(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)


def _fenced(text: str) -> str:
    return f"````\n{text.rstrip()}\n````"


def _linked(reference: str) -> str:
    return f"<{reference}>" if reference.startswith("https://") else reference
