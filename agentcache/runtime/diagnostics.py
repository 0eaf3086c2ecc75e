"""Asks the API for its own diagnosis of each call: what its request changed against the call before (spec section 8).

The request field `diagnostics` names the message that the conversation's previous call was answered with; the answer
says where the two requests part, or null where the later one only grew. Both go into the row's plan under
`diagnostics`, beside our own account of the prefix. The API compares requests, not caches: null with few tokens read
is an entry that expired. No text is sent or kept for it, and it changes neither answer nor price.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.replies import Reply
from agentcache.runtime.requests import PreparedCall


@dataclass(slots=True)
class CacheDiagnostics:
    """Remembers the last message of each conversation, or of each run that is in none; the oldest go first.

    A conversation that another process began, and one whose last message is forgotten, asks as a first turn does.
    """

    room: int = 10_000
    _last: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def asking(self, prepared: PreparedCall, thread: str) -> PreparedCall:
        """Return the call with the question in its request; `thread` is the conversation, or the run."""
        asked: JsonObject = {"previous_message_id": self._last.get(thread)}
        return replace(prepared, request={**prepared.request, "diagnostics": asked})

    def answered(self, row: CallRecord, prepared: PreparedCall, reply: Reply, thread: str) -> CallRecord:
        """Return the row with question and answer in its plan, and remember the message for the next call."""
        self._last[thread] = reply.message_id
        self._last.move_to_end(thread)
        if len(self._last) > self.room:
            self._last.popitem(last=False)
        asked = prepared.request["diagnostics"]
        told: JsonObject = {**asked, "answer": reply.raw.get("diagnostics")} if isinstance(asked, dict) else {}
        return replace(row, plan={**row.plan, "diagnostics": told})
