"""Brings a template's text to one form: one kind of line end, no blanks before it, composed letters, nothing invisible.

The whole file at once, because half a normal form is none. Code between delimiters stays as it is. What has no shape,
and where it is at work all the same, is for byte_forms.py to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category, is_normalized, normalize

from agentcache.lint.byte_forms import invisible_faults
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.fixes.marked_code import template_at
from agentcache.lint.fixes.pieces import Piece, PieceKind, line_starts, pieces_of

_Change = tuple[int, int, str]
"""Start, end and what stands there instead."""

_BLANKS = re.compile(r"[ \t\u00a0]+(?=\r|\n|\Z)")
_WORD = re.compile(r"\S+")
_LINE_END = re.compile(r"\r\n|\r|\n")


def normal_form(finding: Finding, examination: Examination) -> Fix | None:
    """Return the edits that bring the file to its normal form, when one of them is in the finding's line."""
    file = template_at(examination.sources, finding.place.path)
    pieces = None if file is None else pieces_of(file.text)
    if file is None or pieces is None:
        return None
    changes = [
        change
        for number, piece in enumerate(pieces)
        if piece.kind is PieceKind.TEXT
        for change in _changes(file.text, piece, pieces[number - 1] if number else None)
    ]
    changes += _line_ends(file.text)
    starts = [*line_starts(file.text), len(file.text)]
    line = finding.place.line
    first, last = (0, len(file.text)) if line is None or line >= len(starts) else starts[line - 1 : line + 1]
    if not any(start <= last and end >= first for start, end, _ in changes):
        return None
    edits = [Edit(path=file.path, start=start, end=end, text=text) for start, end, text in sorted(changes)]
    return Fix(edits=tuple(edits), safe=True)


def _line_ends(text: str) -> list[_Change]:
    """Return the changes to line feeds, where a file has line ends of several kinds or those of no one."""
    found = list(_LINE_END.finditer(text))
    if {end[0] for end in found} in ({"\n"}, {"\r\n"}, set()):
        return []
    return [(end.start(), end.end(), "\n") for end in found if end[0] != "\n"]


def _changes(template: str, piece: Piece, before: Piece | None) -> Iterator[_Change]:
    """Yield the changes of one stretch of text.

    Blanks behind a tag keep its line end from being trimmed away, and so hold two words apart: they stay.
    """
    text = template[piece.start : piece.end]
    trimmed = before is not None and before.kind is not PieceKind.PRINT
    blanks = [
        (found.start(), found.end(), "")
        for found in _BLANKS.finditer(text)
        if not (trimmed and found.start() == 0) and (found.end() < len(text) or piece.end == len(template))
    ]
    faults = [at for at, _ in invisible_faults(text) if text[at] not in "\r\n"]
    invisible = [(at, at + 1, _visible(text[at])) for at in faults]
    kept = [change for change in invisible if not _touches(change, blanks)]
    composed = [change for change in _composed(text) if not _touches(change, [*blanks, *kept])]
    for start, end, new in (*blanks, *kept, *composed):
        yield piece.start + start, piece.start + end, new


def _visible(character: str) -> str:
    """Return what stands for a character without a shape: a blank or line feed for what holds words apart."""
    kind = category(character)
    if kind in {"Zl", "Zp"}:
        return "\n"
    return " " if kind == "Zs" else ""


def _composed(text: str) -> Iterator[_Change]:
    if is_normalized("NFC", text):
        return
    for found in _WORD.finditer(text):
        if not is_normalized("NFC", found[0]):
            yield found.start(), found.end(), normalize("NFC", found[0])


def _touches(change: _Change, others: list[_Change]) -> bool:
    return any(change[0] < end and start < change[1] for start, end, _ in others)
