"""How a record becomes a row of its table, and a row a record again.

Fields and columns share their names. Where they differ: usage is five columns (all NULL when it is unknown), parts
are a list of flat JSON objects, and tuples are lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TypeAlias, TypeVar

from sqlalchemy import RowMapping

from agentcache.accounting.usage import (
    BilledPart,
    CallKind,
    CallRecord,
    RunRecord,
    RunStatus,
    ToolCallRecord,
    Usage,
)
from agentcache.prompt.canonical import ROOT_DIGEST, JsonObject
from agentcache.prompt.message_chain import MessageNode
from agentcache.prompt.spans import span_from_json
from agentcache.stores.protocols import StoredConversation

Row: TypeAlias = dict[str, object]
"""Values by column name."""

_Record = TypeVar("_Record", RunRecord, CallRecord, ToolCallRecord, StoredConversation)

BUCKETS = tuple(item.name for item in fields(Usage))
_PART_WORDS = ("service_tier", "speed", "inference_geo")


def run_row(run: RunRecord) -> Row:
    """Return a run as a row of `runs`."""
    return _values(run) | {"status": run.status.value}


def run_of(row: RowMapping) -> RunRecord:
    """Return the run of a row."""
    return RunRecord(**dict(row) | {"status": RunStatus(row["status"])})


def call_row(call: CallRecord) -> Row:
    """Return a call as a row of `calls`."""
    row = _values(call)
    del row["usage"]
    return row | {
        "kind": call.kind.value,
        **{name: getattr(call.usage, name, None) for name in BUCKETS},
        "parts": [_part_json(part) for part in call.parts],
        "section_tokens": dict(call.section_tokens),
        "prefix_digests": list(call.prefix_digests),
        "found_digests": list(call.found_digests),
        "held_s": None if call.held_s is None else dict(call.held_s),
        "prompt_spans": None if call.prompt_spans is None else [span.to_json() for span in call.prompt_spans],
    }


def call_of(row: RowMapping) -> CallRecord:
    """Return the call of a row."""
    values = dict(row)
    buckets = {name: values.pop(name) for name in BUCKETS}
    known = buckets["uncached_input_tokens"] is not None
    values |= {
        "kind": CallKind(row["kind"]),
        "usage": Usage(**buckets) if known else None,
        "parts": tuple(part_of(part) for part in row["parts"]),
        "prefix_digests": tuple(row["prefix_digests"]),
        "found_digests": tuple(row["found_digests"]),
        "prompt_spans": None if row["prompt_spans"] is None else tuple(map(span_from_json, row["prompt_spans"])),
    }
    return CallRecord(**values)


def tool_call_row(tool_call: ToolCallRecord) -> Row:
    """Return a tool call as a row of `tool_calls`."""
    return _values(tool_call)


def tool_call_of(row: RowMapping) -> ToolCallRecord:
    """Return the tool call of a row."""
    return ToolCallRecord(**row)


def conversation_row(conversation: StoredConversation) -> Row:
    """Return a conversation as a row of `conversations`, its version being the one that it had."""
    row = _values(conversation)
    del row["messages"]
    return row | {"state": dict(conversation.state), "head": stored_head(conversation.head)}


def message_row(node: MessageNode) -> Row:
    """Return one message of a history as a row of `conversation_messages`."""
    return {
        "digest": node.digest,
        "parent": stored_head(node.parent),
        "depth": node.depth,
        "message": node.message,
    }


def stored_head(head: str) -> str | None:
    """Return a digest as rows refer to it: the empty history is no row, and `NULL` stands for it."""
    return None if head == ROOT_DIGEST else head


def _values(record: _Record) -> Row:
    return {item.name: getattr(record, item.name) for item in fields(record)}


def _part_json(part: BilledPart) -> JsonObject:
    words = {name: getattr(part, name) for name in _PART_WORDS}
    return {
        "model": part.model,
        "kind": part.kind.value,
        "web_searches": part.web_searches,
        **{name: getattr(part.usage, name) for name in BUCKETS},
        **{name: word for name, word in words.items() if word is not None},
    }


def part_of(told: Mapping[str, str | int]) -> BilledPart:
    """Return a billed part from its JSON in a row."""
    return BilledPart(
        model=str(told["model"]),
        usage=Usage(**{name: int(told[name]) for name in BUCKETS}),
        kind=CallKind(str(told["kind"])),
        web_searches=int(told["web_searches"]),
        **{name: str(told[name]) for name in _PART_WORDS if name in told},
    )
