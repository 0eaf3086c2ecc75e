"""From a log of calls to its explanations: one for each root cause in a family of calls, at the first call it hit.

The bill overrules the difference: where a call read all that the one before it left in the cache, nothing was lost and
nothing is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache.accounting.explaining.earlier_calls import EarlierCalls
from agentcache.accounting.explaining.head_changes import system_changes, tool_changes
from agentcache.accounting.explaining.lines_of_descent import SAME_HEAD_LIKENESS, Descent, descent_of, head_likeness
from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.lost_money import lost_usd
from agentcache.accounting.explaining.marker_faults import (
    family_fault,
    growth_fault,
    is_one_shot_traffic,
    shares_more,
    sibling_fault,
    unread_history,
)
from agentcache.accounting.explaining.message_changes import message_change
from agentcache.accounting.explaining.section_partings import section_parting
from agentcache.accounting.explaining.setting_changes import setting_changes
from agentcache.accounting.explaining.suspects import Explanation, Suspect
from agentcache.accounting.explaining.text_changes import excerpt
from agentcache.accounting.explaining.value_series import value_cause
from agentcache.accounting.mistakes import MISTAKES, Severity

IN_SYSTEM_TEXT = frozenset({*(f"PC{number:03}" for number in range(1, 17)), "PC018"})
"""Causes told from a changed text: one place that varies has one of them, which its changes vote on."""

REPLACED_WORDS = 8
"""A passage of so many words in place of another is another prompt, not a value in it."""

OTHER_TEXT_WORDS = 60
"""Of two conversations, a passage of so many words in place of another is each one's own text."""

LATER_CALLS = 60
"""How far ahead is looked for how a conversation went on."""

REGULAR_GAPS = 2
"""An expiry that comes back this often is a cadence, no accident."""


@dataclass(slots=True)
class _Found:
    """A root cause and the calls that it hit, first one first."""

    descent: Descent | None
    suspects: list[Suspect] = field(default_factory=list)
    calls: list[LoggedCall] = field(default_factory=list)
    lost: list[tuple[LoggedCall, int | None]] = field(default_factory=list)

    @property
    def suspect(self) -> Suspect:
        """What was seen most often, the earliest of several: a value that varies shows itself in each change."""
        seen = Counter(suspect.code for suspect in self.suspects)
        code = max(seen, key=lambda code: seen[code])
        told = next(suspect for suspect in self.suspects if suspect.code == code)
        changes = [(suspect.before, suspect.after) for suspect in self.suspects if suspect.before and suspect.after]
        if code not in {"PC008", "PC009", "PC018"} or len({after for _, after in changes}) < 2:
            return told
        return told._replace(code=value_cause(changes, code))


def explain_calls(calls: Sequence[LoggedCall]) -> list[Explanation]:
    """Return why calls of a log (in the order of time) missed, in the order of the first call that each cause hit."""
    descents = _descents(calls)
    families = _families(calls, descents)
    carried_on = {each.parent.index for each in descents.values() if each is not None and each.relation == "continues"}
    found: dict[tuple[int, str], _Found] = {}
    for place, call in enumerate(calls):
        descent = descents[call.index]
        if descent is None:
            continue
        family = families[call.index]
        warmed = descent.parent.is_warm_up and descents[descent.parent.index] is None
        goes_on = not carried_on.isdisjoint((call.index, descent.parent.index))
        for suspect in _suspects(
            call, descent, calls[place + 1 : place + 1 + LATER_CALLS], warmed=warmed, goes_on=goes_on
        ):
            cause = suspect.where if suspect.code in IN_SYSTEM_TEXT else suspect.code
            if suspect.code == "PC046" and (family, "PC045") in found:
                cause = "PC045"  # what the lost marker leads to
            entry = found.setdefault((family, cause), _Found(descent))
            if suspect.code != "PC046" or cause != "PC045":
                entry.suspects.append(suspect)
            entry.calls.append(call)
            entry.lost.append((call, _lost_tokens(call, descent)))
    members_of: dict[int, list[LoggedCall]] = {}
    for call in calls:
        members_of.setdefault(families[call.index], []).append(call)
    for family, members in members_of.items():
        fault = family_fault(members)
        if fault is not None:
            found[family, fault.code] = _Found(None, [fault], members, [(call, None) for call in members])
    if not found and is_one_shot_traffic(calls):
        found[0, "PC054"] = _Found(None, [Suspect("PC054", "ttl", "unread_writes")], list(calls), [])
    ordered = sorted(found.values(), key=lambda entry: (entry.calls[0].index, entry.suspect.code))
    return [_explanation(entry) for entry in ordered]


def _descents(calls: Sequence[LoggedCall]) -> dict[int, Descent | None]:
    earlier, found = EarlierCalls(), dict[int, Descent | None]()
    for call in calls:
        found[call.index] = descent_of(call, earlier)
        earlier.add(call)
    return found


def _families(calls: Sequence[LoggedCall], descents: dict[int, Descent | None]) -> dict[int, int]:
    """Return for each call the first call of its family: all that descend from it."""
    families: dict[int, int] = {}
    for call in calls:
        descent = descents[call.index]
        families[call.index] = call.index if descent is None else families[descent.parent.index]
    return families


def _suspects(
    call: LoggedCall, descent: Descent, later: Sequence[LoggedCall], *, warmed: bool, goes_on: bool
) -> Iterator[Suspect]:
    """Yield why `call` lost what it comes after.

    warmed: that call was sent only to fill the cache for this one. goes_on: one of the two is carried on later.
    """
    parent = descent.parent
    carried_on = descent.relation == "continues"
    if warmed and not call.is_warm_up:
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
        yield from _sibling_suspects(call, descent, goes_on=goes_on)
        return
    changed = [*tool_changes(parent, call), *system_changes(parent, call, carried_on=True)]
    if changed and _is_aside(call, parent, later) and _is_rebuilt(changed, call, parent):
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


def _sibling_suspects(call: LoggedCall, descent: Descent, *, goes_on: bool) -> Iterator[Suspect]:
    parent = descent.parent
    if not call.marked or not parent.marked:
        return
    settings = [s for s in setting_changes(parent, call) if s.code in {"PC036", "PC042"}]
    if settings:
        return
    fault = sibling_fault(call, descent, goes_on=goes_on)
    if fault is not None:
        yield fault
        return
    if descent.common >= len(call.head) == len(parent.head):
        return
    if not any(index >= descent.common for index in (*call.head_marked, *_automatic(call))):
        return
    shared = any(index < descent.common for index in (*call.head_marked, *parent.head_marked))
    if shared and not shares_more(call, descent):
        return
    changed = [*tool_changes(parent, call), *system_changes(parent, call, carried_on=False)]
    if not any(_is_other_text(suspect) for suspect in changed):
        yield from changed


def _automatic(call: LoggedCall) -> Sequence[int]:
    return () if call.automatic_at is None else (call.automatic_at,)


def _warm_up_fault(call: LoggedCall, descent: Descent) -> Suspect | None:
    """Return why a call does not read what a warm-up wrote: head, settings or marker differ."""
    parent = descent.parent
    changed = [*tool_changes(parent, call), *system_changes(parent, call, carried_on=False)]
    if not call.read_tokens:
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


def _is_aside(call: LoggedCall, parent: LoggedCall, later: Sequence[LoggedCall]) -> bool:
    """Tell whether the conversation goes on with the tools and system of `parent`, and `call` alone had its own.

    Nobody knows what would have followed a last call; it is taken for one when its head is another prompt.
    """
    opening = parent.messages[0].digest if parent.messages else ""
    heads = [other.digests[: len(other.head)] for other in later if opening in other.digests]
    if heads:
        return parent.digests[: len(parent.head)] in heads and call.digests[: len(call.head)] not in heads
    mine, theirs = _tool_count(call), _tool_count(parent)
    return head_likeness(call, parent) < SAME_HEAD_LIKENESS or (theirs > 2 and mine * 2 <= theirs)


def _is_rebuilt(changed: Sequence[Suspect], call: LoggedCall, parent: LoggedCall) -> bool:
    """Tell whether a head was built anew, with a rest of the tools or another prompt, and not a value in it changed."""
    shrunk = _tool_count(call) * 2 <= _tool_count(parent)
    return any(shrunk if suspect.code == "PC020" else _is_replaced(suspect) for suspect in changed)


def _is_other_text(suspect: Suspect) -> bool:
    """Tell whether a long passage stands in place of another: two prompts of one make, each of its own session."""
    return suspect.cause == "system_changed" and (
        min(len(suspect.before.split()), len(suspect.after.split())) >= OTHER_TEXT_WORDS
    )


def _tool_count(call: LoggedCall) -> int:
    return sum(block.level == "tools" for block in call.head)


def _is_replaced(suspect: Suspect) -> bool:
    if suspect.cause != "system_changed" or suspect.code in {"PC012", "PC013", "PC014", "PC015"}:
        return False
    return max(len(suspect.before.split()), len(suspect.after.split())) >= REPLACED_WORDS


def _lost_tokens(call: LoggedCall, descent: Descent) -> int | None:
    """Return how much less was read than the earlier call had left in the cache."""
    left = descent.parent.cached_tokens
    if left is None or call.read_tokens is None:
        return None
    return max(0, left - call.read_tokens)


def _explanation(entry: _Found) -> Explanation:
    suspect, first = entry.suspect, entry.calls[0]
    layer, change = section_parting(first, None if entry.descent is None else entry.descent.parent, suspect.where)
    known = [tokens for _, tokens in entry.lost if tokens is not None]
    usd = [lost_usd(call, tokens) for call, tokens in entry.lost if tokens is not None]
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
        layer=layer,
        change=change,
    )


def _severity(entry: _Found) -> Severity:
    if entry.suspect.code == "PC050" and len(entry.calls) >= REGULAR_GAPS:
        return "warning"
    return MISTAKES[entry.suspect.code].severity
