"""A call as sums need it: what it was billed, whose it was, and which prefixes it wrote and found.

A ledger of a million calls is summed up in these and not in `CallRecord`s, which cost ten times as much to make; a
database reads them from a few columns (`stores/rows.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from agentcache.accounting.pricing import cost_usd
from agentcache.accounting.usage import BilledPart, CallRecord
from agentcache.prompt.canonical import JsonValue

Buckets: TypeAlias = tuple[int, int, int, int, int]
"""Tokens in the order of the fields of `Usage`: uncached, written for 5m, written for 1h, read, output."""


class BilledCall(NamedTuple):
    """A call, without what no sum needs. Times are Unix seconds; fields mean what those of `CallRecord` mean."""

    call_id: str
    run_id: str
    kind: str
    agent: str | None
    model: str
    conversation: str | None
    sent_at: float
    failed: bool
    """Whether it ended in an error."""
    usage: Buckets | None
    cost_usd: Decimal | None
    counterfactual_usd: Decimal | None
    held_s: Mapping[str, float] | None
    held_saved_usd: Decimal | None
    prefix_digests: Sequence[str]
    found_digests: Sequence[str]
    kept_tokens: Mapping[str, int]
    """The plan's estimate of how long the prefix of each kept breakpoint is, by its digest."""
    unpriced_models: Sequence[str]
    """Models that it lacks a price for; empty when it is priced, or of unknown usage."""


class SentCall(NamedTuple):
    """A call, as far as pauses between calls and what was spent when depend on it."""

    sent_at: float
    run_id: str
    kind: str
    agent: str | None
    model: str
    conversation: str | None
    cost_usd: Decimal | None


class AskedToolCall(NamedTuple):
    """A tool call with what is known of the model call that asked for it."""

    started_at: float
    run_id: str
    """The run of the call that asked for it or, where that is not known, its own."""
    agent: str | None
    """Whose tool it was."""
    memo_hit: bool
    is_known: bool
    """Whether the ledger has the call that asked for it; the next three are nothing if not."""
    is_billed: bool
    """Whether the usage of that call is known."""
    asked_by: str | None
    """The agent of that call."""
    asked_model: str


def billed_call(call: CallRecord) -> BilledCall:
    """Return what sums need of a record."""
    usage = call.usage
    return BilledCall(
        call.call_id,
        call.run_id,
        call.kind.value,
        call.agent,
        call.model,
        call.conversation,
        call.sent_at,
        call.error is not None,
        None
        if usage is None
        else (
            usage.uncached_input_tokens,
            usage.cache_write_5m_tokens,
            usage.cache_write_1h_tokens,
            usage.cache_read_tokens,
            usage.output_tokens,
        ),
        call.cost_usd,
        call.counterfactual_usd,
        call.held_s,
        call.held_saved_usd,
        call.prefix_digests,
        call.found_digests,
        kept_tokens(call.plan),
        unpriced_models(call.model, call.own_parts) if usage is not None and call.cost_usd is None else (),
    )


def sent_call(call: CallRecord) -> SentCall:
    """Return what pauses and spans of time need of a record."""
    return SentCall(
        call.sent_at, call.run_id, call.kind.value, call.agent, call.model, call.conversation, call.cost_usd
    )


def kept_tokens(plan: Mapping[str, JsonValue]) -> dict[str, int]:
    """Return the estimated length of each kept breakpoint's prefix, by its digest, as `Plan.to_json` tells it."""
    kept = plan.get("kept")
    points = [point for point in kept if isinstance(point, Mapping)] if isinstance(kept, list) else []
    told = [(point.get("digest"), point.get("tokens")) for point in points]
    return {digest: each for digest, each in told if isinstance(digest, str) and isinstance(each, int)}


def unpriced_models(model: str, parts: Sequence[BilledPart]) -> tuple[str, ...]:
    """Return the models whose price an unpriced call of known usage lacks: those of its parts, or else its own."""
    return tuple(part.model for part in parts if cost_usd(part) is None) or (model,)
