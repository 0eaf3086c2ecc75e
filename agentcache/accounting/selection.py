"""Which rows of the ledger a report counts.

What is left out of the count is still looked at where it bears on what is counted: a token that one agent wrote and
another one read was not wasted, whoever is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentcache.accounting.usage import CallRecord, ToolCallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What counts: one agent's own rows, one model's, those that began before `until` (Unix seconds); `None` is all."""

    agent: str | None = None
    model: str | None = None
    until: float | None = None

    def has_call(self, call: CallRecord) -> bool:
        """Tell whether a call counts."""
        return (
            (self.agent is None or call.agent == self.agent)
            and (self.model is None or call.model == self.model)
            and (self.until is None or call.sent_at < self.until)
        )

    def has_tool_call(self, tool_call: ToolCallRecord, calls: Mapping[str, CallRecord]) -> bool:
        """Tell whether a tool call counts. `calls`, by id, say which model asked for it; unknown is none of them."""
        asked = calls.get(tool_call.call_id)
        return (
            (self.agent is None or tool_call.agent == self.agent)
            and (self.model is None or (asked is not None and asked.model == self.model))
            and (self.until is None or tool_call.started_at < self.until)
        )


EVERYTHING = Selection()
