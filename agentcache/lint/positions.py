r"""Where in a template's text each piece of syntax stands.

Jinja keeps only lines. Here every token carries its offset inside its line number, which parser and tree hand on as
they are; offsets count characters of the text with `\n` line ends.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from jinja2 import nodes
from jinja2.lexer import Lexer, newline_re

from agentcache.lint.finding import Place

_BEGINS = {"variable_begin", "block_begin"}
_ENDS = {"variable_end", "block_end"}


class At(int):
    """A line number that knows its offset too."""

    offset: int

    def __new__(cls, line: int, offset: int) -> At:
        """Return the line number `line` at `offset` characters from the start."""
        at = super().__new__(cls, line)
        at.offset = offset
        return at


class PlacingLexer(Lexer):
    """Jinja's lexer with an offset in every line number."""

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[tuple[int, str, str]]:
        """Yield Jinja's own tokens; between two of them it leaves out white space at most."""
        text, offset = with_plain_line_ends(source), 0
        for line, kind, value in super().tokeniter(source, name, filename, state):
            offset = max(offset, text.find(value, offset))
            yield At(line, offset), kind, value
            offset += len(value)


def with_plain_line_ends(text: str) -> str:
    """Return the text with the line ends that Jinja sees."""
    return "\n".join(newline_re.split(text)[::2])


def offset_of(node: nodes.Node) -> int | None:
    """Return where a piece of syntax begins: the first of its own and its parts' tokens."""
    offsets = [at.offset for part in _parts(node) if isinstance(at := getattr(part, "lineno", None), At)]
    return min(offsets, default=None)


def _parts(node: nodes.Node) -> Iterator[nodes.Node]:
    waiting = [node]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, nodes.Expr):
            waiting.extend(part.iter_child_nodes())


class Tag(NamedTuple):
    """One `{{ … }}` or `{% … %}`: where it and what it holds begin and end."""

    start: int
    inner_start: int
    inner_end: int
    end: int


class TextMap:
    """One template's text with its lines and tags."""

    def __init__(self, text: str, lexer: Lexer) -> None:
        self.text = with_plain_line_ends(text)
        self._source, self._lexer = text, lexer
        self._lines = [0, *(at + 1 for at, character in enumerate(self.text) if character == "\n")]

    @cached_property
    def _tags(self) -> tuple[Tag, ...]:
        return tuple(_tags(self._source, self._lexer))

    @cached_property
    def _starts(self) -> list[int]:
        return [tag.start for tag in self._tags]

    def start(self, path: str, node: nodes.Node) -> Place:
        """Return where an expression begins."""
        at = node.lineno
        if not isinstance(at, At):
            return Place(path=path, line=int(at))
        line = bisect_right(self._lines, at.offset)
        return Place(path=path, line=line, column=at.offset - self._lines[line - 1] + 1)

    def place(self, path: str, node: nodes.Node) -> Place:
        """Return where an expression stands, up to the end of its tag; the line alone where that is not known."""
        start = offset_of(node)
        tag = None if start is None else self.tag_at(start)
        if start is None or tag is None:
            return Place(path=path, line=int(node.lineno))
        line = bisect_right(self._lines, start)
        line_end = self._lines[line] - 1 if line < len(self._lines) else len(self.text)
        end = min(max(tag.inner_end, start + 1), line_end)
        first = self._lines[line - 1]
        return Place(path=path, line=line, column=start - first + 1, end_column=end - first + 1)

    def words(self, node: nodes.Node) -> str:
        """Return how the expression is written, on one line and not too long."""
        start = offset_of(node)
        tag = None if start is None else self.tag_at(start)
        if start is None or tag is None:
            return ""
        written = " ".join(self.text[start : tag.inner_end].split())
        return written if len(written) <= 60 else f"{written[:57]}..."

    def tag_at(self, offset: int) -> Tag | None:
        """Return the tag around an offset."""
        found = bisect_right(self._starts, offset) - 1
        return self._tags[found] if found >= 0 and offset < self._tags[found].end else None


def _tags(text: str, lexer: Lexer) -> Iterator[Tag]:
    start = inner_start = inner_end = 0
    for at, kind, value in lexer.tokeniter(text, None):
        offset = at.offset if isinstance(at, At) else 0
        if kind in _BEGINS:
            start, inner_start = offset, offset + len(value)
            inner_end = inner_start
        elif kind in _ENDS:
            yield Tag(start, inner_start, inner_end, offset + len(value.rstrip()))
        elif kind != "whitespace":
            inner_end = offset + len(value)
