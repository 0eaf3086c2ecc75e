"""What is known of one request to the model while it is under way.

Pure: `client.py` makes requests and notes here what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.replies import CallObserver, Reply, ReplyBuilder, reply_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What stays the same over the attempts of one call."""

    content: bytes
    headers: Mapping[str, str]
    observer: CallObserver


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One request under way: what is known of it so far. Times are Unix seconds."""

    number: int
    sent_at: float
    builder: ReplyBuilder = field(default_factory=ReplyBuilder)
    request_id: str | None = None
    accepted: bool = False
    """Whether the server began to answer, so that it may bill whatever becomes of it."""
    first_token_at: float | None = None
    ended_at: float | None = None

    def reply(self, message: JsonObject, *, ended_at: float, usage_told: bool = True) -> Reply:
        """Return the reply that a message of it makes. Raises `ReplyMalformed` for one that makes none."""
        return reply_of(
            message,
            request_id=self.request_id,
            attempts=self.number,
            sent_at=self.sent_at,
            first_token_at=self.first_token_at,
            ended_at=ended_at,
            usage_told=usage_told,
        )
