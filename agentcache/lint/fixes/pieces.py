"""A template as its author wrote it, cut at the delimiters: every character belongs to one piece.

Jinja's own lexer drops what whitespace control removes and so cannot say where a piece stands; edits need to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class PieceKind(StrEnum):
    """What a piece of a template is."""

    TEXT = "text"
    """Sent as it stands, but for whitespace control."""
    PRINT = "print"
    TAG = "tag"
    COMMENT = "comment"
    RAW = "raw"
    """A whole `{% raw %}` block with both its tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Characters `start` to `end` (end excluded) of a template. word: a tag's first word, else empty.

    strips_before, strips_behind: `{%-` and `-%}`, by which the text around loses its whitespace.
    """

    kind: PieceKind
    start: int
    end: int
    word: str = ""
    strips_before: bool = False
    strips_behind: bool = False


_LINE_END = re.compile(r"\r\n|\r|\n")
_OPENING = re.compile(r"\{[{%#]")
_CLOSING = {"{": re.compile(r"-?\}\}"), "%": re.compile(r"[-+]?%\}")}
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_TAG_WORD = re.compile(r"\{%[-+]?\s*(\w+)")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def pieces_of(template: str) -> tuple[Piece, ...] | None:
    """Return the pieces in order; `None` for a template in which a delimiter is not closed."""
    pieces: list[Piece] = []
    at = 0
    while (opening := _OPENING.search(template, at)) is not None:
        start = opening.start()
        found = _piece(template, start)
        if found is None:
            return None
        if start > at:
            pieces.append(Piece(kind=PieceKind.TEXT, start=at, end=start))
        pieces.append(found)
        at = found.end
    if at < len(template):
        pieces.append(Piece(kind=PieceKind.TEXT, start=at, end=len(template)))
    return tuple(pieces)


def line_starts(text: str) -> list[int]:
    """Return where each line begins, lines as Jinja counts them."""
    return [0, *(found.end() for found in _LINE_END.finditer(text))]


def opens_block(template: str, piece: Piece, closed: frozenset[str]) -> bool:
    """Tell whether a tag opens a block. closed: words for which the template has an `end…` tag."""
    if piece.word not in closed:
        return False
    return piece.word != "set" or not _assigns(template[piece.start : piece.end])


def block_words(pieces: tuple[Piece, ...]) -> frozenset[str]:
    """Return the tags that the template closes somewhere: `if` for `endif`."""
    return frozenset(piece.word.removeprefix("end") for piece in pieces if piece.word.startswith("end"))


def expression_tokens(code: str) -> Iterator[tuple[int, str, int]]:
    """Yield (offset, token, bracket depth) of the code inside a tag or print; strings and names are one token each."""
    depth = 0
    for found in re.finditer(rf"{_STRING.pattern}|\w+|\s+|.", code, re.DOTALL):
        token = found[0]
        if token.isspace():
            continue
        step = _BRACKETS.get(token, 0)
        depth += min(step, 0)
        yield found.start(), token, depth
        depth += max(step, 0)


def _piece(template: str, start: int) -> Piece | None:
    sign = template[start + 1]
    if sign == "#":
        end = template.find("#}", start + 2)
        return None if end < 0 else _between(template, PieceKind.COMMENT, start, end + 2)
    if (raw := _RAW.match(template, start)) is not None:
        end_raw = _END_RAW.search(template, raw.end())
        return None if end_raw is None else _between(template, PieceKind.RAW, start, end_raw.end())
    closing = _closing(template, start + 2, _CLOSING[sign])
    if closing is None:
        return None
    return _between(template, PieceKind.PRINT if sign == "{" else PieceKind.TAG, start, closing)


def _between(template: str, kind: PieceKind, start: int, end: int) -> Piece:
    word = _TAG_WORD.match(template, start) if kind is PieceKind.TAG else None
    return Piece(
        kind=kind,
        start=start,
        end=end,
        word="" if word is None else word[1],
        strips_before=template[start + 2] == "-",
        strips_behind=template[end - 3] == "-",
    )


def _closing(template: str, at: int, end: re.Pattern[str]) -> int | None:
    """Return where a tag ends: at the first closing delimiter outside strings and brackets."""
    depth = 0
    while at < len(template):
        if depth == 0 and (found := end.match(template, at)) is not None:
            return found.end()
        if (string := _STRING.match(template, at)) is not None:
            at = string.end()
            continue
        depth = max(0, depth + _BRACKETS.get(template[at], 0))
        at += 1
    return None


def _assigns(tag: str) -> bool:
    """Tell `{% set x = 1 %}` from the opening tag of a `set` block."""
    return any(token == "=" and depth == 0 for _, token, depth in expression_tokens(tag[2:-2]))
