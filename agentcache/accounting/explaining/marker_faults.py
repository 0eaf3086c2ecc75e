"""Calls whose text is as it should be, and that still do not read: markers, minimum, look-back, time, concurrency."""

from __future__ import annotations

from collections.abc import Sequence

from agentcache.accounting.explaining.lines_of_descent import Descent
from agentcache.accounting.explaining.logged_calls import LoggedCall, pictures
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.prompt.lookback import REACH_POSITIONS

SHARED_CHARACTERS = 1_000
"""So much text behind a difference makes it a value within a shared prompt."""

REBILLED_TOKENS = 200
"""History that is sent unmarked again is told from this many tokens on."""


def growth_fault(call: LoggedCall, parent: LoggedCall) -> Suspect | None:
    """Return why a call that begins with the whole prompt of `parent` does not read it."""
    if not parent.marked:
        return None
    if not call.marked:
        return Suspect("PC045", "cache_control", "marker_lost")
    written = parent.marked[-1]
    if call.marked[-1] < written:
        return Suspect("PC045", "cache_control", "marker_moved_back")
    if call.at_s - parent.at_s >= parent.lifetime_s(written):
        return Suspect(
            "PC050", "ttl", "expired", f"{parent.lifetime_s(written):.0f} s", f"{call.at_s - parent.at_s:.0f} s"
        )
    if call.at_s < parent.first_token_at_s:
        return Suspect("PC051", "concurrency", "concurrent")
    picture = _first_picture(call, parent)
    if picture is not None:
        return Suspect("PC033", picture, "messages_changed")
    if _strips_thinking(call, parent):
        return Suspect("PC031", "thinking", "thinking_stripped")
    if not _reaches(call, written):
        return Suspect("PC047", "lookback", "lookback_exceeded")
    return None


def _first_picture(call: LoggedCall, parent: LoggedCall) -> str | None:
    """Return where the conversation's first picture stands, when it came with this call."""
    if any(pictures(block.value) for block in parent.messages):
        return None
    return next((block.where for block in call.messages if pictures(block.value)), None)


def _strips_thinking(call: LoggedCall, parent: LoggedCall) -> bool:
    """Tell whether a plain user turn makes the API take out thinking that the cached prompt held."""
    if call.facts.keeps_all_thinking or not call.messages:
        return False
    fresh = call.messages[len(parent.messages) :]
    plain = any(block.role == "user" and block.kind != "tool_result" for block in fresh)
    return plain and any(block.kind in {"thinking", "redacted_thinking"} for block in parent.messages)


def _reaches(call: LoggedCall, written: int) -> bool:
    """Tell whether a marker of `call` finds the entry that ends on block `written`, 20 positions or fewer back."""
    target = call.blocks[written].position
    return any(mark >= written and call.blocks[mark].position - target <= REACH_POSITIONS for mark in call.marked)


def unread_history(call: LoggedCall, parent: LoggedCall) -> Suspect | None:
    """Return the fault of a line of calls whose head is marked and whose history never is."""
    ahead = len(call.head)
    if not call.marked or call.marked[-1] >= ahead or (parent.marked and parent.marked[-1] >= ahead):
        return None
    if not parent.messages or not parent.marked:
        return None
    common = len(parent.blocks) - 1
    rebilled = call.prefix_tokens[common] - (call.prefix_tokens[ahead - 1] if ahead else 0)
    return Suspect("PC046", "messages", "history_uncached") if rebilled >= REBILLED_TOKENS else None


def sibling_fault(call: LoggedCall, descent: Descent, *, goes_on: bool) -> Suspect | None:
    """Return why a call does not read the head that another conversation's call sent before it.

    goes_on: whether one of the two conversations has further calls, which read what stands behind the head.
    """
    parent, ahead = descent.parent, len(call.head)
    if not call.marked or not parent.marked:
        return None
    shared = [index for index in parent.marked if index < descent.common]
    if call.at_s < parent.first_token_at_s and (shared or descent.common >= ahead):
        return Suspect("PC051", "concurrency", "concurrent")
    if shared:
        gap = call.at_s - parent.at_s
        if gap >= parent.lifetime_s(shared[-1]):
            return Suspect("PC050", "ttl", "expired", f"{parent.lifetime_s(shared[-1]):.0f} s", f"{gap:.0f} s")
        return None
    parted = [each.blocks[descent.common] for each in (call, parent) if descent.common < len(each.head)]
    if any(block.level == "tools" for block in parted) or (parted and shares_more(call, descent)):
        return None
    if goes_on or not descent.common or call.prefix_tokens[descent.common - 1] < call.facts.minimum_prefix_tokens:
        return None
    mark = next((index for index in call.marked if index >= descent.common), None)
    if mark is None:
        return None
    automatic = call.automatic_at == mark and call.blocks[mark].mark is None
    where = "cache_control" if automatic else call.blocks[mark].where
    return Suspect("PC044", where, "messages_changed" if mark >= ahead else "system_changed")


def shares_more(call: LoggedCall, descent: Descent) -> bool:
    """Tell whether two heads part in the midst of what they share: much the same text stands behind what differs.

    A block of its own for each conversation, in which nothing but its heading is the same, is no such case.
    """
    mine, theirs = call.head[descent.common :], descent.parent.head[descent.common :]
    if not mine or not theirs:
        return False
    if any(block.level == "tools" for block in (mine[0], theirs[0])):
        return True
    left = {line for block in theirs for line in block.text.splitlines()}
    again = sum(len(line) for block in mine for line in block.text.splitlines() if line in left)
    return again >= SHARED_CHARACTERS


def family_fault(calls: Sequence[LoggedCall]) -> Suspect | None:
    """Return what keeps a whole family of calls from caching: no marker at all, or a prefix too short for one."""
    if len(calls) < 2:
        return None
    if not any(call.marked for call in calls):
        long = any(call.prefix_tokens and call.prefix_tokens[-1] >= call.facts.minimum_prefix_tokens for call in calls)
        return Suspect("PC043", "cache_control", "no_marker") if long else None
    if any(call.cached_tokens for call in calls):
        return None
    if all(_below_minimum(call) for call in calls if call.marked):
        return Suspect("PC048", "min_tokens", "below_minimum")
    return None


def _below_minimum(call: LoggedCall) -> bool:
    """Tell whether nothing was cached for want of length: by the bill where there is one, else by the estimate."""
    if call.cached_tokens is not None:
        return call.cached_tokens == 0
    return call.prefix_tokens[call.marked[-1]] < call.facts.minimum_prefix_tokens


def is_one_shot_traffic(calls: Sequence[LoggedCall]) -> bool:
    """Tell whether calls that have nothing in common all pay for an hour's life of an entry that nobody reads."""
    if len(calls) < 2 or any(call.read_tokens is None or call.read_tokens for call in calls):
        return False
    hour = 3600
    return all(call.marked and call.written_tokens and call.lifetime_s(call.marked[-1]) == hour for call in calls)
