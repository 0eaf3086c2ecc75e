"""Every code that the linter knows: the catalogue that it shares with `explain`, and what concerns the linter itself.

PC000 and the codes from PC100 on are about what the linter itself reads; no traffic shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agentcache.accounting.mistakes import MISTAKES, Mistake

UNREADABLE = "PC000"
UNUSED_IGNORE = "PC100"
IGNORE_WITHOUT_REASON = "PC101"
IGNORE_OF_NOTHING = "PC102"

OWN: Mapping[str, Mistake] = MappingProxyType(
    {
        UNREADABLE: Mistake("unreadable-template", "error", "mend the syntax; nothing else in this file was looked at"),
        UNUSED_IGNORE: Mistake("unused-ignore", "warning", "take the comment out; what it ignored is no longer there"),
        IGNORE_WITHOUT_REASON: Mistake(
            "ignore-without-reason", "warning", "say behind the codes why this is no mistake here"
        ),
        IGNORE_OF_NOTHING: Mistake(
            "ignore-of-nothing", "warning", "name the codes to ignore; `agentcache rules` lists them"
        ),
    }
)
"""Mistakes in what steers the linter, by their codes."""

CODES: Mapping[str, Mistake] = MappingProxyType({**MISTAKES, **OWN})
"""Every code with its name, severity and fix."""

CODE_BY_NAME: Mapping[str, str] = MappingProxyType({mistake.name: code for code, mistake in CODES.items()})
"""The codes by their names."""
