"""Where a command's words go: results to stdout, everything about them to stderr, each as table or as JSON."""

from __future__ import annotations

from enum import StrEnum
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType

from agentcache.errors import TargetError

WIDE = 200
"""Columns of a table that goes to a file or a pipe, where there is no terminal edge to wrap at."""

REPORT_WIDTH = 100
"""Columns of a report's table there: what a page shows."""


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


def console(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr: as wide as the terminal, or `WIDE` when there is none."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=WIDE)


def table_width() -> int:
    """Return the columns that a report's table may take: the terminal's, or 100 where there is none."""
    found = console()
    return found.width if found.is_terminal else REPORT_WIDTH


def text_of(shown: RenderableType) -> str:
    """Return what `console` would print to a file, without colours and trailing blanks."""
    page = StringIO()
    Console(file=page, width=WIDE, color_system=None).print(shown)
    return "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())


def as_json(value: object) -> str:
    """Return `value` as indented JSON; decimals become strings, dataclasses and pydantic models objects.

    Raises `PydanticSerializationError` for a value that has no JSON form.
    """
    # Start-up time: tables are printed without pydantic.
    from pydantic import TypeAdapter

    return TypeAdapter(object).dump_json(value, indent=2).decode()


def write_file(path: Path, text: str) -> None:
    """Write `text` to `path`. Raises `TargetError` when it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror}") from error
