"""Misses as findings: what happened, in words, with the code of the mistake where digests and times suffice for one.

Digests tell where a prompt changed, never what stands there: a change of text has no code here. Amounts are those of
`misses`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agentcache.accounting.misses import Cause, Miss, misses
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.shortfall_findings import explain_recorded
from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.sections import Stability
from agentcache.prompt.spans import HISTORY, SETTINGS, TOOLS, TURN, Span

_CODES: Mapping[Cause, str] = {
    Cause.EXPIRED: "PC050",
    Cause.CONCURRENT: "PC051",
    Cause.NEVER_WRITTEN: "PC043",
    Cause.BELOW_MINIMUM: "PC048",
}

_FIXES: Mapping[Cause, str] = {
    Cause.EXPIRED: "give the prefix a lifetime of 1h, keep it alive, or accept it when such pauses are rare",
    Cause.CONCURRENT: "let one call begin to answer before the others go out; the scheduler does, unless switched off",
    Cause.NEVER_WRITTEN: "let the planner place breakpoints (`cache='auto'`), or mark the end of the shared text",
    Cause.BELOW_MINIMUM: "nothing to mend: merge it with a longer section, or leave it uncached",
    Cause.UNEXPLAINED: "compare the workspace, region and beta headers of both calls; else the entry was evicted early",
}

_MOVED_FIXES: Mapping[str, str] = {
    TOOLS: "keep the tools' order, descriptions and schemas the same for every call of the agent",
    SETTINGS: "keep tool choice, thinking, effort and output format the same for the conversation",
    Stability.STATIC.value: "move what changes to a less stable layer",
    Stability.SEMI_STATIC.value: "refresh it less often, or move what changes with every run to the session layer",
    Stability.SESSION.value: "move what changes within a conversation to the turn layer",
    HISTORY: "only append to a conversation; shorten it seldom, and a lot at once",
    TURN: "only append to a conversation",
}


def explain_ledger(
    calls: Iterable[CallRecord], *, only: Callable[[CallRecord], bool] | None = None
) -> list[JsonObject]:
    """Return what calls lost, oldest first, as findings.

    calls: the ledger's, in any order; causes lie in earlier calls, so give them all. only: whose findings to return.

    Each finding has `call`, `run`, `agent`, `model`, `conversation`, `turn`, `sent_at`, `earlier_call`, `cause`, `code`
    (of the catalogue of mistakes; `None` where digests do not suffice), `where`, `section`, `layer`,
    `available_tokens`, `read_tokens`, `lost_tokens`, `lost_usd` (decimal text), `gap_s`, `ttl_s`, `message` and `fix`.
    Calls that were imported have no digests; `explain_recorded` finds what their bills, times and marks tell.
    """
    rows = list(calls)
    known = [finding(miss) for miss in misses(rows) if only is None or only(miss.call)]
    recorded = explain_recorded(rows, only=only)
    return sorted([*known, *recorded], key=_sent_at) if recorded else known


def _sent_at(told: JsonObject) -> float:
    at = told["sent_at"]
    return at if isinstance(at, float | int) else 0.0


def finding(miss: Miss) -> JsonObject:
    """Return one miss as a finding."""
    call = miss.call
    return {
        "call": call.call_id,
        "run": call.run_id,
        "agent": call.agent,
        "model": call.model,
        "conversation": call.conversation,
        "turn": call.turn,
        "sent_at": call.sent_at,
        "earlier_call": miss.earlier.call_id,
        "cause": miss.cause.value,
        "code": _code(miss),
        "where": miss.span.where,
        "section": miss.span.section,
        "layer": miss.span.layer,
        "available_tokens": miss.available_tokens,
        "read_tokens": miss.read_tokens,
        "lost_tokens": miss.lost_tokens,
        "lost_usd": None if miss.lost_usd is None else plain_usd(miss.lost_usd),
        "gap_s": miss.gap_s,
        "ttl_s": miss.ttl_s,
        "message": _message(miss),
        "fix": _MOVED_FIXES[miss.span.layer] if miss.cause is Cause.MOVED else _FIXES[miss.cause],
    }


def _code(miss: Miss) -> str | None:
    if miss.cause is Cause.MOVED and miss.span.layer == Stability.SESSION.value:
        return "PC057"
    return _CODES.get(miss.cause)


def _message(miss: Miss) -> str:
    earlier, gap, tokens = miss.earlier.call_id, f"{miss.gap_s:,.0f} s", f"{miss.available_tokens:,} tokens"
    match miss.cause:
        case Cause.EXPIRED:
            return f"{tokens} were cached for {miss.ttl_s:,.0f} s and had last been used {gap} before."
        case Cause.CONCURRENT:
            return f"{earlier} was writing the same {tokens} and had not begun to answer, {gap} after it was sent."
        case Cause.MOVED:
            return f"the prompt is another than that of {earlier} from {_place(miss.span)} on."
        case Cause.NEVER_WRITTEN:
            return f"{earlier} sent the same {tokens} {gap} before and cached nothing."
        case Cause.BELOW_MINIMUM:
            return f"{earlier} sent the same {tokens}, which are fewer than the model caches."
        case Cause.UNEXPLAINED:
            return f"{tokens} should have lived: last used {gap} before, for {miss.ttl_s:,.0f} s."


def _place(span: Span) -> str:
    if span.layer == SETTINGS:
        return f"the settings that are rendered with {span.where}"
    named = f"section {span.section!r}, " if span.section else ""
    return f"{span.where} ({named}layer {span.layer})"
