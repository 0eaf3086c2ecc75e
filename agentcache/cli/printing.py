"""Where a command's words go: results to stdout, everything about them to stderr, each as table or as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from agentcache.cli.saying import hand_over
from agentcache.errors import TargetError
from agentcache.visible import visible, visible_json

WIDE = 200
"""Columns of a table that goes to a file or a pipe, where there is no terminal edge to wrap at."""

REPORT_WIDTH = 100
"""Columns of a report's table there: what a page shows."""


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"


class Screen(Console):
    """A console on which no text is markup, and none steers the terminal: whatever is drawn passes through `render`."""

    def __init__(
        self, *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None, plain: bool = False
    ) -> None:
        super().__init__(
            stderr=stderr,
            file=file,
            width=width,
            color_system=None if plain else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Give the segments of what is drawn, with unprintable characters written out."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, keep_lines=True))


def console(*, stderr: bool = False) -> Screen:
    """Return a console for stdout or stderr: as wide as the terminal, or `WIDE` when there is none."""
    found = Screen(stderr=stderr)
    return found if found.is_terminal else Screen(stderr=stderr, width=WIDE)


def table_width() -> int:
    """Return the columns that a report's table may take: the terminal's, or 100 where there is none."""
    found = console()
    return found.width if found.is_terminal else REPORT_WIDTH


def text_of(shown: RenderableType) -> str:
    """Return what `console` would print to a file, without colours and trailing blanks."""
    page = StringIO()
    Screen(file=page, width=WIDE, plain=True).print(shown)
    return "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())


def as_json(value: object) -> str:
    r"""Return `value` as indented JSON; decimals become strings, dataclasses and pydantic models objects.

    Characters that show nothing are `\u` escapes, so that JSON drives no terminal either.

    Raises `PydanticSerializationError` for a value that has no JSON form.
    """
    # Start-up time: tables are printed without pydantic.
    from pydantic import TypeAdapter

    return visible_json(TypeAdapter(object).dump_json(value, indent=2).decode())


def hand_over_json(value: object) -> None:
    """Write `value` to stdout as `as_json` does, and a line end."""
    hand_over(f"{as_json(value)}\n")


def write_file(path: Path, text: str) -> None:
    """Write `text` to `path`. Raises `TargetError` when it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror}") from error
