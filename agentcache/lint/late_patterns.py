"""Regular expressions that are compiled when they are first asked: most runs need few, and compiling takes longest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property


class LatePattern:
    """A regular expression with those methods of `re.Pattern` that the linter uses.

    The expression is not looked at before its first use, so a wrong one is told there (`re.error`) and not on import.
    """

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.pattern = pattern
        self.flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The compiled expression."""
        return re.compile(self.pattern, self.flags)

    def search(self, text: str) -> re.Match[str] | None:
        """See `re.Pattern.search`."""
        return self.compiled.search(text)

    def match(self, text: str) -> re.Match[str] | None:
        """See `re.Pattern.match`."""
        return self.compiled.match(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """See `re.Pattern.fullmatch`."""
        return self.compiled.fullmatch(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """See `re.Pattern.finditer`."""
        return self.compiled.finditer(text)

    def findall(self, text: str) -> list[str]:
        """See `re.Pattern.findall`; for expressions with one group at most."""
        return self.compiled.findall(text)

    def split(self, text: str) -> list[str]:
        """See `re.Pattern.split`; for expressions without groups."""
        return self.compiled.split(text)
