"""String literals of a Python file, each character with the place that it was written at.

Reads tokens and nothing else: prefixes, quotes, escapes, literals that stand side by side. Runs no code.
"""

from __future__ import annotations

import ast
import re
import tokenize
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from itertools import takewhile
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from agentcache.lint.located_text import LocatedText, Spot

_LITERAL = re.compile(r"(?P<prefix>[A-Za-z]*)(?P<quote>'''|\"\"\"|'|\")", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:\n|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{1,3}|[\\'\"abfnrtv])", re.DOTALL
)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_COMPARED = re.compile(r"[!=<>]=|->")


class Shown(NamedTuple):
    """What stands in the braces of a literal with `f` in front: an expression, as it is written."""

    expression: LocatedText


Piece: TypeAlias = LocatedText | Shown


class PythonText:
    """The text of a Python file, and its string literals by where they begin."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self._lines = tuple(re.findall(r"[^\n]*\n|[^\n]+", text))

    @cached_property
    def _strings(self) -> tuple[tuple[Spot, str], ...]:
        return tuple(_strings(self._lines))

    def spot(self, node: ast.expr | ast.stmt) -> Spot:
        """Return where a node begins."""
        return self._spot(node.lineno, node.col_offset)

    def made_at(self, node: ast.expr | ast.stmt, text: str) -> LocatedText:
        """Return a text that stands nowhere as it is, and was made from what a node says."""
        return LocatedText(text=text, path=self.path, spots=(self.spot(node),) * (len(text) + 1))

    def pieces(self, node: ast.Constant | ast.JoinedStr) -> list[Piece]:
        """Return what a literal, or several side by side, is made of: text, and with `f` in front what is shown.

        Raises `tokenize.TokenError` for a file that is no Python.
        """
        start, end = self.spot(node), self._spot(node.end_lineno or node.lineno, node.end_col_offset or 0)
        found: list[Piece] = []
        first = bisect_left(self._strings, start, key=itemgetter(0))
        for spot, written in takewhile(lambda each: each[0] < end, self._strings[first:]):
            found += self._pieces(spot, written)
        return found or [self.made_at(node, "")]

    def _spot(self, line: int, byte: int) -> Spot:
        written = self._lines[line - 1].encode()[:byte].decode(errors="replace")  # `ast` counts bytes
        return line, len(written) + 1

    def _pieces(self, spot: Spot, written: str) -> Iterator[Piece]:
        opening = _LITERAL.match(written)
        if opening is None:
            raise ValueError(f"{written!r} is no string literal")
        body = written[opening.end() : len(written) - len(opening["quote"])]
        raw = "r" in opening["prefix"].lower()
        at = (spot[0], spot[1] + opening.end())
        if "f" not in opening["prefix"].lower():
            yield self._text(body, at, raw=raw)
            return
        for shown, start, end in _parted(body):
            part, where = body[start:end], _behind(at, body[:start])
            yield Shown(self._text(part, where, raw=True)) if shown else self._braced(part, where, raw=raw)

    def _braced(self, part: str, at: Spot, *, raw: bool) -> LocatedText:
        """Return a part of an f-string's text, in which a brace is written as two."""
        whole = self._text("", at, raw=raw)
        for run in re.split(r"(\{\{|\}\})", part):
            text = self._text(run, at, raw=raw)
            whole += text.part(0, 1) if run in {"{{", "}}"} else text
            at = _behind(at, run)
        return whole

    def _text(self, body: str, at: Spot, *, raw: bool) -> LocatedText:
        text: list[str] = []
        spots: list[Spot] = []
        for written in _written(body, raw=raw):
            character = _meant(written, raw=raw)
            text.append(character)
            spots += [at] * len(character)
            at = _behind(at, written)
        return LocatedText(text="".join(text), path=self.path, spots=(*spots, at))


def _behind(at: Spot, written: str) -> Spot:
    """Return the place behind a text that begins at `at`."""
    rest = written.rpartition("\n")[2]
    return (at[0] + written.count("\n"), len(rest) + 1) if "\n" in written else (at[0], at[1] + len(written))


def _strings(lines: tuple[str, ...]) -> Iterator[tuple[Spot, str]]:
    """Yield where each string literal begins and how it is written."""
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(iter(lines).__next__):
        name = tokenize.tok_name[token.type]
        if name == "STRING" and not depth:
            yield (token.start[0], token.start[1] + 1), token.string
        elif name == "FSTRING_START":  # Python 3.12 and later take these apart
            depth, start = depth + 1, start if depth else token.start
        elif name == "FSTRING_END":
            depth -= 1
            if not depth:
                yield (start[0], start[1] + 1), _between(lines, start, token.end)


def _between(lines: tuple[str, ...], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *middle, lines[end[0] - 1][: end[1]]])


def _parted(body: str) -> Iterator[tuple[bool, int, int]]:
    """Yield where the parts of an f-string's body begin and end, and whether each is an expression."""
    start = at = 0
    while at < len(body):
        if body[at : at + 2] in {"{{", "}}"}:
            at += 2
        elif body[at] != "{":
            at += 1
        else:
            yield False, start, at
            end = _end(body, at + 1, ends="!:=}")
            yield True, at + 1, end
            start = at = _end(body, end, ends="}") + 1
    yield False, start, len(body)


def _end(body: str, at: int, *, ends: str) -> int:
    """Return where an expression ends: at the first of `ends` outside brackets, quotes and comparisons."""
    depth = 0
    while at < len(body):
        quoted = _QUOTED.match(body, at)
        compared = _COMPARED.match(body, at)
        if quoted or compared:
            at = (quoted or compared).end()  # type: ignore[union-attr]  # one of them is there
            continue
        if not depth and body[at] in ends:
            return at
        depth += (body[at] in "([{") - (body[at] in ")]}")
        at += 1
    return at


def _written(body: str, *, raw: bool) -> Iterator[str]:
    """Yield a literal's body character by character, each with the escape that it is written as."""
    at = 0
    while at < len(body):
        escape = None if raw else _ESCAPE.match(body, at)
        end = at + 1 if escape is None else escape.end()
        yield body[at:end]
        at = end


def _meant(written: str, *, raw: bool) -> str:
    if raw or len(written) == 1:
        return written
    if written == "\\\n":
        return ""
    value = ast.literal_eval(f"'{written}'" if written == '\\"' else f'"{written}"')
    return str(value)
