"""How long a call should wait so that the server need not refuse it: limits learned from what the server said.

Pure; time comes in as Unix seconds. Facts (spec section 11 and https://platform.claude.com/docs/en/api/rate-limits):
three token buckets (requests, input tokens, output tokens), refilled steadily so that an empty one is full after a
minute; cached reads do not count towards input tokens; every answer and refusal says limit and remainder of each in
`anthropic-ratelimit-*` headers. What no header has told holds nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcache.runtime.retry_after import retry_after_s

REFILL_S = 60.0
"""Seconds in which an empty bucket fills up."""

PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Bounds of the pause after a refusal that names none: it doubles with each refusal in a row."""

_PAUSING = frozenset({429, 503, 529})

_OUTPUT_MEMORY = 0.2
"""Weight of the newest answer in the mean length of answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one call will take from each bucket, estimated before it is sent."""

    requests: int = 1
    input_tokens: int
    """Written and uncached tokens of the prompt; reads do not count."""
    output_tokens: int

    def of(self, bucket: str) -> int:
        """Return what the call takes from the bucket of that header name."""
        return {"requests": self.requests, "input-tokens": self.input_tokens}.get(bucket, self.output_tokens)


BUCKETS = ("requests", "input-tokens", "output-tokens")
_COUNTED_AT_ONCE = BUCKETS[:2]


@dataclass(frozen=True, slots=True)
class _Allowance:
    """What a header said of one bucket, and when it was heard."""

    limit: int
    remaining: float
    at: float

    def left(self, now: float) -> float:
        return min(self.limit, self.remaining + max(0.0, now - self.at) * self.limit / REFILL_S)


@dataclass(slots=True)
class LearnedLimits:
    """What is known of the limits of one model, and what its calls under way are going to take.

    A call counts from the moment it is sent. The remainder that its answer names has its request and its prompt in it,
    so their estimates are then dropped; that of its output stays until it ends. Calls that were not answered yet are
    subtracted, which is right or holds a little too long, never too short.
    """

    paused_until: float = 0.0
    _refusals: int = 0
    _known: dict[str, _Allowance] = field(default_factory=dict)
    _under_way: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0))
    _mean_output: float = 0.0

    def need(self, input_tokens: int) -> Need:
        """Return the need of a call with so many tokens that are not read; its answer counts as the usual one."""
        return Need(input_tokens=input_tokens, output_tokens=round(self._mean_output))

    def wait_s(self, need: Need, *, now: float) -> float:
        """Return the seconds until there should be room for `need` in every bucket; 0 when there is."""
        waits = [self.paused_until - now]
        for bucket, known in self._known.items():
            # A call larger than a whole bucket can only wait for a full one.
            wanted = min(need.of(bucket), known.limit) + self._under_way[bucket]
            if need.of(bucket) and known.limit > 0:
                waits.append((wanted - known.left(now)) * REFILL_S / known.limit)
        return max(0.0, *waits)

    def sent(self, need: Need) -> None:
        """Count a call that goes out now."""
        for bucket in BUCKETS:
            self._under_way[bucket] += need.of(bucket)

    def counted(self, need: Need) -> None:
        """Drop the estimates of request and prompt of a call: the headers just heard have them, or it is over."""
        for bucket in _COUNTED_AT_ONCE:
            self._under_way[bucket] -= need.of(bucket)

    def ended(self, need: Need) -> None:
        """Drop the estimate of its answer: it is over."""
        self._under_way["output-tokens"] -= need.output_tokens

    def heard(self, status: int, headers: Mapping[str, str], *, now: float) -> None:
        """Learn from the status and headers (lower-case names) of an answer or a refusal."""
        for bucket in BUCKETS:
            limit = _number(headers.get(f"anthropic-ratelimit-{bucket}-limit"))
            remaining = _number(headers.get(f"anthropic-ratelimit-{bucket}-remaining"))
            if limit is not None and remaining is not None:
                self._known[bucket] = _Allowance(limit, remaining, now)
        if status in _PAUSING:
            self._refused(headers, now)
        elif status < 400:
            self._refusals = 0

    def answered(self, output_tokens: int, *, heard_at: float) -> None:
        """Learn how long an answer was, and count it unless headers newer than its own (`heard_at`) have it."""
        weight = _OUTPUT_MEMORY if self._mean_output else 1.0
        self._mean_output += weight * (output_tokens - self._mean_output)
        known = self._known.get("output-tokens")
        if known is not None and known.at <= heard_at:
            self._known["output-tokens"] = _Allowance(known.limit, known.remaining - output_tokens, known.at)

    def _refused(self, headers: Mapping[str, str], now: float) -> None:
        pause_s = retry_after_s(headers, now=now)
        # Calls that were sent together are refused together: that is one refusal, not many in a row.
        if now >= self.paused_until:
            if pause_s is None:
                pause_s = min(LONGEST_PAUSE_S, PAUSE_S * 2.0 ** min(self._refusals, 16))
            self._refusals += 1
        self.paused_until = max(self.paused_until, now + (pause_s or 0.0))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
