"""What changed in tools and system between a call and the one that it comes after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from agentcache.accounting.explaining.logged_calls import LoggedBlock, LoggedCall
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.accounting.explaining.text_causes import is_same_but_for_bytes, is_whole_section, text_cause
from agentcache.accounting.explaining.text_changes import text_change
from agentcache.prompt.canonical import JsonValue, canonical_json, json_text

TOOLS = "tools_changed"
SYSTEM = "system_changed"


def tool_changes(before: LoggedCall, after: LoggedCall) -> Iterator[Suspect]:
    """Yield what parts the tools of two calls: one suspect, the first, since later tools follow from it."""
    old, new = _of_level(before, "tools"), _of_level(after, "tools")
    at = _first_difference(old, new)
    if at is None:
        return
    where = f"tools[{at}]"
    names, others = [_name(block) for block in old], [_name(block) for block in new]
    shown = _shown(old, at), _shown(new, at)
    if _server_search(old) != _server_search(new) and _without_search(old) == _without_search(new):
        yield Suspect("PC024", where, TOOLS, *shown)
    elif Counter(block.digest for block in old) == Counter(block.digest for block in new):
        yield Suspect("PC019", where, TOOLS, *shown)
    elif Counter(names) == Counter(others):
        pairs = {_name(block): block for block in new}
        changed = next((block for block in old if pairs[_name(block)].digest != block.digest), old[at])
        moved = names != others
        yield Suspect("PC019" if moved else _definition_cause(changed, pairs[_name(changed)]), where, TOOLS, *shown)
    elif len(old) == len(new) and _renamed(old, new):
        yield Suspect("PC022", where, TOOLS, *shown)
    else:
        yield Suspect("PC020", where, TOOLS, *shown)


def _definition_cause(before: LoggedBlock, after: LoggedBlock) -> str:
    """Return what changed inside one tool's definition: key order, schema, or text."""
    if canonical_json(before.value) == canonical_json(after.value):
        return "PC021"
    schema, other = before.value.get("input_schema"), after.value.get("input_schema")
    if canonical_json(schema) == canonical_json(other):
        return "PC021" if json_text(schema) != json_text(other) else "PC022"
    if _without_texts(schema) == _without_texts(other):
        return "PC022"
    return "PC023"


def _without_texts(value: JsonValue) -> JsonValue:
    """Return a schema without its descriptions."""
    if isinstance(value, dict):
        kept = {key: _without_texts(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if not (key == "description" and isinstance(item, str))}
    return [_without_texts(item) for item in value] if isinstance(value, list) else value


def _renamed(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock]) -> bool:
    """Tell whether the tools are the same under other names: what they say and take is equal."""
    bodies = ([canonical_json({**block.value, "name": ""}) for block in blocks] for blocks in (old, new))
    mine, theirs = bodies
    return mine == theirs


def _server_search(blocks: Sequence[LoggedBlock]) -> list[str]:
    return [block.digest for block in blocks if _is_search(block)]


def _without_search(blocks: Sequence[LoggedBlock]) -> list[str]:
    return [block.digest for block in blocks if not _is_search(block)]


def _is_search(block: LoggedBlock) -> bool:
    return block.kind.startswith(("web_search", "web_fetch"))


def system_changes(before: LoggedCall, after: LoggedCall, *, carried_on: bool) -> Iterator[Suspect]:
    """Yield what parts the system blocks of two calls, each further block of another cause too.

    carried_on: whether it is one conversation; else two that were meant to share their head.
    """
    old, new = _of_level(before, "system"), _of_level(after, "system")
    at = _first_difference(old, new)
    if at is None:
        return
    texts = [block.text for block in old], [block.text for block in new]
    if Counter(texts[0]) == Counter(texts[1]) or _is_resplit(texts[0], texts[1]):
        yield Suspect("PC018", f"system[{at}]", SYSTEM, _shown(old, at), _shown(new, at))
        return
    seen: set[str] = set()
    for index in range(at, max(len(old), len(new))):
        mine = old[index].text if index < len(old) else ""
        theirs = new[index].text if index < len(new) else ""
        same = index < len(old) and index < len(new) and old[index].digest == new[index].digest
        if same or (code := _system_cause(mine, theirs, carried_on=carried_on)) in seen:
            continue
        seen.add(code)
        change = text_change(mine, theirs)
        yield Suspect(code, f"system[{index}]", SYSTEM, change.before, change.after)
        if len(old) != len(new):
            return


def _is_resplit(old: Sequence[str], new: Sequence[str]) -> bool:
    return len(old) != len(new) and is_same_but_for_bytes("".join(old), "".join(new))


def _system_cause(before: str, after: str, *, carried_on: bool) -> str:
    if is_same_but_for_bytes(before, after):
        return "PC014"
    if is_whole_section(before, after) and _is_passage(before, after):
        change = text_change(before, after)
        told = text_cause(before, after)
        if told in {"PC009", "PC011"} and change.heading:
            return told
        return "PC018" if carried_on else "PC010"
    told = text_cause(before, after)
    if told == "PC005" and carried_on:
        return "PC018"
    if told is not None:
        return told
    if carried_on:
        return "PC018"
    return "PC010" if _is_passage(before, after) else "PC005"


def _is_passage(before: str, after: str) -> bool:
    change = text_change(before, after)
    return max(len(change.before.split()), len(change.after.split())) > 4


def _of_level(call: LoggedCall, level: str) -> list[LoggedBlock]:
    return [block for block in call.head if block.level == level]


def _first_difference(old: Sequence[LoggedBlock], new: Sequence[LoggedBlock]) -> int | None:
    for index, (mine, theirs) in enumerate(zip(old, new, strict=False)):
        if mine.digest != theirs.digest:
            return index
    return None if len(old) == len(new) else min(len(old), len(new))


def _name(block: LoggedBlock) -> str:
    name = block.value.get("name")
    return name if isinstance(name, str) else block.kind


def _shown(blocks: Sequence[LoggedBlock], at: int) -> str:
    if at >= len(blocks):
        return ""
    return blocks[at].text if blocks[at].level == "system" else json_text(blocks[at].value)
