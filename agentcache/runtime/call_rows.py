"""What the ledger says of a call: answered, broken off, refused or cancelled.

Pure. The rule behind all four: usage is what the server said it billed; zero where it is known that a refused
request is free; `None` where nobody knows.
"""

from __future__ import annotations

from dataclasses import replace

from agentcache.accounting.reading import usage_of
from agentcache.accounting.usage import CallRecord, Usage
from agentcache.errors import CallError
from agentcache.runtime.replies import Reply


def answered(row: CallRecord, reply: Reply, *, keep_text: bool) -> CallRecord:
    """Return the row of a call that was answered to the end; what it was billed is unknown if the end did not tell."""
    told = _told(row, reply, keep_text=keep_text)
    return told if reply.usage_told else replace(told, usage=None, parts=())


def _told(row: CallRecord, reply: Reply, *, keep_text: bool) -> CallRecord:
    usage, parts = usage_of(reply.usage, model=reply.model or row.model)
    return replace(
        row,
        message_id=reply.message_id,
        request_id=reply.request_id,
        sent_at=reply.sent_at,
        first_token_at=reply.first_token_at,
        ended_at=reply.ended_at,
        stop_reason=reply.stop_reason,
        attempts=reply.attempts,
        usage=usage,
        parts=parts,
        response=reply.raw if keep_text else None,
    )


def broken_off(row: CallRecord, partial: Reply, error: str, *, keep_text: bool) -> CallRecord:
    """Return the row of an attempt whose reply began and did not end: billed, as far as the server had said."""
    return replace(_told(row, partial, keep_text=keep_text), error=error)


def never_begun(row: CallRecord, error: str, *, at: float) -> CallRecord:
    """Return the row of an attempt that the server accepted and whose reply never began: nobody knows its bill."""
    return replace(row, ended_at=at, error=error)


def unanswered(row: CallRecord, error: BaseException, *, reason: str, at: float) -> CallRecord:
    """Return the row of a call that got no reply, `reason` in words.

    It was free of charge when the API itself said no; when it was cancelled or the connection died, nobody knows.
    """
    ended = replace(row, ended_at=at, error=reason)
    if not isinstance(error, CallError):
        return ended
    return replace(
        ended,
        attempts=error.attempts,
        request_id=error.request_id,
        usage=None if error.status is None else Usage(),
    )
