"""Lines as editors and Jinja count them: they end in a line feed, a carriage return, or both, and in nothing else."""

from __future__ import annotations

import re

LINE_END = re.compile(r"\r\n|\n|\r")


def lines_of(text: str) -> list[str]:
    """Return the lines without their ends; an empty last one where the text ends in a line end."""
    return LINE_END.split(text)
