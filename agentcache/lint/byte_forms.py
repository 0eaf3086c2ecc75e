"""Bytes that nobody sees and that editors, version control and other machines write differently.

Two texts that look alike are two prefixes to the cache. Finds trailing blanks, line ends of several kinds, characters
without a shape, and letters that are not in Unicode's composed form (NFC).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agentcache.lint.literal_text import LiteralLine


class ByteForm(StrEnum):
    """What is not in the form that every machine writes; the value says it in a message."""

    LINE_END = "line ends of several kinds"
    TRAILING = "blanks at the end of a line"
    INVISIBLE = "characters without a shape"
    COMPOSITION = "letters not in Unicode's composed form (NFC)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteFault:
    """Characters in another form. Columns from 1, end excluded; what: which characters, in words."""

    form: ByteForm
    line: int
    column: int
    end_column: int
    what: str


def may_have_faults(text: str) -> bool:
    """Whether a look at each line is worth its time: text in ASCII with nothing at its line ends has no fault."""
    return _SUSPECT.search(text) is not None


def byte_faults(lines: Sequence[LiteralLine]) -> tuple[ByteFault, ...]:
    """Return every fault in the lines of one file, in their order. Text of Jinja's own is not looked at."""
    return tuple(sorted((*_line_ends(lines), *_in_lines(lines)), key=lambda fault: (fault.line, fault.column)))


def has_only(lines: Sequence[LiteralLine], end: str) -> bool:
    """Return whether every line but an unfinished last one ends in `end`, and there is one."""
    ends = {line.end for line in lines if line.end}
    return ends == {end}


def invisible_faults(text: str) -> Iterator[tuple[int, str]]:
    """Yield the index and name of each character in `text` that has no shape and no work to do where it stands."""
    for index, character in enumerate(text):
        if character in _PLAIN or character.isalnum():
            continue
        if _is_invisible(text, index):
            yield index, _name(character)


def composition_fault(text: str) -> tuple[int, str] | None:
    """Return index and name of the first character that NFC writes differently, `None` where there is none."""
    if unicodedata.is_normalized("NFC", text):
        return None
    composed = unicodedata.normalize("NFC", text)
    same = next((i for i, (was, now) in enumerate(zip(text, composed, strict=False)) if was != now), len(composed) - 1)
    same = min(same, len(text) - 1)
    marks = [mark for mark in text[same + 1 : same + 2] if unicodedata.combining(mark)]
    return same, " and ".join(map(_name, (text[same], *marks)))


def _line_ends(lines: Sequence[LiteralLine]) -> Iterator[ByteFault]:
    ends = {line.end for line in lines if line.end}
    odd = {"\r"} if ends == {"\r"} else ends - {"\n"} if len(ends) > 1 else set()
    for line in lines:
        if line.end in odd:
            end = len(line.text) + 1
            yield ByteFault(
                form=ByteForm.LINE_END, line=line.number, column=end, end_column=end + 1, what=_ENDS[line.end]
            )


def _in_lines(lines: Sequence[LiteralLine]) -> Iterator[ByteFault]:
    for line in lines:
        text = line.text
        kept = len(text.rstrip(_BLANKS))
        if kept < len(text):
            blanks = text[kept:]
            what = "a tab" if blanks == "\t" else "a blank" if len(blanks) == 1 else f"{len(blanks)} blanks or tabs"
            yield ByteFault(
                form=ByteForm.TRAILING, line=line.number, column=kept + 1, end_column=len(text) + 1, what=what
            )
        if text.isascii() and text.isprintable():
            continue
        for index, name in invisible_faults(text[:kept]):
            yield ByteFault(
                form=ByteForm.INVISIBLE, line=line.number, column=index + 1, end_column=index + 2, what=name
            )
        fault = composition_fault(text)
        if fault is not None:
            index, name = fault
            yield ByteFault(
                form=ByteForm.COMPOSITION, line=line.number, column=index + 1, end_column=index + 2, what=name
            )


def _is_invisible(text: str, index: int) -> bool:
    character = text[index]
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if character in _JOINERS:
        return not (_joins(before) and _joins(after))
    if character in _DIRECTION_MARKS:
        return not any(unicodedata.bidirectional(other) in {"R", "AL"} for other in text)
    if character in _HARD_SPACES:
        # Between a number and its unit, or at a quotation mark, a hard space is typography; between words it was
        # pasted in.
        return (not before or before.isalpha() or before.isspace()) and (
            not after or after.isalpha() or after.isspace()
        )
    if "\U000e0020" <= character <= "\U000e007f":
        return "\U0001f3f4" not in text[:index]  # the letters of a flag follow a black flag
    return character in _SHAPELESS or unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}


def _joins(character: str) -> bool:
    """Whether joiners do work beside the character: emoji, and the scripts from Arabic to Mongolian."""
    return bool(character) and (
        unicodedata.category(character) in {"So", "Sk", "Mn", "Mc"} or "\u0600" <= character <= "\u1cff"
    )


def _name(character: str) -> str:
    return f"{unicodedata.name(character, 'control character').lower()} (U+{ord(character):04X})"


_SUSPECT = re.compile(r"[ \t]$|[^\n\t -~]", re.MULTILINE)
_BLANKS = " \t\u00a0"
_ENDS = {"\r\n": "CR LF", "\r": "CR alone", "\n": "LF"}
_PLAIN = frozenset(" \t.,:;-_'\"()[]{}|*`#/\ufffc")
_JOINERS = frozenset("\u200c\u200d")
_DIRECTION_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HARD_SPACES = frozenset("\u00a0\u202f\u2007\u2009\u200a")
_SHAPELESS = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0\u034f")
