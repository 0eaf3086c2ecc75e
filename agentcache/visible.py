"""Text of strangers for people to read: what could drive a terminal, or hide in it, is shown by its number.

Templates, names, replies, logs and results of tools come from anywhere. Escape sequences, control and format characters
(bidirectional marks, zero-width ones) are written out, so that what is shown is what is there. Knows how many columns a
character takes. Pure; every room that shows text uses this one.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
TAB = "    "

_JOINERS = frozenset("\u200c\u200d")
"""Persian and Indic words need them, and emoji of several parts; they change no order and no place."""


def visible(text: str, *, keep_lines: bool = False, keep_joiners: bool = False) -> str:
    """Return `text` with every character that shows nothing written by its number; a tab becomes four blanks.

    keep_lines: leave line feeds as they are. keep_joiners: leave the two zero-width joiners, which prose needs.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = frozenset("\n") if keep_lines else frozenset()
    if keep_joiners:
        kept |= _JOINERS
    return "".join(character if character in kept else _shown(character) for character in text)


def visible_json(text: str) -> str:
    r"""Return JSON text that means the same, with characters that show nothing as `\u` escapes.

    JSON itself escapes only what is below U+0020.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(character if _stays(character) else _escape(character) for character in text)


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes that `visible` returned."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _shown(character: str) -> str:
    if character == "\t":
        return TAB
    if character.isprintable():
        return character
    if unicodedata.category(character) not in _HIDDEN:
        return " "  # other kinds of blanks
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _stays(character: str) -> bool:
    return character.isprintable() or character == "\n" or unicodedata.category(character) not in _HIDDEN


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
