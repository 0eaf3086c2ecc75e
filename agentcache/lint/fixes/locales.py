"""Fixes the locale of a format that would else be the host's. Never safe: the author must say which one is meant."""

from __future__ import annotations

import re

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.fixes.marked_code import Code, codes_at, template_at

LOCALE = "en_US"
"""What is put in; the author changes it to the one that the prompt is written in."""

_TAKE_LOCALE = frozenset(
    f"format_{what}"
    for what in ("currency", "decimal", "number", "percent", "scientific", "date", "time", "datetime", "timedelta")
)
"""Functions of Babel, under which filters of these names are offered; each takes `locale`."""
_FIXED = {"%c": "%Y-%m-%d %H:%M:%S", "%x": "%Y-%m-%d", "%X": "%H:%M:%S"}
_LOCAL_FORMAT = re.compile("%[cxX]")


def fix_locale(finding: Finding, examination: Examination) -> Fix | None:
    """Give a filter of Babel's a locale, or `strftime` a format that does not ask for one."""
    file = template_at(examination.sources, finding.place.path)
    if file is None:
        return None
    edits = [edit for code in codes_at(file, finding.place) for edit in (*_locales(code), *_formats(code))]
    return Fix(edits=tuple(edits), safe=False) if edits else None


def _locales(code: Code) -> list[Edit]:
    tokens = code.tokens()
    if any(token == "locale" for _, token, _ in tokens):
        return []
    edits: list[Edit] = []
    for at, (start, token, _) in enumerate(tokens):
        if token not in _TAKE_LOCALE:
            continue
        behind = tokens[at + 1 :]
        if not behind or behind[0][1] != "(":
            edits.append(code.edit(start + len(token), start + len(token), f'(locale="{LOCALE}")'))
            continue
        closing = next((t for t in behind[1:] if t[1] == ")" and t[2] == behind[0][2]), None)
        if closing is not None:
            comma = "" if behind[1] == closing else ", "
            edits.append(code.edit(closing[0], closing[0], f'{comma}locale="{LOCALE}"'))
    return edits


def _formats(code: Code) -> list[Edit]:
    if "strftime" not in code.text:
        return []
    return [code.edit(found.start(), found.end(), _FIXED[found[0]]) for found in _LOCAL_FORMAT.finditer(code.text)]
