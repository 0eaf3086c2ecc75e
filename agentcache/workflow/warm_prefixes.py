"""Which prefixes can be read right now, as far as this process knows, and which are being written by whom.

Pure; time comes in. A prefix counts as readable from the first event of a reply whose request wrote or read it, for
its lifetime from the start of that request (spec sections 5 and 6). That holds for a reply that breaks off later too:
the server makes the entry readable when the response begins, whatever becomes of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agentcache.prompt.model_facts import TTL_SECONDS
from agentcache.prompt.plans import Breakpoint
from agentcache.runtime.admission import CallToSend

Key = tuple[str, str]
"""Model and digest of a prefix."""

REMEMBERED = 100_000
"""Prefixes to keep in mind; the longest unused are forgotten first, which costs a needless wait and nothing else."""


@dataclass(slots=True)
class WarmPrefixes:
    """Remembers until when each prefix can be read."""

    _until: dict[Key, float] = field(default_factory=dict)

    def cold(self, call: CallToSend, *, now: float) -> list[Breakpoint]:
        """Return those of the call's breakpoints whose prefix it would write."""
        return [mark for mark in call.marks if not self._is_warm((call.model, mark.prefix_digest), now)]

    def warm_tokens(self, call: CallToSend, *, now: float) -> int:
        """Return the estimated tokens of the call's prompt that it can read."""
        readable = [mark.prefix_tokens for mark in call.marks if self._is_warm((call.model, mark.prefix_digest), now)]
        if call.found_digest is not None and self._is_warm((call.model, call.found_digest), now):
            readable.append(call.found_tokens)
        return max(readable, default=0)

    def begun(self, call: CallToSend, *, sent_at: float) -> None:
        """Note that the reply to a call began, which was sent at `sent_at`."""
        for mark in call.marks:
            key = (call.model, mark.prefix_digest)
            self._until.pop(key, None)
            self._until[key] = sent_at + TTL_SECONDS[mark.ttl]
        while len(self._until) > REMEMBERED:
            del self._until[next(iter(self._until))]

    def _is_warm(self, key: Key, now: float) -> bool:
        return self._until.get(key, now) > now
