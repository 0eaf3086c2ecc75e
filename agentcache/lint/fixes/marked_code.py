"""The code between delimiters that a finding points at, and edits inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agentcache.lint.agent_sources import AgentSources, SourceFile
from agentcache.lint.finding import Edit, Place
from agentcache.lint.fixes.pieces import Piece, PieceKind, expression_tokens, line_starts, pieces_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The inside of a print or tag. text: without delimiters. start: where that begins in the file."""

    path: str
    piece: Piece
    text: str
    start: int

    def tokens(self) -> list[tuple[int, str, int]]:
        """Return (offset in `text`, token, bracket depth) of each token."""
        return list(expression_tokens(self.text))

    def edit(self, start: int, end: int, text: str) -> Edit:
        """Return the edit that puts `text` in place of characters `start` to `end` of the code."""
        return Edit(path=self.path, start=self.start + start, end=self.start + end, text=text)


def template_at(sources: AgentSources, path: str) -> SourceFile | None:
    """Return the section or included template of a path."""
    return next((file for file in (*sources.layers, *sources.includes.values()) if file.path == path), None)


def codes_at(file: SourceFile, place: Place) -> list[Code]:
    """Return the prints and tags on the place's line; with a column only the one that holds it."""
    if place.line is None:
        return []
    starts = line_starts(file.text)
    if not 1 <= place.line <= len(starts):
        return []
    first = starts[place.line - 1]
    last = starts[place.line] if place.line < len(starts) else len(file.text)
    found = [code for code in _codes(file) if code.piece.start < last and code.piece.end > first]
    if place.column is not None:
        at = first + place.column - 1
        within = [code for code in found if code.piece.start <= at < code.piece.end]
        return within or found
    return found


def _codes(file: SourceFile) -> Iterator[Code]:
    for piece in pieces_of(file.text) or ():
        if piece.kind in {PieceKind.PRINT, PieceKind.TAG}:
            start = piece.start + 2 + (file.text[piece.start + 2] in "-+")
            end = piece.end - 2 - (file.text[piece.end - 3] in "-+")
            yield Code(path=file.path, piece=piece, text=file.text[start:end], start=start)
