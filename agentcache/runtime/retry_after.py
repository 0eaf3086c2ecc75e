"""The pause that a server asks for. Apart from `retrying.py`, so that reading it loads no retry library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the pause in seconds that the server asks for, or `None`; `now` is Unix seconds.

    `retry-after-ms` goes before `retry-after`, which is a number of seconds or an HTTP date.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            pause_s = float(headers[name]) * unit_s
        except (KeyError, ValueError):
            continue
        return pause_s if math.isfinite(pause_s) and pause_s > 0 else None
    date = parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else max(0.0, mktime_tz(date) - now) or None
