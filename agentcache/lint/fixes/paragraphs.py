"""The paragraphs of a template: the smallest pieces of a prompt that can be moved and still read well.

A paragraph is lines without a blank line between them that counts: blank lines inside a block of tags, a fence of code,
a comment or an expression do not, so no paragraph ever cuts one of these in two.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise

from agentcache.lint.fixes.pieces import Piece, PieceKind, block_words, line_starts, opens_block, pieces_of

_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_ELEMENT = re.compile(r"\s*<(/?)([A-Za-z][\w.-]*)(?:\s[^<>]*)?>\s*")
_HEADING = re.compile(r"(#{1,6})\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Lines `first` to `last` (counted from 1), which are characters `start` to `end`, the last line's end included.

    within: it stands inside an element such as `<rules>` … `</rules>` that it does not hold whole, or behind the mark
        of a fence of code that is never closed.
    glued: whitespace control joins it to its neighbours. open_ended: it would join it to anything behind it.
    heading: 1 to 6 for a paragraph that is one heading line and nothing else, else 0.
    """

    first: int
    last: int
    start: int
    end: int
    text: str
    within: bool = False
    glued: bool = False
    open_ended: bool = False
    heading: int = 0

    @property
    def leads_in(self) -> bool:
        """Whether it announces what stands behind it."""
        return self.text.rstrip().endswith(":")


def paragraphs_of(template: str) -> tuple[Paragraph, ...] | None:
    """Return the paragraphs in order; `None` where tags are not closed, so that nobody can tell."""
    pieces = pieces_of(template)
    if pieces is None:
        return None
    inside = _inside(template, pieces)
    if inside is None:
        return None
    lines = _lines(template)
    runs, open_fence = _runs(template, lines, inside)
    elements = _open_elements(template, lines)
    if open_fence is not None:
        elements[open_fence + 1 :] = [1] * (len(lines) - open_fence)
    marks = [piece for piece in pieces if piece.kind is not PieceKind.TEXT]
    starts = [piece.start for piece in marks]
    paragraphs = []
    for first, last in runs:
        begin, end = (bisect_left(starts, at) for at in (lines[first][0], lines[last][1]))
        near = marks[max(0, begin - 1) : end + 1]
        paragraphs.append(_paragraph(template, near, lines[first : last + 1], first, elements))
    return tuple(paragraphs)


def _lines(template: str) -> list[tuple[int, int]]:
    starts = [*line_starts(template), len(template)]
    return [(start, end) for start, end in pairwise(starts) if start < end]


def _inside(template: str, pieces: tuple[Piece, ...]) -> list[tuple[int, int]] | None:
    """Return the stretches between the outermost tags of blocks, and those of all other pieces that are no text."""
    stretches: list[tuple[int, int]] = []
    closed = block_words(pieces)
    stack: list[Piece] = []
    for piece in pieces:
        if piece.kind is not PieceKind.TEXT and not stack:
            stretches.append((piece.start, piece.end))
        if piece.kind is not PieceKind.TAG:
            continue
        if piece.word.startswith("end"):
            if not stack or stack[-1].word != piece.word.removeprefix("end"):
                return None
            opening = stack.pop()
            if not stack:
                stretches.append((opening.start, piece.end))
        elif opens_block(template, piece, closed):
            stack.append(piece)
    return None if stack else stretches


def _runs(
    template: str, lines: list[tuple[int, int]], inside: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], int | None]:
    """Return the first and last line (from 0) of each paragraph, and the line of a fence that is never closed."""
    covered = {line for first, last in inside for line in _lines_between(lines, first, last)}
    runs: list[tuple[int, int]] = []
    fence, fence_line = "", 0
    first: int | None = None
    for line, (start, end) in enumerate(lines):
        text = template[start:end]
        mark = _FENCE.match(text)
        if mark is not None and line not in covered and fence in {"", mark[1]}:
            fence, fence_line = "" if fence else mark[1], line
        blank = not text.strip() and line not in covered and not fence
        if blank and first is not None:
            runs.append((first, line - 1))
        first = None if blank else (line if first is None else first)
    if first is not None:
        runs.append((first, len(lines) - 1))
    return runs, fence_line if fence else None


def _lines_between(lines: list[tuple[int, int]], first: int, last: int) -> range:
    """Return the lines that begin inside a stretch of characters."""
    return range(bisect_right(lines, (first, lines[-1][1])), bisect_left(lines, (last, 0)))


def _open_elements(template: str, lines: list[tuple[int, int]]) -> list[int]:
    """Return for each line how many elements that are closed later are open before it; one more for the end."""
    stack: list[tuple[str, int]] = []
    spans: list[tuple[int, int]] = []
    for line, (start, end) in enumerate(lines):
        found = _ELEMENT.fullmatch(template[start:end])
        if found is None:
            continue
        if not found[1]:
            stack.append((found[2], line))
        elif any(name == found[2] for name, _ in stack):
            while (opened := stack.pop())[0] != found[2]:
                pass
            spans.append((opened[1], line))
    depths = [0] * (len(lines) + 1)
    for opened_at, closed_at in spans:
        for line in range(opened_at + 1, closed_at + 1):
            depths[line] += 1
    return depths


def _paragraph(
    template: str, marks: list[Piece], lines: list[tuple[int, int]], first: int, elements: list[int]
) -> Paragraph:
    """Return the paragraph of these lines. marks: the pieces in it that are no text, and those next to it."""
    start, end = lines[0][0], lines[-1][1]
    text = template[start:end]
    heading = _HEADING.match(text) if len(lines) == 1 else None
    open_ended = _open_ended(template, marks, start, end)
    return Paragraph(
        first=first + 1,
        last=first + len(lines),
        start=start,
        end=end,
        text=text,
        within=elements[first] > 0 or elements[first + len(lines)] > 0,
        glued=open_ended or _glued(template, marks, start, end),
        open_ended=open_ended,
        heading=0 if heading is None else len(heading[1]),
    )


def _glued(template: str, marks: list[Piece], start: int, end: int) -> bool:
    """Tell whether a mark at an edge of the stretch, on either side of it, strips whitespace across that edge."""
    inner = [piece for piece in marks if start <= piece.start < end]
    before = next((piece for piece in reversed(marks) if piece.end <= start), None)
    behind = next((piece for piece in marks if piece.start >= end), None)
    return (
        (bool(inner) and inner[0].strips_before and not template[start : inner[0].start].strip())
        or (before is not None and before.strips_behind and not template[before.end : start].strip())
        or (behind is not None and behind.strips_before and not template[end : behind.start].strip())
    )


def _open_ended(template: str, marks: list[Piece], start: int, end: int) -> bool:
    last = next((piece for piece in reversed(marks) if start <= piece.start < end), None)
    return last is not None and last.strips_behind and not template[last.end : end].strip()
