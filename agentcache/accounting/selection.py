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
    """What counts: one agent's own rows, one model's, those that began from `since` on and before `until`.

    Times are Unix seconds; `None` is all.
    """

    agent: str | None = None
    model: str | None = None
    since: float | None = None
    until: float | None = None

    def has(self, agent: str | None, model: str | None, began_at: float) -> bool:
        """Tell whether what an agent and a model began then counts."""
        return (
            (self.agent is None or agent == self.agent)
            and (self.model is None or model == self.model)
            and (self.since is None or began_at >= self.since)
            and (self.until is None or began_at < self.until)
        )

    def has_call(self, call: CallRecord) -> bool:
        """Tell whether a call counts."""
        return self.has(call.agent, call.model, call.sent_at)

    def has_tool_call(self, tool_call: ToolCallRecord, calls: Mapping[str, CallRecord]) -> bool:
        """Tell whether a tool call counts. `calls`, by id, say which model asked for it; unknown is none of them."""
        asked = calls.get(tool_call.call_id)
        return self.has(tool_call.agent, None if asked is None else asked.model, tool_call.started_at)


EVERYTHING = Selection()
