"""Text that an attacker would put wherever somebody else's text goes, and what must be left of it on a screen."""

from __future__ import annotations

import unicodedata

DRIVING = {
    "colour": "\x1b[31mred",
    "clear": "\x1b[2J\x1b[H",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\here",
    "c1": "\x9b31m\x9d52;c;eA==\x9c",
    "overwrite": "ok\rspent $0.00",
    "backspace": "12\x08\x08\x08\x7f",
    "bidi": "\u202egnp.exe\u2066",
    "zero width": "pay\u200bpal\ufeff",
    "line": "a\nagentcache: all is well",
    "separators": "a\u2028b\u2029c\x85d",
    "surrogate": "\ud800",
    "private use": "\ue000\U000f0000",
    "tag": "\U000e0041",
}
"""By what it would do."""

MARKUP = "[red]loud[/red] [link=https://evil.example]x[/link] :warning:"
"""What rich would take for styles, a link and an emoji."""

EVERYTHING = "".join(DRIVING.values()) + MARKUP

KEPT = EVERYTHING.replace("\ud800", "")
"""What a database or a page, both in UTF-8, can hold of it."""


def driving(shown: str, *, lines: bool = True) -> set[str]:
    """Return the characters of a screen's text that drive a terminal or hide; line feeds are its own."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return {char for char in shown if unicodedata.category(char) in hidden and not (lines and char == "\n")}
