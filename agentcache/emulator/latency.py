"""How long an answer takes: first token after a base and the uncached tokens, then a steady rate of output.

A model of the shape, not of any real deployment; the default is no delay at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentcache.emulator.prompt_cache import Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds to the first token and between output tokens."""

    base_s: float = 0.0
    uncached_s_per_1000_tokens: float = 0.0
    """Added per 1,000 tokens that had to be processed: written or plain."""
    read_s_per_1000_tokens: float = 0.0
    """Added per 1,000 tokens read from the cache."""
    output_s_per_token: float = 0.0

    def first_token_s(self, charge: Charge) -> float:
        """Return the seconds from the start of a request to its first byte."""
        processed = charge.total_tokens - charge.read_tokens
        return (
            self.base_s
            + self.uncached_s_per_1000_tokens * processed / 1000
            + self.read_s_per_1000_tokens * charge.read_tokens / 1000
        )

    def output_s(self, output_tokens: int) -> float:
        """Return the seconds from the first byte to the last."""
        return self.output_s_per_token * output_tokens


REALISTIC = Latency(base_s=0.6, uncached_s_per_1000_tokens=0.05, read_s_per_1000_tokens=0.002, output_s_per_token=0.015)
"""Round numbers in the range that users report for mid-size models; for demonstrations, not for conclusions."""
