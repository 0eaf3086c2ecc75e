"""Text of strangers on a terminal: what could drive it, or hide in it, is shown by its number.

Templates come from anywhere. Escape sequences, control and format characters (bidirectional marks, zero-width ones)
are written out, so that what is shown is what is there. Knows how many columns a character takes.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
TAB = "    "


def visible(text: str, *, keep_lines: bool = False) -> str:
    """Return `text` with every character that shows nothing written by its number; a tab becomes four blanks.

    keep_lines: leave line feeds as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if keep_lines and character == "\n" else _shown(character) for character in text)


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


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
