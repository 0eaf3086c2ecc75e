"""How long text is shown: in pages that are the same for the same text, and say where the next one begins. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PAGE_LINES = 1_000
PAGE_CHARS = 40_000
LINE_CHARS = 2_000

_REPLACED = " Not valid UTF-8: unreadable bytes are shown as \N{REPLACEMENT CHARACTER}."


def is_binary(data: bytes) -> bool:
    """Tell whether data is no text: text holds no zero byte."""
    return b"\0" in data


def lines_of(data: bytes) -> list[str]:
    """Return the lines as an editor numbers them; a final line end opens no further line."""
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def damage_in(data: bytes) -> str:
    """Return a sentence on bytes that are not UTF-8, empty when there are none."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _REPLACED
    return ""


def cut(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, and behind it how many were cut off."""
    return text if len(text) <= limit else f"{text[:limit]} [cut: {len(text) - limit} more characters in this line]"


def numbered_page(lines: Sequence[str], first: int, last: int) -> list[str]:
    """Return the lines `first` to `last` (from 1), each behind its number and a tab, as many as fit on a page.

    There is always one, however long it is.
    """
    numbered = (f"{i}\t{cut(line, LINE_CHARS)}" for i, line in enumerate(lines[first - 1 : last], start=first))
    return fitting(numbered, max_lines=PAGE_LINES)


def fitting(lines: Iterable[str], *, max_lines: int) -> list[str]:
    """Return the leading lines that a page has room for: the first one, and then while both bounds hold."""
    page: list[str] = []
    chars = 0
    for line in lines:
        chars += len(line) + 1
        if page and (len(page) >= max_lines or chars > PAGE_CHARS):
            break
        page.append(line)
    return page
