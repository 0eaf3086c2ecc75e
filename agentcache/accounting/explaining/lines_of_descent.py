"""Which earlier call each call should have continued, in a log where several agents take turns without saying who.

Two relations. A call *continues* another when it carries its conversation on, changed or not; it is a *sibling* when
only tools and system are (or were meant to be) the same. The likeness of what is repeated decides, not names: names
only rule out what they contradict.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from agentcache.accounting.explaining.earlier_calls import EarlierCalls, readable
from agentcache.accounting.explaining.logged_calls import LoggedCall, common_blocks

Relation = Literal["continues", "sibling"]

EXCHANGE_MESSAGES = 2
"""A reply and the next turn."""

SAME_HEAD_LIKENESS = 0.7
"""Share of common word runs from which two heads are taken for renderings of one prompt."""


RERENDERED_LIKENESS = 0.4
"""The same for an opening message, which is shorter, so that one value weighs more."""

WHOLE_PREFIX_BONUS = 2
"""In blocks: what it counts for that an earlier prompt stands whole and unchanged at the start of this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """The call that this one comes after. common: blocks that both have from the start."""

    parent: LoggedCall
    relation: Relation
    common: int


def descent_of(call: LoggedCall, earlier: EarlierCalls) -> Descent | None:
    """Return what `call` comes after, or `None` for the first of its kind."""
    grown = _grown_from(call, earlier)
    if grown is not None:
        return Descent(parent=grown, relation="continues", common=len(grown.blocks))
    candidates = [other for other in earlier.nearest(call) if not _contradicts(call, other)]
    continued = [(score, other) for other in candidates if (score := _continuation_score(call, other)) is not None]
    if continued:
        _, parent = max(continued, key=lambda pair: (pair[0], pair[1].index))
        return Descent(parent=parent, relation="continues", common=common_blocks(parent, call))
    summarised = [other for other in candidates if is_summary_of(call, other)]
    if summarised:
        parent = max(summarised, key=lambda other: other.index)
        return Descent(parent=parent, relation="continues", common=common_blocks(parent, call))
    likened = [(head_likeness(call, other), other) for other in candidates]
    siblings = [pair for pair in likened if pair[0] >= SAME_HEAD_LIKENESS and _same_model(call, pair[1])]
    if not siblings:
        return None
    _, parent = max(siblings, key=lambda pair: (common_blocks(pair[1], call), pair[0], *readable(call, pair[1])))
    return Descent(parent=parent, relation="sibling", common=common_blocks(parent, call))


def _grown_from(call: LoggedCall, earlier: EarlierCalls) -> LoggedCall | None:
    """Return the call to which this one adds an exchange and changes nothing, as most do."""
    last = _last_message(call)
    for other in earlier.begun_by(call):
        if last - _last_message(other) > EXCHANGE_MESSAGES:
            return None
        if not _contradicts(call, other) and not _other_conversation(call, other):
            return other
    return None


def _other_conversation(call: LoggedCall, other: LoggedCall) -> bool:
    return bool(call.conversation and other.conversation and call.conversation != other.conversation)


def _contradicts(call: LoggedCall, other: LoggedCall) -> bool:
    return bool(call.agent and other.agent and call.agent != other.agent)


def _continuation_score(call: LoggedCall, other: LoggedCall) -> float | None:
    """Return how well `call` carries `other` on; `None` when it does not.

    A conversation of the same opening question alone is another conversation, unless the call goes on from there
    with the same (or nearly the same) tools and system.
    """
    if _other_conversation(call, other):
        return None
    mine = [block.digest for block in call.messages]
    theirs = [block.digest for block in other.messages]
    if theirs == mine and call.is_warm_up != other.is_warm_up and call.head and call.head == other.head:
        return 2.0 * len(mine)
    matched = sum(run.size for run in SequenceMatcher(None, theirs, mine, autojunk=False).get_matching_blocks())
    grows = _last_message(call) > _last_message(other)
    if not matched:
        if not (grows and _rerendered(call, other)):
            return None
        matched = 1
    likeness = head_likeness(call, other)
    if not (call.conversation and call.conversation == other.conversation):
        if (mine[:1] != theirs[:1] or likeness < SAME_HEAD_LIKENESS) and matched * 2 < len(theirs):
            return None  # a stock question or reply, which other conversations have too
        if matched <= 1 and (likeness < SAME_HEAD_LIKENESS or not grows):
            return None
        if matched <= 1 and not _same_model(call, other) and likeness < 1:
            return None
    common = common_blocks(call, other)
    whole = WHOLE_PREFIX_BONUS if common == len(other.blocks) else 0
    return matched - (len(theirs) - matched) + likeness + whole + 0.001 * common


def _same_model(call: LoggedCall, other: LoggedCall) -> bool:
    return call.facts.canonical == other.facts.canonical


def _rerendered(call: LoggedCall, other: LoggedCall) -> bool:
    """Tell whether the only message of `other` opens `call` in another rendering."""
    if _last_message(other) > 0 or not call.messages or not other.messages:
        return False
    mine = " ".join(block.text for block in call.messages if block.message == 0)
    theirs = " ".join(block.text for block in other.messages)
    shorter, longer = sorted((mine.strip(), theirs.strip()), key=len)
    if shorter and shorter in longer:
        return True
    return _likeness(mine, theirs) >= RERENDERED_LIKENESS


def _last_message(call: LoggedCall) -> int:
    return call.messages[-1].message if call.messages else -1


_SUMMARY = re.compile(
    r"\b(summar(y|ies|i[sz]ed)|recap|compact(ed|ion)|condensed|digest of|hand-?off"
    r"|(conversation|session|discussion|dialogue|history|transcript) so far"
    r"|(previous|earlier|prior) (conversation|session|turns|messages|discussion|context)|what happened so far)\b",
    re.IGNORECASE,
)


def is_summary_of(call: LoggedCall, other: LoggedCall) -> bool:
    """Tell whether `call` opens with a summary that stands for the messages of `other`.

    That is a shorter history, whose opening repeats what was replied before or calls itself a summary.
    """
    if _other_conversation(call, other):
        return False
    opening = "\n".join(block.text for block in call.messages if block.message == 0)
    if _last_message(other) < 2 or _last_message(call) >= _last_message(other) or not opening:
        return False
    if head_likeness(call, other) < SAME_HEAD_LIKENESS:
        return False
    own = "\n".join(block.text for block in other.messages if block.message == 0)
    if opening == own or _SUMMARY.search(own[:300]):
        return False
    replies = [block.text for block in other.messages if block.role == "assistant"]
    repeats = any(len(text) > 60 and text.strip()[:60] in opening for text in [*replies, other.reply])
    return repeats or _SUMMARY.search(opening[:300]) is not None


def head_likeness(one: LoggedCall, other: LoggedCall) -> float:
    """Return how alike tools and system of two calls are, 0 to 1; 1 for two calls that have neither."""
    mine = tuple(block.digest for block in one.head)
    theirs = tuple(block.digest for block in other.head)
    if mine == theirs:
        return 1.0
    system = _likeness(_system_text(one), _system_text(other))
    tools = _tool_likeness(one, other)
    if not _system_text(one) and not _system_text(other):
        return tools
    return max(system, 0.3 * tools + 0.7 * system)


def _tool_likeness(one: LoggedCall, other: LoggedCall) -> float:
    mine = Counter(block.digest for block in one.head if block.level == "tools")
    theirs = Counter(block.digest for block in other.head if block.level == "tools")
    largest = max(mine.total(), theirs.total())
    return (mine & theirs).total() / largest if largest else 0.0


def _system_text(call: LoggedCall) -> str:
    return "\n".join(block.text for block in call.head if block.level == "system")


@lru_cache(maxsize=4096)
def _word_runs(text: str) -> frozenset[str]:
    words = text.split()
    if len(words) < 3:
        return frozenset(words)
    return frozenset(" ".join(words[start : start + 3]) for start in range(len(words) - 2))


def _likeness(one: str, other: str) -> float:
    mine, theirs = _word_runs(one), _word_runs(other)
    longest = max(len(mine), len(theirs))
    return len(mine & theirs) / longest if longest else float(one == other)
