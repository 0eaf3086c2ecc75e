"""Which rules hold for which file: selectors of the command line and of settings become codes.

A selector is a code (`PC001`), the beginning of one (`PC0`), a name (`clock-in-prefix`) or `ALL`. Where one selector
asks for a code and another ignores it, the more exact one holds, and of two equally exact ones the ignoring one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from agentcache.errors import SettingsError
from agentcache.lint.codes import CODE_BY_NAME, CODES, UNREADABLE
from agentcache.lint.path_globs import matches

ALL = "ALL"
"""The selector of every code."""

_PREFIX = re.compile(r"[A-Z]{1,4}\d*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rules that hold.

    select, extend_select: what is looked for, together. ignore: what is not. per_file_ignores: pattern of paths ->
    selectors that do not hold there; the paths are relative to the folder of the settings. source: where the selectors
    were written, for messages.

    Raises `SettingsError` for a selector that means no code.
    """

    select: tuple[str, ...] = (ALL,)
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: str = "the command line"

    def __post_init__(self) -> None:
        """Check every selector."""
        for selector in (*self.select, *self.ignore, *self.extend_select):
            codes_of(selector, source=self.source)
        for pattern, selectors in self.per_file_ignores.items():
            for selector in selectors:
                codes_of(selector, source=f"{self.source}, per-file-ignores of {pattern!r}")

    def codes(self, path: str | None = None) -> frozenset[str]:
        """Return the codes that hold in the file `path`, or without one those that hold where no file ignores them.

        That of a file that cannot be read always holds: no rule has looked at it.
        """
        wanted = _exactness((*self.select, *self.extend_select), self.source)
        refused = _exactness(self.ignore, self.source)
        kept = {code for code, exact in wanted.items() if exact > refused.get(code, -1)}
        for pattern, selectors in self.per_file_ignores.items():
            if path is not None and matches(pattern, path):
                kept -= _exactness(selectors, self.source).keys()
        return frozenset({*kept, UNREADABLE})


def codes_of(selector: str, *, source: str) -> frozenset[str]:
    """Return the codes that `selector` means.

    Raises `SettingsError` when it means none, naming `source` and what is spelled alike.
    """
    if selector == ALL:
        return frozenset(CODES)
    if selector in CODE_BY_NAME:
        return frozenset({CODE_BY_NAME[selector]})
    found = frozenset(code for code in CODES if code.startswith(selector)) if _PREFIX.fullmatch(selector) else None
    if not found:
        raise SettingsError(f"{source}: no rule is called {selector!r}; {near_misses(selector)}")
    return found


def near_misses(selector: str) -> str:
    """Return what to do about a selector that means no code: the spelling that was likely meant, else where to look."""
    known = {name.casefold(): name for name in (*CODES, *CODE_BY_NAME, ALL)}
    close = get_close_matches(selector.casefold(), known, n=3, cutoff=0.7)
    if not close:
        return "`agentcache rules` lists them"
    return f"did you mean {' or '.join(repr(known[name]) for name in close)}?"


def _exactness(selectors: Iterable[str], source: str) -> dict[str, int]:
    """Return for each code that is meant how exactly: 0 by `ALL`, else the length of what was written; a name most."""
    exact: dict[str, int] = {}
    for selector in selectors:
        rank = 0 if selector == ALL else len("PC000") if selector in CODE_BY_NAME else len(selector)
        for code in codes_of(selector, source=source):
            exact[code] = max(rank, exact.get(code, -1))
    return exact
