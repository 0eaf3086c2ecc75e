"""Rate limits as the API counts and announces them: requests, input tokens without cache reads, output tokens.

Buckets refill steadily over a minute. Without limits the headers still come, with room to spare. Input counts
`input_tokens + cache_creation_input_tokens` (specification section 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from agentcache.emulator.prompt_cache import Charge
from agentcache.emulator.refusals import ApiError

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What one organisation may use per minute; the defaults never bind in a test."""

    requests: int = 1_000_000
    input_tokens: int = 1_000_000_000
    output_tokens: int = 1_000_000_000


class _Bucket:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0.0
        self._counted_at: float | None = None

    def used(self, now: float) -> float:
        if self._counted_at is not None:
            self._used = max(0.0, self._used - (now - self._counted_at) * self.limit / _MINUTE_S)
        self._counted_at = now
        return self._used

    def add(self, amount: int, now: float) -> None:
        self._used = self.used(now) + amount

    def wait_s(self, now: float) -> float:
        """Return the seconds until the bucket has room again, 0 when it has."""
        over = self.used(now) - self.limit
        return 0.0 if over < 0 else (over + 1) * _MINUTE_S / self.limit

    def headers(self, name: str, now: float) -> list[tuple[str, str]]:
        used = self.used(now)
        prefix = f"anthropic-ratelimit-{name}"
        return [
            (f"{prefix}-limit", str(self.limit)),
            (f"{prefix}-remaining", str(max(0, int(self.limit - used)))),
            (f"{prefix}-reset", rfc3339(now + used * _MINUTE_S / self.limit)),
        ]


class RateLimiter:
    """The buckets of one organisation."""

    def __init__(self, limits: RateLimits | None = None) -> None:
        """Start with full allowance."""
        self._limits = limits or RateLimits()
        self._buckets: dict[str, _Bucket] = {}
        self.clear()

    def clear(self) -> None:
        """Give the whole allowance back."""
        limits = self._limits
        self._buckets = {
            "requests": _Bucket(limits.requests),
            "input-tokens": _Bucket(limits.input_tokens),
            "output-tokens": _Bucket(limits.output_tokens),
        }

    def admit(self, now: float) -> None:
        """Count one request; raises `ApiError` (429) with the seconds to wait when a bucket is empty."""
        for name, bucket in self._buckets.items():
            wait_s = bucket.wait_s(now)
            if wait_s:
                words = name.replace("-", " ")
                raise ApiError(
                    f"This request would exceed your organization's rate limit of {bucket.limit:,} {words} per minute",
                    kind="rate_limit_error",
                    retry_after_s=wait_s,
                )
        self._buckets["requests"].add(1, now)

    def count(self, charge: Charge, output_tokens: int, now: float) -> None:
        """Count what an answered request used."""
        self._buckets["input-tokens"].add(charge.total_tokens - charge.read_tokens, now)
        self._buckets["output-tokens"].add(output_tokens, now)

    def headers(self, now: float) -> list[tuple[str, str]]:
        """Return the `anthropic-ratelimit-*` headers of an answer at `now`."""
        return [header for name, bucket in self._buckets.items() for header in bucket.headers(name, now)]


def rfc3339(seconds: float) -> str:
    """Return a moment in seconds since the epoch as the API writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
