"""When the calls of traces without times would have come.

A call takes 3 s with its first token after 1 s, a tool takes 1 s, and a new conversation begins every 45 s. A user
answers after 8 to 40 s (`brisk`, uniform) or after a log-normal pause of median 30 s and sigma 1.6, at most 90
minutes (`wandering`); another agent of the team, or a harness that says "continue", answers at once. The pauses of
a trace depend on the seed and on its place in the traffic alone, so that the same traffic always comes at the same
times.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import log

CALL_S = 3.0
FIRST_TOKEN_S = 1.0
TOOL_S = 1.0
NEW_CONVERSATION_S = 45.0


class Arrivals(StrEnum):
    """The models of arrival; `recorded` takes the record's own times."""

    RECORDED = "recorded"
    BRISK = "brisk"
    WANDERING = "wandering"


class Waiting(StrEnum):
    """Whom a call waited for."""

    NOBODY = "nobody"
    TOOL = "tool"
    USER = "user"


@dataclass(slots=True)
class TraceClock:
    """Times the calls of one trace, one after the other."""

    now_s: float
    pause_s: Callable[[], float]

    @classmethod
    def of(cls, place: int, *, arrivals: Arrivals, seed: int) -> TraceClock:
        """Return the clock of the trace at `place` (0, 1, 2 …) of the traffic."""
        draw = random.Random(f"{seed}/{place}")
        if arrivals is Arrivals.WANDERING:
            return cls(place * NEW_CONVERSATION_S, lambda: min(draw.lognormvariate(log(30.0), 1.6), 90 * 60.0))
        return cls(place * NEW_CONVERSATION_S, lambda: draw.uniform(8.0, 40.0))

    def next_call(self, waiting: Waiting) -> tuple[float, float, float]:
        """Return start, first token and end of the next call, which waited for somebody after the last one."""
        if waiting is Waiting.TOOL:
            self.now_s += TOOL_S
        elif waiting is Waiting.USER:
            self.now_s += self.pause_s()
        began_s = self.now_s
        self.now_s += CALL_S
        return began_s, began_s + FIRST_TOKEN_S, self.now_s
