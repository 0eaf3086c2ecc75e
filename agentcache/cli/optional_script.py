"""`--emulate [SCRIPT]`: an option whose value may be left out, which typer itself does not offer.

The rule: what follows `--emulate` is its value only when it reads as `module:name` or `file.py:name`, and never when
it is another option. `--emulate=SCRIPT` says it for certain, `--emulate=` says that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import typer
from typer.core import TyperCommand

OPTION = "--emulate"
_SCRIPT = re.compile(r"(?!-)(?:[^\s:]*[/\\])?[\w.-]+:[A-Za-z_]\w*")


class OptionalScriptCommand(TyperCommand):
    """A command whose `--emulate` may stand without a value; it is then the empty text."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own class
        """Parse the arguments after giving every bare `--emulate` its value."""
        return super().parse_args(ctx, with_value(args))


def with_value(arguments: Sequence[str]) -> list[str]:
    """Return `arguments` with every bare `--emulate` joined to its script, or to nothing."""
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*joined, word, *rest]
        if word == OPTION:
            word = f"{OPTION}={rest.pop(0) if rest and _SCRIPT.fullmatch(rest[0]) else ''}"
        joined.append(word)
    return joined
