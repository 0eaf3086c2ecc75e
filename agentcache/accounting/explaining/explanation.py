"""From a log of calls to its explanations: one for each root cause in a family of calls, at the first call it hit.

The bill overrules the difference: where a call read all that the one before it left in the cache, nothing was lost and
nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache.accounting.explaining.catalogue import CAUSES, Explanation, Severity, Suspect
from agentcache.accounting.explaining.head_changes import system_changes, tool_changes
from agentcache.accounting.explaining.lines_of_descent import Descent, descent_of
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.marker_faults import (
    family_fault,
    growth_fault,
    is_one_shot_traffic,
    sibling_fault,
    unread_history,
)
from agentcache.accounting.explaining.message_changes import message_change
from agentcache.accounting.explaining.setting_changes import setting_changes
from agentcache.accounting.explaining.text_changes import excerpt

REGULAR_GAPS = 2
"""An expiry that comes back this often is a cadence, no accident."""


@dataclass(slots=True)
class _Found:
    """A root cause and the calls that it hit, first one first."""

    suspect: Suspect
    descent: Descent | None
    calls: list[LoggedCall] = field(default_factory=list)
    lost: list[tuple[LoggedCall, int | None]] = field(default_factory=list)


def explain_calls(calls: Sequence[LoggedCall]) -> list[Explanation]:
    """Return why calls of a log (in the order of time) missed, in the order of the first call that each cause hit."""
    descents = _descents(calls)
    families = _families(calls, descents)
    found: dict[tuple[int, str], _Found] = {}
    for call in calls:
        descent = descents[call.index]
        if descent is None:
            continue
        for suspect in _suspects(call, descent, calls, descents):
            entry = found.setdefault((families[call.index], suspect.code), _Found(suspect, descent))
            entry.calls.append(call)
            entry.lost.append((call, _lost_tokens(call, descent)))
    for family in sorted(set(families.values())):
        members = [call for call in calls if families[call.index] == family]
        suspect = family_fault(members)
        if suspect is not None:
            found[family, suspect.code] = _Found(suspect, None, members, [(call, None) for call in members])
    if not found and is_one_shot_traffic(calls):
        found[0, "PC054"] = _Found(Suspect("PC054", "ttl", "unread_writes"), None, list(calls), [])
    ordered = sorted(found.values(), key=lambda entry: (entry.calls[0].index, entry.suspect.code))
    return [_explanation(entry) for entry in ordered]


def _descents(calls: Sequence[LoggedCall]) -> dict[int, Descent | None]:
    return {call.index: descent_of(call, calls[:place]) for place, call in enumerate(calls)}


def _families(calls: Sequence[LoggedCall], descents: dict[int, Descent | None]) -> dict[int, int]:
    """Return for each call the first call of its family: all that descend from it."""
    families: dict[int, int] = {}
    for call in calls:
        descent = descents[call.index]
        families[call.index] = call.index if descent is None else families[descent.parent.index]
    return families


def _suspects(
    call: LoggedCall, descent: Descent, calls: Sequence[LoggedCall], descents: dict[int, Descent | None]
) -> Iterator[Suspect]:
    parent = descent.parent
    carried_on = descent.relation == "continues"
    if parent.is_warm_up and not call.is_warm_up and (not carried_on or parent.messages != call.messages):
        suspect = None if _nothing_lost(call, descent) else _warm_up_fault(call, descent)
        if suspect is not None:
            yield suspect
            return
    if carried_on and descent.common == len(parent.blocks) and (history := unread_history(call, parent)):
        yield history
        return
    if _nothing_lost(call, descent):
        return
    if not carried_on:
        yield from _sibling_suspects(call, descent)
        return
    changed = [*tool_changes(parent, call), *system_changes(parent, call, carried_on=True)]
    if changed and _is_side_branch(call, parent, calls, descents) and _is_rebuilt(changed):
        yield Suspect("PC053", changed[0].where, changed[0].cause, changed[0].before, changed[0].after)
        return
    settings = list(setting_changes(parent, call)) if parent.marked else []
    message = message_change(parent, call) if parent.marked else None
    changed = [*settings, *changed, *([message] if message else [])]
    if changed:
        if parent.marked:
            yield from changed
    elif descent.common == len(parent.blocks) and (fault := growth_fault(call, parent)):
        yield fault


def _sibling_suspects(call: LoggedCall, descent: Descent) -> Iterator[Suspect]:
    parent = descent.parent
    if not call.marked or not parent.marked:
        return
    settings = [s for s in setting_changes(parent, call) if s.code in {"PC036", "PC042"}]
    if settings:
        return
    ahead = len(call.head)
    fault = sibling_fault(call, descent)
    if fault is not None:
        yield fault
        return
    if descent.common >= min(ahead, len(parent.head)) and ahead == len(parent.head):
        return
    if not any(index >= descent.common for index in (*call.head_marked, *_automatic(call))):
        return
    if any(index < descent.common for index in call.head_marked) and call.read_tokens:
        return
    yield from tool_changes(parent, call)
    yield from system_changes(parent, call, carried_on=False)


def _automatic(call: LoggedCall) -> Sequence[int]:
    return () if call.automatic_at is None else (call.automatic_at,)


def _warm_up_fault(call: LoggedCall, descent: Descent) -> Suspect | None:
    """Return why a call does not read what a warm-up wrote: another head, a marker on its placeholder, other settings."""
    parent = descent.parent
    changed = [*tool_changes(parent, call), *system_changes(parent, call, carried_on=False)]
    changed += setting_changes(parent, call)
    if changed:
        first = changed[0]
        return Suspect("PC052", first.where, first.cause, first.before, first.after)
    if parent.marked and parent.marked[0] >= descent.common:
        mark = parent.marked[0]
        automatic = parent.automatic_at == mark and parent.blocks[mark].mark is None
        where = "cache_control" if automatic else parent.blocks[mark].where
        return Suspect("PC052", where, "messages_changed", parent.blocks[mark].text, "")
    return None


def _nothing_lost(call: LoggedCall, descent: Descent) -> bool:
    """Tell by the bill that all the earlier call left in the cache was read."""
    left = descent.parent.cached_tokens
    return bool(left) and left is not None and call.read_tokens is not None and call.read_tokens >= left


def _is_side_branch(
    call: LoggedCall, parent: LoggedCall, calls: Sequence[LoggedCall], descents: dict[int, Descent | None]
) -> bool:
    """Tell whether the conversation later goes on from `parent`, with its tools and system, and not from `call`."""
    head = [block.digest for block in parent.head]
    later = [other for other in calls if other.index > call.index]
    if any((d := descents[other.index]) is not None and d.relation == "continues" and d.parent is call for other in later):
        return False
    for other in later:
        descent = descents[other.index]
        if descent is not None and descent.parent is parent and [block.digest for block in other.head] == head:
            return True
    return not later and len(call.head) * 2 < len(parent.head)


def _is_rebuilt(changed: Sequence[Suspect]) -> bool:
    return any(suspect.code in {"PC019", "PC020", "PC023", "PC018", "PC005", "PC010", "PC009"} for suspect in changed)


def _lost_tokens(call: LoggedCall, descent: Descent) -> int | None:
    """Return how much less was read than the earlier call had left in the cache."""
    left = descent.parent.cached_tokens
    if left is None or call.read_tokens is None:
        return None
    return max(0, left - call.read_tokens)


def _explanation(entry: _Found) -> Explanation:
    suspect, first = entry.suspect, entry.calls[0]
    known = [tokens for _, tokens in entry.lost if tokens is not None]
    usd = [_lost_usd(call, tokens) for call, tokens in entry.lost if tokens is not None]
    return Explanation(
        code=suspect.code,
        where=suspect.where,
        cause=suspect.cause,
        severity=_severity(entry),
        call=first.index,
        continues=None if entry.descent is None else entry.descent.parent.index,
        calls=len(entry.calls),
        agent=first.agent,
        before=excerpt(suspect.before),
        after=excerpt(suspect.after),
        lost_tokens=sum(known) if known else None,
        lost_usd=sum((amount for amount in usd if amount is not None), Decimal(0)) if usd and None not in usd else None,
    )


def _severity(entry: _Found) -> Severity:
    if entry.suspect.code == "PC050" and len(entry.calls) >= REGULAR_GAPS:
        return "warning"
    return CAUSES[entry.suspect.code].severity


def _lost_usd(call: LoggedCall, tokens: int) -> Decimal | None:
    """Return what it cost to send tokens that could have been read: written again where the call wrote, else as input."""
    prices = call.facts.prices_for(prompt_tokens=tokens)
    if prices is None:
        return None
    paid = prices.write_5m_usd if call.written_tokens else prices.input_usd
    return (paid - prices.read_usd) * tokens / 1_000_000
