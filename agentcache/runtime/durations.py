"""How authors write a length of time, as seconds.

Pure. Knows no calendar and no clock: a day is 24 hours.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias

from agentcache.errors import SettingsError

Duration: TypeAlias = str | int | float | timedelta
"""`"30s"`, `"5m"`, `"1h"`, `"2d"`, `"500ms"`, a number of seconds, or a `timedelta`."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TEXT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d)")


def seconds(value: Duration) -> float:
    """Return a length of time in seconds, more than zero and finite.

    Raises `SettingsError` for anything else, zero included: whoever takes a duration says what `None` means.
    """
    length = _length(value)
    if length is None or not math.isfinite(length) or length <= 0:
        raise SettingsError(
            f"{value!r} is no length of time; "
            "write '30s', '5m', '1h', '2d', a number of seconds above zero, or a timedelta"
        )
    return length


def _length(value: Duration) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip())
        return None if match is None else float(match[1]) * _SECONDS[match[2]]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer that no float can hold is as endless as infinity
        return math.inf
