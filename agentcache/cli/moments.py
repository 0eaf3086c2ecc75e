"""From the words of a command line to a point in time."""

from __future__ import annotations

from datetime import datetime

from agentcache.errors import SettingsError, TargetError
from agentcache.runtime.durations import seconds


def moment(text: str, *, now: float, option: str = "--since") -> float:
    """Return a point in time as Unix seconds: an ISO date or time (local unless it says otherwise), or how long ago.

    Raises `TargetError` for a text that is neither; `option` names the flag in the message.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    try:
        return now - seconds(text)
    except SettingsError as error:
        raise TargetError(
            f"{option} {text!r} is no date, time or length; write 2026-11-22, 2026-11-22T08:30 or 24h"
        ) from error
