"""What a value is that changes from call to call, by the numbers that it takes: a counter steps, data wander."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def value_cause(changes: Sequence[tuple[str, str]], code: str) -> str:
    """Return the code of a value that made these changes, of which `code` was told by words, `PC018` by nothing.

    Equal steps are a counter's, whatever the words. Where no word told, a value that always goes one way counts, and
    any other is data.
    """
    steps = [step for before, after in changes if (step := _step(before, after)) is not None]
    numeric = len(steps) == len(changes)
    if numeric and len(steps) > 1 and len(set(steps)) == 1:
        return "PC008"
    one_way = numeric and (all(step > 0 for step in steps) or all(step < 0 for step in steps))
    if code == "PC018":
        return "PC008" if one_way and len(steps) > 1 else "PC009"
    return code


def _step(before: str, after: str) -> float | None:
    """Return how far the only number of a changed passage went; `None` when more than a number changed."""
    old, new = _NUMBER.findall(before.replace(",", "")), _NUMBER.findall(after.replace(",", ""))
    if len(old) != 1 or len(new) != 1:
        return None
    aside = _NUMBER.sub("", before.replace(",", "")) == _NUMBER.sub("", after.replace(",", ""))
    return round(float(new[0]) - float(old[0]), 6) if aside else None
