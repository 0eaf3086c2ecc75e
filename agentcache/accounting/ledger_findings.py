"""Misses as findings: what happened, in words, with the code of the mistake where digests and times suffice for one.

Digests tell where a prompt changed: section, template, line and variable. What stood there only a ledger that keeps
text tells, and only then a change of text has a code. Amounts are those of `misses`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agentcache.accounting.api_diagnosis import api_diagnosis
from agentcache.accounting.explaining.head_changes import system_changes
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.accounting.explaining.text_changes import excerpt
from agentcache.accounting.misses import Cause, Miss, misses
from agentcache.accounting.mistakes import MISTAKES
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.section_changes import section_change
from agentcache.accounting.shortfall_findings import explain_recorded
from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.provenance import Provenance, SectionChange
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
    Stability.STATIC.value: "move {} to a less stable layer",
    Stability.SEMI_STATIC.value: "refresh {} less often, or move it to the session layer if it changes with every run",
    Stability.SESSION.value: "move {} to the turn layer, since it changes within a conversation",
    HISTORY: "only append to a conversation; shorten it seldom, and a lot at once",
    TURN: "only append to a conversation",
}

_SESSION_MOVED = "PC057"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a ledger keeps beside its calls: of sections what they are made of, and requests where it keeps text."""

    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    requests: Mapping[str, JsonObject] = field(default_factory=dict)


NOTHING_KEPT = Kept()


def explain_ledger(
    calls: Iterable[CallRecord], *, only: Callable[[CallRecord], bool] | None = None, kept: Kept = NOTHING_KEPT
) -> list[JsonObject]:
    """Return what calls lost, oldest first, as findings.

    calls: the ledger's, in any order; causes lie in earlier calls, so give them all. only: whose findings to return.
    kept: names template, line and variable, and says from what to what.

    Each finding has `call`, `run`, `agent`, `model`, `conversation`, `turn`, `sent_at`, `earlier_call`, `cause`, `code`
    (of the catalogue of mistakes; `None` where digests do not suffice), `name`, `severity`, `where`, `section`,
    `layer`, `path` (the template), `line`, `column`, `variables`, `before`, `after`, `available_tokens`,
    `read_tokens`, `lost_tokens`, `lost_usd` (decimal text), `gap_s`, `ttl_s`, `api` (its own diagnosis), `message` and
    `fix`. Calls that were imported have no digests; `explain_recorded` finds what their bills, times and marks tell.
    """
    rows = list(calls)
    missed = [miss for miss in misses(rows) if only is None or only(miss.call)]
    return explain_misses(missed, rows, only=only, kept=kept)


def explain_misses(
    missed: Sequence[Miss],
    calls: Sequence[CallRecord],
    *,
    only: Callable[[CallRecord], bool] | None = None,
    kept: Kept = NOTHING_KEPT,
) -> list[JsonObject]:
    """Return what `explain_ledger` does; `missed` is what `misses(calls)` says of those that are asked about."""
    known = [finding(miss, kept) for miss in missed]
    recorded = explain_recorded(calls, only=only)
    return sorted([*known, *recorded], key=_sent_at) if recorded else known


def _sent_at(told: JsonObject) -> float:
    at = told["sent_at"]
    return at if isinstance(at, float | int) else 0.0


def finding(miss: Miss, kept: Kept = NOTHING_KEPT) -> JsonObject:
    """Return one miss as a finding."""
    call, change = miss.call, section_change(miss, kept.provenance)
    seen = _seen(miss, kept.requests)
    code = _CODES.get(miss.cause) if seen is None else seen.code
    if code is None and miss.cause is Cause.MOVED and miss.span.layer == Stability.SESSION.value:
        code = _SESSION_MOVED
    known = MISTAKES.get(code or "")
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
        "code": code,
        "name": known.name if known else miss.cause.value,
        "severity": known.severity if known else "warning",
        "where": miss.span.where,
        "section": miss.span.section,
        "layer": miss.span.layer,
        "path": change.template if change else None,
        "line": change.line if change else None,
        "column": None,
        "variables": list(change.variables) if change else [],
        "before": excerpt(seen.before) if seen else None,
        "after": excerpt(seen.after) if seen else None,
        "available_tokens": miss.available_tokens,
        "read_tokens": miss.read_tokens,
        "lost_tokens": miss.lost_tokens,
        "lost_usd": None if miss.lost_usd is None else plain_usd(miss.lost_usd),
        "gap_s": miss.gap_s,
        "ttl_s": miss.ttl_s,
        "api": api_diagnosis(miss).to_json(),
        "message": _message(miss, change),
        "fix": miss_fix(miss, change),
    }


def miss_fix(miss: Miss, change: SectionChange | None = None) -> str:
    """Return what to do about a miss; about the variable that changed, where that is known."""
    if miss.cause is not Cause.MOVED:
        return _FIXES[miss.cause]
    names = [f"`{name}`" for name in change.variables] if change else []
    return _MOVED_FIXES[miss.span.layer].format(" and ".join(names) or "what changes")


def _seen(miss: Miss, requests: Mapping[str, JsonObject]) -> Suspect | None:
    """Return what became of the text of a section that moved, where both requests were kept."""
    before, now = requests.get(miss.earlier.call_id), requests.get(miss.call.call_id)
    if miss.cause is not Cause.MOVED or miss.span.section is None or before is None or now is None:
        return None
    same = miss.call.conversation is not None and miss.call.conversation == miss.earlier.conversation
    old, new = (_logged(call, request) for call, request in ((miss.earlier, before), (miss.call, now)))
    return next((seen for seen in system_changes(old, new, carried_on=same) if seen.where == miss.span.where), None)


def _logged(call: CallRecord, request: JsonObject) -> LoggedCall:
    return LoggedCall(index=0, at_s=call.sent_at, first_token_at_s=call.sent_at, request=request)


def _message(miss: Miss, change: SectionChange | None) -> str:
    earlier, gap, tokens = miss.earlier.call_id, f"{miss.gap_s:,.0f} s", f"{miss.available_tokens:,} tokens"
    match miss.cause:
        case Cause.EXPIRED:
            return f"{tokens} were cached for {miss.ttl_s:,.0f} s and had last been used {gap} before."
        case Cause.CONCURRENT:
            return f"{earlier} was writing the same {tokens} and had not begun to answer, {gap} after it was sent."
        case Cause.MOVED:
            cause = "" if change is None else f": {change.words()}, and that changed between the calls"
            return f"the prompt is another than that of {earlier} from {_place(miss.span)} on{cause}."
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
