"""How much a template may do: every step, every character and every level is counted, and what is too much ends.

Counts work, never time, so the same template ends at the same place on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable

from agentcache.lint.sandbox.values import Expected, Loop, Moment, Namespace, Unordered

MOST_STEPS = 200_000
"""Expressions and statements evaluated, items visited and blocks of 64 characters read, in one render of a prompt."""

MOST_CHARACTERS = 4_000_000
"""Characters made in one render, those of texts on the way included."""

LONGEST_TEXT = 1_000_000
"""Characters of one text: more than any model's window holds."""

MOST_LEVELS = 24
"""Macros, loops, blocks and includes inside one another, at run time."""

DEEPEST_VALUE = 60
"""Lists inside lists."""

LARGEST_BITS = 4_096
"""Bits of a whole number."""

_CHARACTERS_A_STEP = 64


class Exhausted(Exception):  # never leaves the linter: a render that ends early says so
    """A template did more than it may. `what` says of which."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Meter:
    """What one render has done so far, and has left."""

    def __init__(self) -> None:
        self.steps = 0
        self.characters = 0
        self.levels = 0

    def step(self, count: int = 1) -> None:
        """Count so many steps before they are taken. Raises `Exhausted` beyond `MOST_STEPS`."""
        if self.steps + count > MOST_STEPS:
            raise Exhausted(f"more than {MOST_STEPS:,} steps")
        self.steps += count

    def room(self, length: int) -> None:
        """Count a text (or list) of this length before it is made. Raises `Exhausted` where it is too long."""
        if length > LONGEST_TEXT:
            raise Exhausted(f"a text of more than {LONGEST_TEXT:,} characters")
        self.characters += length
        if self.characters > MOST_CHARACTERS:
            raise Exhausted(f"more than {MOST_CHARACTERS:,} characters of text")
        self.step(length // _CHARACTERS_A_STEP)

    def enter(self) -> None:
        """Go a level deeper. Raises `Exhausted` beyond `MOST_LEVELS`."""
        self.levels += 1
        if self.levels > MOST_LEVELS:
            raise Exhausted(f"more than {MOST_LEVELS} macros, loops, blocks and includes inside one another")

    def leave(self) -> None:
        """Come back from a level."""
        self.levels -= 1

    def weigh(self, *values: object) -> int:
        """Count every part of these values as a step, and return about how many characters they are as text.

        Before anything that looks at a value whole: a list of twice the same list of twice the same … is small in
        memory and endless as text. Raises `Exhausted` for that, and for one that holds itself.
        """
        weight = 0
        pending: list[tuple[object, int]] = [(value, 0) for value in values]
        while pending:
            value, depth = pending.pop()
            self.step()
            if depth > DEEPEST_VALUE:
                raise Exhausted(f"values more than {DEEPEST_VALUE} deep")
            if isinstance(value, str):
                weight += len(value) + 4
                self.step(len(value) // _CHARACTERS_A_STEP)
                continue
            weight += 24
            if isinstance(value, int):
                weight += value.bit_length() // 3
            parts = _parts(value)
            pending.extend((part, depth + 1) for part in parts)
        return weight


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, Unordered):
        return value.items
    if isinstance(value, dict):
        return (*value, *value.values())
    if isinstance(value, Namespace):
        return value.names.values()
    if isinstance(value, Expected):
        return (value.text,)
    if isinstance(value, Loop | Moment):
        return ()
    return ()
