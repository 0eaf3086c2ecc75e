r"""Where in a template's text each piece of syntax stands.

Jinja keeps only lines. Here every token carries its offset inside its line number, which parser and tree hand on as
they are; offsets count characters of the text with `\n` line ends.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from jinja2 import nodes
from jinja2.lexer import Lexer, newline_re

from agentcache.lint.finding import Place
from agentcache.lint.tree_walk import children

_BEGINS = {"variable_begin", "block_begin"}
_ENDS = {"variable_end", "block_end"}


class At(int):
    """A line number that knows its offset too."""

    offset: int
    """Characters from the start of the text."""


class PlacingLexer(Lexer):
    """Jinja's lexer with an offset in every line number."""

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[tuple[int, str, str]]:
        """Yield Jinja's own tokens, white space between them left out."""
        return self.placed(source, [], name, filename, state)

    def placed(
        self,
        source: str,
        tags: list[Tag],
        name: str | None = None,
        filename: str | None = None,
        state: str | None = None,
    ) -> Iterator[tuple[int, str, str]]:
        """Yield the same tokens, and put every tag that has gone by to the end of `tags`."""
        text, offset = with_plain_line_ends(source), 0
        start = inner_start = inner_end = 0
        for line, kind, value in super().tokeniter(source, name, filename, state):
            # Between two tokens Jinja leaves out white space at most.
            offset = max(offset, text.find(value, offset))
            end = offset + len(value)
            if kind == "whitespace":
                offset = end
                continue
            if kind in _BEGINS:
                start, inner_start, inner_end = offset, end, end
            elif kind in _ENDS:
                tags.append(Tag(start, inner_start, inner_end, offset + len(value.rstrip())))
            else:
                inner_end = end
            at = At(line)
            at.offset = offset
            yield at, kind, value
            offset = end


def with_plain_line_ends(text: str) -> str:
    """Return the text with the line ends that Jinja sees."""
    return "\n".join(newline_re.split(text)[::2]) if "\r" in text else text


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
            waiting += children(part)


class Tag(NamedTuple):
    """One `{{ … }}` or `{% … %}`: where it and what it holds begin and end."""

    start: int
    inner_start: int
    inner_end: int
    end: int


class TextMap:
    """One template's text with its lines and tags."""

    def __init__(self, text: str, tags: Sequence[Tag]) -> None:
        self.text = with_plain_line_ends(text)
        self._tags = tags
        self._lines = [0, *accumulate(len(line) + 1 for line in self.text.split("\n"))][:-1]

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
