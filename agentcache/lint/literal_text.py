"""The text of a template that is sent as it stands, line by line, with everything that Jinja replaces taken out.

Positions stay those of the file, so that whatever is found in the text can be pointed at. Does not judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, cast

LineEnd: TypeAlias = Literal["\n", "\r\n", "\r", ""]

HOLE = "\ufffc"
"""Stands for one character of a Jinja expression, tag or comment: printed as something else, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralLine:
    """A line of a template. number: from 1. text: without its end; what Jinja replaces is `HOLE`."""

    number: int
    text: str
    end: LineEnd
    code: bool
    """Whether it stands in a code block, fenced or indented."""
    comment: bool
    """Whether it stands in an HTML comment, which the model is sent like any text."""


@lru_cache(maxsize=64)
def literal_lines(text: str) -> tuple[LiteralLine, ...]:
    """Return the lines of a template as an editor counts them, what Jinja replaces as `HOLE`."""
    masked = without_jinja(text)
    lines: list[LiteralLine] = []
    fence, comment, code = "", False, False
    for number, (line, end) in enumerate(_split(masked), start=1):
        stripped = line.strip()
        opened = _FENCE.match(stripped)
        indented = not fence and line[:1] in {" ", "\t"} and len(line.expandtabs(4)) - len(stripped) >= _CODE_INDENT
        # An indented line is code behind a blank line or behind code; behind text it goes on with a list item.
        code = indented and (code or not lines or not lines[-1].text.strip()) if stripped else code
        inside = comment or "<!--" in line
        lines.append(LiteralLine(number=number, text=line, end=end, code=bool(fence or opened) or code, comment=inside))
        if opened and not fence:
            fence = opened[1]
        elif opened and stripped == opened[1] and stripped.startswith(fence):
            fence = ""
        comment = inside and line.rfind("-->") <= line.rfind("<!--")
    return tuple(lines)


def without_jinja(text: str) -> str:
    """Return `text` with every character of Jinja's as `HOLE`; line ends stay, and so does the text of raw blocks.

    White space that a `-` beside a delimiter takes away is a hole too.
    """
    pieces: list[str] = []
    at = 0
    for begin, end in _jinja_spans(text):
        start = max(begin, at)  # two tags may both take away what stands between them
        pieces.append(text[at:start])
        pieces.append(_NOT_LINE_END.sub(HOLE, text[start:end]))
        at = max(at, end)
    pieces.append(text[at:])
    return "".join(pieces)


def _jinja_spans(text: str) -> Iterator[tuple[int, int]]:
    at, unclosed = 0, set[str]()
    while (start := text.find("{", at)) >= 0:
        kind = text[start + 1 : start + 2]
        closing = _CLOSINGS.get(kind)
        end = -1 if closing is None or kind in unclosed else text.find(closing, start + 2)
        if end < 0:
            # Remembered, so that a text of openings alone is read once and not once for each.
            if closing is not None:
                unclosed.add(kind)
            at = start + 1
            continue
        last = at
        at = end + 2
        yield _stripped_start(text, start, last), _stripped_end(text, at)
        if kind == "%" and _RAW.match(text[start:at]) and (closed := _END_RAW.search(text, at)):
            yield _stripped_start(text, closed.start(), at), _stripped_end(text, closed.end())
            at = closed.end()


def _stripped_start(text: str, start: int, least: int) -> int:
    if text[start + 2 : start + 3] != "-":
        return start
    while start > least and text[start - 1].isspace():
        start -= 1
    return start


def _stripped_end(text: str, end: int) -> int:
    if text[end - 3 : end - 2] != "-":
        return end
    while end < len(text) and text[end].isspace():
        end += 1
    return end


def _split(text: str) -> Iterator[tuple[str, LineEnd]]:
    at = 0
    for match in _LINE_END.finditer(text):
        yield text[at : match.start()], cast("LineEnd", match[0])
        at = match.end()
    if at < len(text):
        yield text[at:], ""


_CODE_INDENT = 4
_CLOSINGS = {"{": "}}", "%": "%}", "#": "#}"}
_FENCE = re.compile(r"(`{3,}|~{3,})")
_LINE_END = re.compile(r"\r\n|\n|\r")
_NOT_LINE_END = re.compile(r"[^\r\n]")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
