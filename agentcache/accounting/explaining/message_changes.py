"""What changed in the messages between a call and the one that it carries on.

A conversation that only grew, or was taken back and went on otherwise, changed nothing: after the parting nothing of
the earlier call comes back. An edit is known by what comes back behind it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from agentcache.accounting.explaining.lines_of_descent import is_summary_of
from agentcache.accounting.explaining.logged_calls import LoggedBlock, LoggedCall, pictures
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.accounting.explaining.text_causes import is_same_but_for_bytes, text_cause
from agentcache.accounting.explaining.text_changes import text_change
from agentcache.prompt.canonical import JsonValue, canonical_json, json_text

MESSAGES = "messages_changed"

ALIKE = 0.6
"""Share of words in common, in order, from which a block is taken for an edit of another."""


def message_change(before: LoggedCall, after: LoggedCall) -> Suspect | None:
    """Return what parts the messages of two calls of one conversation; `None` for growth, a rewind or a fork."""
    old, new = before.messages, after.messages
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a.digest != b.digest), None)
    if at is None:
        return None
    if is_summary_of(after, before):
        return _suspect("PC027", old, new, at)
    if _slid(old[at:], new[at:]):
        return _suspect("PC026", old, new, at)
    if not _turn_cut(old, new, at) and not _comes_back(old[at:], new[at:]):
        return None
    return _suspect(_edit_cause(old, new, at), old, new, at)


def _suspect(code: str, old: Sequence[LoggedBlock], new: Sequence[LoggedBlock], at: int) -> Suspect:
    if code == "PC032" and old[at].message <= new[at].message:
        return Suspect(code, old[at].where, MESSAGES, old[at].text, "")
    change = text_change(_shown(old[at]), _shown(new[at]))
    return Suspect(code, new[at].where, MESSAGES, change.before, change.after)


def _slid(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock]) -> bool:
    """Tell whether whole turns fell out: what is left of the old messages opens the new ones."""
    if not old or not new:
        return False
    digests, fresh = [block.digest for block in old], [block.digest for block in new]
    for start in range(1, len(old)):
        left = len(old) - start
        dropped = old[start].message - old[0].message
        if dropped and left <= len(fresh) and digests[start:] == fresh[:left]:
            return dropped >= 2 or old[0].role == old[start].role
    return False


def _turn_cut(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock], at: int) -> bool:
    """Tell whether the end of a turn fell away and the conversation went on behind it."""
    return at > 0 and old[at - 1].message == old[at].message < new[at].message


def _comes_back(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock]) -> bool:
    """Tell whether the earlier call goes on behind the difference, or was answered where it differs."""
    if old[0].kind == new[0].kind == "tool_result" and _answers(old[0]) == _answers(new[0]):
        return True
    if _goes_on_behind(old[1:], new):
        return True
    pushed = {block.digest for block in new[1:4] if block.message <= old[0].message + 1}  # by what was put before it
    if old[0].digest in pushed:
        return True
    goes_on = new[-1].message > new[0].message
    same_turn = old[-1].message == old[0].message == new[0].message
    return goes_on and (same_turn or len(old) > 1) and _alike(old[0], new[0])


def _goes_on_behind(left: Sequence[LoggedBlock], new: Sequence[LoggedBlock]) -> bool:
    """Tell whether most of what stood behind an edit is there again, in order: one stock phrase proves nothing."""
    mine, theirs = [block.digest for block in left], [block.digest for block in new]
    again = sum(run.size for run in SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks())
    return again * 2 > len(mine)


def _answers(block: LoggedBlock) -> JsonValue:
    return block.value.get("tool_use_id")


def _alike(old: LoggedBlock, new: LoggedBlock) -> bool:
    if old.role != new.role or old.kind != new.kind:
        return False
    if old.kind.endswith("tool_use"):
        return all(
            canonical_json(old.value.get(key)) == canonical_json(new.value.get(key)) for key in ("name", "input")
        )
    mine, theirs = _shown(old), _shown(new)
    if is_same_but_for_bytes(mine, theirs) or mine.strip() in theirs or theirs.strip() in mine:
        return True
    return SequenceMatcher(None, mine.split(), theirs.split(), autojunk=False).ratio() >= ALIKE


def _edit_cause(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock], at: int) -> str:
    mine, theirs = old[at], new[at]
    special = _special_cause(old, new, at)
    if special is not None:
        return special
    if mine.role == "assistant":
        resplit = is_same_but_for_bytes(_turn_text(old, mine.message), _turn_text(new, mine.message))
        return "PC029" if resplit else _assistant_cause(mine, theirs)
    if _is_reminder(old, new, at):
        return "PC032"
    if mine.kind == "tool_result":
        return _result_cause(mine, theirs)
    if mine.message == 0 and _is_rerendered(old, new, at):
        return "PC035"
    return "PC025"


def _special_cause(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock], at: int) -> str | None:
    """Return the cause where kinds of blocks tell it: thinking, pictures, citations, calls."""
    mine, theirs = old[at], new[at]
    if _thinks(mine) and not _thinks(theirs):
        return "PC030"
    shown, others = pictures(mine.value), pictures(theirs.value)
    if len(shown) != len(others):
        return "PC033"
    if shown != others and _without(mine, ("source", "content")) == _without(theirs, ("source", "content")):
        return "PC034"
    if mine.value.get("citations") != theirs.value.get("citations") and mine.kind == theirs.kind == "document":
        return "PC041"
    same_call = mine.kind == theirs.kind and mine.kind.endswith("tool_use")
    if same_call and canonical_json(mine.value) == canonical_json(theirs.value):
        return "PC028"
    return None


def _turn_text(blocks: Sequence[LoggedBlock], message: int) -> str:
    return "".join(block.text for block in blocks if block.message == message)


def _assistant_cause(old: LoggedBlock, new: LoggedBlock) -> str:
    """Tell apart a bad replay of an assistant's block from an edit, which rewrites its text or cuts it."""
    if old.kind == new.kind == "text" and not is_same_but_for_bytes(old.text, new.text):
        kept, given = old.text.strip(), new.text.strip()
        if kept in given or given in kept:
            return "PC025" if len(given) < 0.7 * len(kept) else "PC029"
        return "PC029" if _alike(old, new) else "PC025"
    return "PC029"


def _result_cause(old: LoggedBlock, new: LoggedBlock) -> str:
    if old.kind != new.kind or old.value.get("tool_use_id") != new.value.get("tool_use_id"):
        return "PC029"
    if is_same_but_for_bytes(old.text, new.text):
        return "PC029"
    stamped = text_cause(old.text, new.text) in {"PC001", "PC002", "PC003", "PC008"}
    return "PC029" if stamped and abs(len(old.text) - len(new.text)) < 20 else "PC025"


_REMINDER = re.compile(
    r"\W{0,5}(<[\w:-]*(reminder|system|note|notice|hint|instruction|status|ephemeral|todo|meta)[\w:-]*>"
    r"|\b(remind(er|ed)?|remember|keep in mind|do not forget|don't forget|note to (self|assistant)|important:)\b"
    r"|\[(system|note|reminder|notice|hint|auto\w*)\b)",
    re.IGNORECASE,
)


def _is_reminder(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock], at: int) -> bool:
    """Tell whether a note was taken out of a turn, a block or a part of its text, while the rest stayed."""
    mine, theirs = old[at], new[at]
    in_turn = [block for block in old if block.message == mine.message]
    kept = {other.digest for other in new if other.message == mine.message}
    dropped = [block for block in in_turn if block.digest not in kept]
    gone = len(in_turn) > 1 and mine in dropped and mine.kind == "text"
    if gone and (theirs.message > mine.message or any(theirs.digest == block.digest for block in in_turn)):
        return True
    removed = _removed(mine.text, theirs.text) if mine.kind == theirs.kind else ""
    if not removed:
        return False
    return bool(_REMINDER.match(removed)) or _at_newest_turn(old, at)


def _removed(old: str, new: str) -> str:
    """Return the passage that `old` has more than `new`; empty when anything else differs."""
    if not new.strip() or new.strip() not in old:
        return ""
    return old.replace(new.strip(), "", 1).strip() if len(new.strip()) < len(old.strip()) else ""


def _at_newest_turn(old: Sequence[LoggedBlock], at: int) -> bool:
    return old[at].kind == "text" and old[at].message == old[-1].message


_CONTEXT = re.compile(r"^\s*(<[A-Za-z][\w:-]*[ >]|#{1,6}\s|\[[A-Za-z][^\]\n]*\]|[A-Z][\w ]{2,30}:\s*\S)")
_VOLATILE = frozenset({"PC001", "PC002", "PC003", "PC006", "PC007", "PC008", "PC011", "PC012", "PC013", "PC015",
                       "PC016"})  # fmt: skip


def _is_rerendered(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock], at: int) -> bool:
    """Tell whether the opening turn carries a context that is rendered anew: a value in it, or a block of its own."""
    mine, theirs = old[at], new[at]
    beside = [block for block in old if block.message == 0 and block.digest != mine.digest]
    if _CONTEXT.match(mine.text) and (beside or _CONTEXT.match(theirs.text)):
        return True
    if text_cause(mine.text, theirs.text) in _VOLATILE:
        return True
    kept = {block.digest for block in new if block.message == 0}
    in_front = any(block.digest in kept for block in beside) and mine.kind == theirs.kind == "text"
    return in_front and _alike(mine, theirs)


def _thinks(block: LoggedBlock) -> bool:
    return block.kind in {"thinking", "redacted_thinking"}


def _without(block: LoggedBlock, keys: tuple[str, ...]) -> str:
    return canonical_json({key: item for key, item in block.value.items() if key not in keys})


def _shown(block: LoggedBlock) -> str:
    return block.text if block.kind == "text" else json_text(block.value)
