"""Shortfalls of recorded sessions as findings: what is proved, in words, and the code where the cause is.

What is only narrowed down has no code: the record tells where the prompt was another, and neither what changed there
nor whether the server had dropped an entry early, which looks the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agentcache.accounting.mistakes import MISTAKES
from agentcache.accounting.observed import Event
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.shortfalls import Certainty, ShortCause, Shortfall, shortfalls
from agentcache.accounting.usage import CallRecord
from agentcache.prompt.canonical import JsonObject

CODES: Mapping[ShortCause, str] = {
    ShortCause.MODEL_CHANGED: "PC036",
    ShortCause.EXPIRED: "PC050",
    ShortCause.CONCURRENT: "PC051",
    ShortCause.COMPACTED: "PC027",
    ShortCause.THINKING_CHANGED: "PC038",
    ShortCause.THINKING_STRIPPED: "PC031",
    ShortCause.HISTORY_SHORTENED: "PC025",
    ShortCause.LOOKBACK_EXCEEDED: "PC047",
}
"""Codes of the catalogue of mistakes, for the causes that a record proves."""

_WHERE: Mapping[ShortCause, str] = {
    ShortCause.MODEL_CHANGED: "model",
    ShortCause.EXPIRED: "ttl",
    ShortCause.CONCURRENT: "concurrency",
    ShortCause.COMPACTED: "messages",
    ShortCause.THINKING_CHANGED: "thinking",
    ShortCause.THINKING_STRIPPED: "thinking",
    ShortCause.HISTORY_SHORTENED: "messages",
    ShortCause.LOOKBACK_EXCEEDED: "lookback",
    ShortCause.HEAD_CHANGED: "system",
    ShortCause.MESSAGES_CHANGED: "messages",
    ShortCause.HISTORY_CHANGED: "messages",
}

_FIXES: Mapping[ShortCause, str] = {
    ShortCause.CHANGED_FOR_ONE_CALL: "compare this request's settings and tools with those of the calls around it",
    ShortCause.HEAD_CHANGED: "compare tools, system prompt and settings of both requests; record requests to see them",
    ShortCause.MESSAGES_CHANGED: "compare the first messages and the settings of both requests; record requests",
    ShortCause.HISTORY_CHANGED: "compare the messages of both requests from there on; record requests to see them",
    ShortCause.UNEXPLAINED: "record requests (`--record-requests`, or a proxy's log) to compare them",
}

_EVENTS: Mapping[Event, str] = {
    Event.RESTARTED: "the client was left and started again",
    Event.MODEL_SET: "the user set a model",
    Event.COMPACTED: "the client compacted",
    Event.CLEARED: "the client took old tool results out",
    Event.COMMAND: "a command or skill was expanded",
    Event.TOOLS_ANNOUNCED: "tools or MCP servers came or went",
    Event.TOOLS_LOADED: "a tool search loaded tools",
}


_BETWEEN = "read {read} of {left}: the prompt was another, or not found, between token {read} and token {upto}"

_SENTENCES: Mapping[ShortCause, str] = {
    ShortCause.MODEL_CHANGED: "{earlier_model} had left {left}; {model} has a cache of its own.",
    ShortCause.EXPIRED: "{left} were cached for {lifetime} and had last been used {gap} before.",
    ShortCause.CONCURRENT: "the call that wrote {left} was still being answered, {gap} after it was sent.",
    ShortCause.COMPACTED: "a summary stands in the place of a history of {left}.",
    ShortCause.THINKING_CHANGED: "thinking was switched, as the answers show; {read} of {left} were still found.",
    ShortCause.THINKING_STRIPPED: "the user spoke, the API took the last turn's thinking out; {read} of {left} read.",
    ShortCause.HISTORY_SHORTENED: "the prompt shrank to {total} tokens from {left}, though the conversation went on.",
    ShortCause.LOOKBACK_EXCEEDED: "the prompt grew further than a breakpoint looks back; {read} of {left} were read.",
    ShortCause.CHANGED_FOR_ONE_CALL: "read {read} of {left}, which the next call found again.",
    ShortCause.HEAD_CHANGED: f"{_BETWEEN}, within tools and system or what is rendered with them.",
    ShortCause.MESSAGES_CHANGED: f"{_BETWEEN}, right behind the head.",
    ShortCause.HISTORY_CHANGED: f"{_BETWEEN}, within the history.",
    ShortCause.UNEXPLAINED: "read {read} of {left}, a length that no other call tells anything of.",
}


def explain_recorded(
    calls: Iterable[CallRecord], *, only: Callable[[CallRecord], bool] | None = None
) -> list[JsonObject]:
    """Return what recorded calls lost, oldest first, as findings.

    calls: all that are known, in any order; lengths that other sessions found tell which are heads. only: whose
    findings to return. Rows whose prompt the runtime knows are left to `explain_ledger`.

    Each finding has the keys of `explain_ledger` and `name`, `severity`, `certainty` (`explained`, `narrowed`,
    `unexplained`), `upto_tokens` and `events`. `code` is `None` unless the certainty is `explained`.
    """
    return [recorded_finding(each) for each in shortfalls(calls) if only is None or only(each.call)]


def recorded_finding(found: Shortfall) -> JsonObject:
    """Return one shortfall as a finding."""
    call, code = found.call, CODES.get(found.cause)
    return {
        "call": call.call_id,
        "run": call.run_id,
        "agent": call.agent,
        "model": call.model,
        "conversation": call.conversation,
        "turn": call.turn,
        "sent_at": call.sent_at,
        "earlier_call": found.earlier.call_id,
        "cause": found.cause.value,
        "certainty": found.certainty.value,
        "code": code,
        "name": None if code is None else MISTAKES[code].name,
        "severity": _severity(found),
        "where": where(found),
        "section": None,
        "layer": None,
        "available_tokens": found.left_tokens,
        "read_tokens": found.read_tokens,
        "upto_tokens": found.upto_tokens,
        "lost_tokens": found.lost_tokens,
        "lost_usd": None if found.lost_usd is None else plain_usd(found.lost_usd),
        "gap_s": found.gap_s,
        "ttl_s": found.ttl_s,
        "events": [event.value for event in found.events],
        "message": _message(found),
        "fix": _FIXES[found.cause] if code is None else MISTAKES[code].fix,
    }


def where(found: Shortfall) -> str | None:
    """Return the place in a request that a shortfall points to, `None` where there is no telling."""
    if found.found_messages is not None:
        return f"messages[{found.found_messages}]"
    return _WHERE.get(found.cause)


def _severity(found: Shortfall) -> str:
    code = CODES.get(found.cause)
    if code is not None:
        return MISTAKES[code].severity
    return "info" if found.certainty is Certainty.UNEXPLAINED else "warning"


def _message(found: Shortfall) -> str:
    beside = [_EVENTS[event] for event in found.events]
    told = f" Before it, {' and '.join(beside)}." if beside else ""
    return f"{_sentence(found)}{told}"


def _sentence(found: Shortfall) -> str:
    """Return what happened; the templates of `_SENTENCES` with this shortfall's numbers."""
    usage = found.call.usage
    return _SENTENCES[found.cause].format(
        left=f"{found.left_tokens:,} tokens",
        read=f"{found.read_tokens:,}",
        upto=f"{found.upto_tokens or 0:,}",
        total=f"{usage.input_tokens if usage else 0:,}",
        model=found.call.model,
        earlier_model=found.earlier.model,
        gap=f"{found.gap_s:,.0f} s",
        lifetime="an hour at most" if found.ttl_s is None else f"{found.ttl_s:,.0f} s",
    )


def shares_by_cause(findings: Iterable[JsonObject]) -> list[JsonObject]:
    """Return findings counted by cause, most calls first: `cause`, `certainty`, `code`, `calls`, `lost_tokens`."""
    counted: dict[str, tuple[JsonObject, int, int]] = {}
    for each in findings:
        cause, lost = str(each["cause"]), each["lost_tokens"]
        told, calls, tokens = counted.get(cause, (each, 0, 0))
        counted[cause] = (told, calls + 1, tokens + (lost if isinstance(lost, int) else 0))
    ranked = sorted(counted.items(), key=lambda item: (-item[1][1], item[0]))
    return [
        {
            "cause": cause,
            "certainty": told["certainty"],
            "code": told["code"],
            "calls": calls,
            "lost_tokens": tokens,
        }
        for cause, (told, calls, tokens) in ranked
    ]
