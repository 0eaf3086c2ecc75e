"""Findings for people: where, what, the line itself with a caret under what is meant, and what to do."""

from __future__ import annotations

from agentcache.lint.finding import Finding, Place
from agentcache.lint.outputs.result import LintResult, counted
from agentcache.lint.text_lines import lines_of
from agentcache.visible import columns, visible

EXCERPT = 110
"""Characters of a line that are shown around what is meant; a paragraph of a prompt is often one line."""
_LEAD = 30
"""Characters in front of it that are shown at most when the line is too long."""
_COLOURS = {"error": "\x1b[31m", "warning": "\x1b[33m", "info": "\x1b[36m"}
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def as_text(result: LintResult, *, colour: bool = False) -> str:
    """Return every finding with its excerpt, and a last line with their number. Ends with a line feed."""
    lines = {path: lines_of(text) for path, text in result.texts.items()}
    paragraphs = [_paragraph(item, lines, colour=colour) for item in result.findings]
    return "\n\n".join([*paragraphs, summary(result)]) + "\n"


def summary(result: LintResult) -> str:
    """Return the last line: what was found, what can be fixed, what was left out."""
    asides = [
        f"{counted(number, 'finding')} {why}"
        for number, why in ((result.ignored, "ignored by comments"), (result.known, "in the baseline"))
        if number
    ]
    aside = f" ({'; '.join(asides)})" if asides else ""
    looked_at = counted(result.agents, "prompt") if result.source is None else visible(result.source)
    if not result.findings:
        return f"{looked_at}: nothing found{aside}"
    safe = sum(item.edits is not None and item.edits.safe for item in result.findings)
    unsafe = sum(item.edits is not None and not item.edits.safe for item in result.findings)
    fixable = f", {safe:,} fixable with --fix" if safe else ""
    riskier = f", {unsafe:,} with --unsafe-fixes" if unsafe else ""
    return f"{looked_at}: {counted(len(result.findings), 'finding')}{fixable}{riskier}{aside}"


def spot(place: Place) -> str:
    """Return `path:line:column`, as much of it as is known; editors and terminals make links of it."""
    numbers = [str(number) for number in (place.line, place.column if place.line else None) if number is not None]
    return ":".join([visible(place.path), *numbers])


def _paragraph(finding: Finding, lines: dict[str, list[str]], *, colour: bool) -> str:
    tint = _COLOURS[finding.severity] if colour else ""
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if colour else ("", "", "")
    head = (
        f"{bold}{spot(finding.place)}{plain}: {tint}{finding.code} {finding.severity}{plain} "
        f"{finding.name} ({finding.confidence.value}): {visible(finding.message)}"
    )
    told = [head, *_excerpt(finding.place, lines.get(finding.place.path, []), tint=tint, dim=dim, plain=plain)]
    told += [f"  see: {spot(place)}" for place in finding.also if place != finding.place]
    told.append(f"  fix: {visible(finding.fix)}")
    return "\n".join(told)


def _excerpt(place: Place, lines: list[str], *, tint: str, dim: str, plain: str) -> list[str]:
    if place.line is None or not 0 < place.line <= len(lines):
        return []
    line = lines[place.line - 1]
    start = min(max((place.column or 1) - 1, 0), len(line))
    end = min(max(start + 1, (place.end_column or place.column or 1) - 1), max(len(line), start + 1))
    first, last = _window(len(line), start)
    before, meant, behind = visible(line[first:start]), visible(line[start : min(end, last)]), visible(line[end:last])
    opening, closing = ("…" if first else ""), ("…" if last < len(line) else "")
    gutter = " " * len(str(place.line))
    bar = f"{dim}|{plain}"
    shown = f"  {place.line} {bar} {opening}{before}{meant}{behind}{closing}".rstrip()
    if place.column is None:
        return [shown]
    caret = " " * columns(opening + before) + tint + "^" * max(1, columns(meant)) + plain
    return [shown, f"  {gutter} {bar} {caret}"]


def _window(length: int, start: int) -> tuple[int, int]:
    """Return which characters of a line are shown."""
    if length <= EXCERPT:
        return 0, length
    first = max(0, min(start - _LEAD, length - EXCERPT))
    return first, min(length, first + EXCERPT)
