"""Where two texts part: the changed span, grown to whole words, the lines it stands on, and the heading above it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

MOST_WORDS = 1_500
"""Spans with more words than this are compared as one piece."""

EXCERPT_CHARACTERS = 80


_KEY = re.compile(r"[<(\[{\"']*[A-Za-z_][A-Za-z_.-]*[\"']?(?=[=:>])")


@dataclass(frozen=True, kw_only=True)
class TextChange:
    """before, after: the changed span, in whole words. lines_before, lines_after: the lines it stands on."""

    before: str
    after: str
    lines_before: str
    lines_after: str
    heading: str
    """The nearest line above that opens a section: a heading, a tag, a line that ends in a colon; or empty."""

    @cached_property
    def pieces(self) -> Sequence[tuple[str, str]]:
        """What was replaced by what, word runs within the span."""
        mine, theirs = self.before.split(), self.after.split()
        if max(len(mine), len(theirs)) > MOST_WORDS:
            return ((self.before, self.after),)
        found = SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes()
        return [(" ".join(mine[a:b]), " ".join(theirs[c:d])) for kind, a, b, c, d in found if kind != "equal"]

    @property
    def setting(self) -> str:
        """The words around the change: its heading and its lines, without the words that changed."""
        changed = {word for pair in self.pieces for text in pair for word in text.split()}
        around = [word for word in f"{self.lines_before} {self.lines_after}".split() if word not in changed]
        return " ".join([self.heading, *around, *self._keys])

    @property
    def _keys(self) -> Sequence[str]:
        """The names that stand before a changed value in one word with it (`host=a1`): they did not change."""
        named = ((_KEY.match(old), _KEY.match(new)) for old, new in self.pieces)
        return [mine.group() for mine, theirs in named if mine and theirs and mine.group() == theirs.group()]

    @property
    def around(self) -> str:
        """The lines on both sides and the heading, with what changed."""
        return f"{self.heading}\n{self.lines_before}\n{self.lines_after}"


def text_change(before: str, after: str) -> TextChange:
    """Return where two texts part."""
    start = _common_start(before, after)
    end = _common_start(before[start:][::-1], after[start:][::-1])
    left = _word_start(before, start)
    old_end, new_end = len(before) - end, len(after) - end
    grown = _word_end(before, old_end)
    old_end, new_end = grown, new_end + (grown - old_end)
    line_start = before.rfind("\n", 0, left) + 1
    return TextChange(
        before=before[left:old_end],
        after=after[left:new_end],
        lines_before=before[line_start : _line_end(before, old_end)],
        lines_after=after[line_start : _line_end(after, new_end)],
        heading=_heading(before[:line_start], before[line_start : _line_end(before, left)]),
    )


def excerpt(text: str) -> str:
    """Return a text for people: one line, shortened in the middle."""
    flat = text.encode("unicode_escape").decode() if not text.isascii() or "\n" in text else text
    half = EXCERPT_CHARACTERS // 2
    return flat if len(flat) <= EXCERPT_CHARACTERS else f"{flat[:half]} … {flat[-half:]}"


def _common_start(one: str, other: str) -> int:
    shortest = min(len(one), len(other))
    low, high = 0, shortest
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _word_start(text: str, at: int) -> int:
    while at > 0 and not text[at - 1].isspace():
        at -= 1
    return at


def _word_end(text: str, at: int) -> int:
    while at < len(text) and not text[at].isspace():
        at += 1
    return at


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


_OPENS = re.compile(r"^\s*(#{1,6}\s|<[A-Za-z][\w:-]*[^>]*>\s*$|\*\*.+\*\*\s*$|\[[A-Za-z ]+\]\s*$|.*:\s*$)")


_LABELS = re.compile(r"^(?!\s*(#|<|\*\*|\[)).*:\s*$")
_CLOSES = re.compile(r"^\s*</")
_ITEM = re.compile(r"^\s*([-*\u2022]|\d+[.)]|\[\d+\])\s")


def _heading(above: str, line: str) -> str:
    """Return what opens the section of `line`: a mere label opens the paragraph or the list under it, no more."""
    parted = False
    for over in reversed(above.split("\n")[-9:-1]):
        if _CLOSES.match(over):
            return ""
        if _OPENS.match(over) and not (parted and _LABELS.match(over)):
            return over.strip()
        parted = parted or not (over.strip() or _ITEM.match(line))
    return ""
