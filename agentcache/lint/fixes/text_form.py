"""Brings a template's text to one form: line feeds, no blanks at line ends, composed characters, nothing invisible.

The whole file at once, because half a normal form is none. Code between delimiters stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import is_normalized, normalize

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.fixes.marked_code import template_at
from agentcache.lint.fixes.pieces import Piece, PieceKind, line_starts, pieces_of
from agentcache.lint.words import INVISIBLE

_VARIANT = re.compile(rf"(?P<blank>[ \t{INVISIBLE}]+)(?=\r*(?:\n|\Z))|(?P<end>\r+\n?)|(?P<invisible>[{INVISIBLE}]+)")
_WORD = re.compile(r"\S+")


def normal_form(finding: Finding, examination: Examination) -> Fix | None:
    """Return the edits that bring the file to its normal form, when one of them is in the finding's lines."""
    file = template_at(examination.sources, finding.place.path)
    pieces = None if file is None else pieces_of(file.text)
    if file is None or pieces is None:
        return None
    edits = [
        Edit(path=file.path, start=start, end=end, text=text)
        for number, piece in enumerate(pieces)
        for start, end, text in _changes(file.text, piece, pieces[number - 1] if number else None)
    ]
    starts = line_starts(file.text)
    first, last = 0, len(file.text)
    if finding.place.line is not None and finding.place.line <= len(starts):
        first = starts[finding.place.line - 1]
        last = starts[finding.place.line] if finding.place.line < len(starts) else last
    if not any(edit.start <= last and edit.end >= first for edit in edits):
        return None
    return Fix(edits=tuple(edits), safe=True)


def _changes(template: str, piece: Piece, before: Piece | None) -> Iterator[tuple[int, int, str]]:
    text = template[piece.start : piece.end]
    if piece.kind is not PieceKind.TEXT:
        yield from ((piece.start + at.start(), piece.start + at.end(), "\n") for at in re.finditer(r"\r\n?", text))
        return
    trims = before is not None and before.kind is not PieceKind.PRINT
    changes = list(_variants(text, trims=trims, last=piece.end == len(template)))
    changes += [change for change in _composed(text) if not any(_touch(change, other) for other in changes)]
    yield from ((piece.start + start, piece.start + end, new) for start, end, new in sorted(changes))


def _variants(text: str, *, trims: bool, last: bool) -> Iterator[tuple[int, int, str]]:
    """Yield the changes of blanks, line ends and invisible characters.

    trims: a tag stands before the text. last: nothing stands behind it, so that its end is the end of a line.

    Blanks behind a tag keep its line end from being trimmed away, so they hold two words apart.
    """
    for found in _VARIANT.finditer(text):
        if found["end"]:
            yield found.start(), found.end(), "\n"
        elif found["blank"] is None or not ((trims and found.start() == 0) or (found.end() == len(text) and not last)):
            yield found.start(), found.end(), ""


def _composed(text: str) -> Iterator[tuple[int, int, str]]:
    if is_normalized("NFC", text):
        return
    for found in _WORD.finditer(text):
        if not is_normalized("NFC", found[0]):
            yield found.start(), found.end(), normalize("NFC", found[0])


def _touch(change: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    return change[0] <= other[1] and other[0] <= change[1]
