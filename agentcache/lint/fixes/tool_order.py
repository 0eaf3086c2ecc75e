"""Puts `tools.json` into one order: tools by name, keys by name, values of enumerations by their text.

The text of every part stays as it is written, with its blanks and line ends; only places are exchanged. Files of
several agents that should be alike are brought into the same order together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from agentcache.lint.agent_sources import SourceFile
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.json_places import JsonNode, read_json
from agentcache.lint.syntax import Problem

_Rewrite: TypeAlias = Callable[[str, JsonNode], str | None]
"""Return a whole file's text, rewritten in its list of tools; `None` where that is not to be touched."""

_ANY_ORDER = frozenset({"enum", "required"})


def sort_tools(finding: Finding, examinations: Sequence[Examination]) -> Fix | None:
    """Order the tools by name, in every file that the finding names; their keys too, where those differ as well.

    Not where a marker would move with its tool.
    """
    lists = [listed.items for _, listed in _lists(finding, examinations)]
    alike = len({tuple(sorted(map(_written, items))) for items in lists}) == 1
    return _rewritten(finding, examinations, _tools_by_name if alike else _tools_and_keys_by_name)


def sort_keys(finding: Finding, examinations: Sequence[Examination]) -> Fix | None:
    """Order the keys of every object by name."""
    return _rewritten(finding, examinations, lambda text, listed: _sorted(text, listed, _keys))


def sort_values(finding: Finding, examinations: Sequence[Examination]) -> Fix | None:
    """Order what has no order of its own, `enum` and `required`; only where the files differ in that and no more."""
    if {place.path for place in finding.also} <= {finding.place.path}:
        return None  # of one file alone nobody can tell which order the others have
    fix = _rewritten(finding, examinations, lambda text, listed: _sorted(text, listed, _values))
    plain = {repr(_unordered(listed)) for _, listed in _lists(finding, examinations)}
    return fix if len(plain) == 1 else None


def _rewritten(finding: Finding, examinations: Sequence[Examination], rewrite: _Rewrite) -> Fix | None:
    edits: list[Edit] = []
    for file, listed in _lists(finding, examinations):
        text = rewrite(file.text, listed)
        if text is None:
            return None
        if text != file.text:
            edits.append(Edit(path=file.path, start=0, end=len(file.text), text=text))
    return Fix(edits=tuple(edits), safe=True) if edits else None


def _lists(finding: Finding, examinations: Iterable[Examination]) -> list[tuple[SourceFile, JsonNode]]:
    """Return the lists of tools in the files that a finding names."""
    paths = {finding.place.path, *(place.path for place in finding.also)}
    files = {each.sources.tools.path: each.sources.tools for each in examinations if each.sources.tools is not None}
    found: list[tuple[SourceFile, JsonNode]] = []
    for path in sorted(paths & set(files)):
        node = read_json(files[path].text)
        listed = None if isinstance(node, Problem) else (node.get("tools") if node.kind == "object" else node)
        if listed is not None and listed.kind == "array" and not _templates(listed):
            found.append((files[path], listed))
    return found


def _templates(node: JsonNode) -> bool:
    """Tell whether template code stands in a value, so that nobody knows what is rendered there."""
    return any(part.kind == "template" for part in _parts(node))


def _parts(node: JsonNode) -> Iterable[JsonNode]:
    yield node
    for child in (*node.items, *(member.value for member in node.members)):
        yield from _parts(child)


def _tools_by_name(text: str, listed: JsonNode) -> str | None:
    slots = [(_text(tool.get("name")), tool.start, tool.end) for tool in listed.items]
    moved = [tool for tool, slot, other in zip(listed.items, slots, sorted(slots), strict=True) if slot != other]
    if any(tool.get("cache_control") is not None for tool in moved):
        return None
    return _in_order(text, slots)


def _tools_and_keys_by_name(text: str, listed: JsonNode) -> str | None:
    return _tools_by_name(_sorted(text, listed, _keys), listed)


def _written(node: JsonNode) -> str:
    """Return a value as JSON with its keys in the order in which they are written."""
    return json.dumps(node.plain)


def _text(node: JsonNode | None) -> str:
    return "" if node is None else node.text or ""


_Slot: TypeAlias = tuple[str, int, int]
"""What may change places with others: what it is sorted by, its start and its end."""


def _keys(node: JsonNode, key: str) -> list[_Slot]:
    return [(member.name, member.key.start, member.value.end) for member in node.members]


def _values(node: JsonNode, key: str) -> list[_Slot]:
    if key not in _ANY_ORDER or not all(item.kind == "string" for item in node.items):
        return []
    return [(_text(item), item.start, item.end) for item in node.items]


def _sorted(text: str, node: JsonNode, slots: Callable[[JsonNode, str], list[_Slot]], key: str = "") -> str:
    """Return the text with everything inside a value in order; places change, lengths do not."""
    for item in node.items:
        text = _sorted(text, item, slots)
    for member in node.members:
        text = _sorted(text, member.value, slots, member.name)
    return _in_order(text, slots(node, key))


def _in_order(text: str, slots: list[_Slot]) -> str:
    parts: list[str] = []
    at = 0
    for (_, start, end), (_, first, last) in zip(slots, sorted(slots), strict=True):
        parts += [text[at:start], text[first:last]]
        at = end
    return "".join([*parts, text[at:]])


def _unordered(node: JsonNode, key: str = "") -> object:
    """Return a value in which neither keys nor enumerations have an order."""
    if node.kind == "object":
        return sorted((member.name, repr(_unordered(member.value, member.name))) for member in node.members)
    items = [repr(_unordered(item)) for item in node.items]
    if node.kind == "array":
        return sorted(items) if key in _ANY_ORDER else items
    return node.scalar
