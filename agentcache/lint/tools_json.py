"""Reads a `tools.json`: every name, description, property, enumeration and marker of each tool, with its place.

Takes a list of Messages tool definitions, or an object with that list under `tools`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentcache.lint.agent_sources import SourceFile
from agentcache.lint.finding import Place
from agentcache.lint.json_places import JsonNode, TextLines, read_json
from agentcache.lint.syntax import Problem
from agentcache.prompt.canonical import JsonValue

WordsRole: TypeAlias = Literal["name", "description"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolWords:
    """A text that the model reads: a name or description of a tool or of something inside its schema.

    of: where in the tool, as dotted keys (`description`, `input_schema.properties.path.description`).
    """

    role: WordsRole
    of: str
    text: str
    node: JsonNode
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEnum:
    """The values that a property may have; a `const` or `default` is an enumeration of one.

    property_name: empty where it belongs to none. description: of the property, empty without one.
    place: of the first value.
    """

    key: Literal["enum", "const", "default"]
    property_name: str
    description: str
    values: tuple[JsonNode, ...]
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolMarker:
    """A `cache_control`, on the tool itself or somewhere inside it. place: of what is in it, key: of its name."""

    on_tool: bool
    inside: str
    """Where in the tool, as dotted keys; empty for one on the tool."""
    value: JsonNode
    place: Place
    key: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolText:
    """One tool definition."""

    name: str
    node: JsonNode
    place: Place
    words: tuple[ToolWords, ...]
    enums: tuple[ToolEnum, ...]
    markers: tuple[ToolMarker, ...]
    deferred: bool

    @property
    def definition(self) -> Mapping[str, JsonValue]:
        """The definition as the API takes it."""
        plain = self.node.plain
        return plain if isinstance(plain, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsText:
    """A file of tools."""

    path: str
    tools: tuple[ToolText, ...]
    lines: TextLines


def read_tools(file: SourceFile) -> ToolsText | Problem:
    """Return the tools of a file with the places of what is in them, or the problem why it cannot be read."""
    node = read_json(file.text)
    if isinstance(node, Problem):
        return Problem(line=node.line, message=f"this is no JSON: {node.message}")
    lines = TextLines(file.path, file.text)
    listed = node.get("tools") if node.kind == "object" else node
    if listed is None or listed.kind not in {"array", "template"}:
        return Problem(line=lines.place(node.start, node.end).line, message="a list of tool definitions was expected")
    wrong = next((item for item in listed.items if item.kind not in {"object", "template"}), None)
    if wrong is not None:
        line = lines.place(wrong.start, wrong.end).line
        return Problem(line=line, message=f"a tool definition is an object, and this is a {wrong.kind}")
    return ToolsText(path=file.path, tools=tuple(_tool(item, lines) for item in listed.items), lines=lines)


def _tool(node: JsonNode, lines: TextLines) -> ToolText:
    name, deferred = node.get("name"), node.get("defer_loading")
    named = node if name is None else name
    parts = tuple(_walk(node, ()))
    return ToolText(
        name=(name.text if name is not None else None) or "",
        node=node,
        place=lines.place(named.start, named.end),
        words=tuple(word for path, part in parts for word in _words(path, part, lines)),
        enums=tuple(enum for path, part in parts for enum in _enums(path, part, lines)),
        markers=tuple(marker for path, part in parts for marker in _markers(path, part, lines)),
        deferred=deferred is not None and deferred.scalar is True,
    )


_Path: TypeAlias = tuple[str, ...]


def _walk(node: JsonNode, path: _Path) -> Iterator[tuple[_Path, JsonNode]]:
    """Yield every object in a tool with its path; not what stands in values that are data."""
    if node.kind == "object":
        yield path, node
    for member in node.members:
        if member.name not in _DATA or _names_properties(path):
            yield from _walk(member.value, (*path, member.name))
    for item in node.items:
        yield from _walk(item, path)


def _words(path: _Path, node: JsonNode, lines: TextLines) -> Iterator[ToolWords]:
    for member in node.members:
        if _names_properties(path):
            yield _word("name", (*path, member.name), member.key, lines)
        elif member.name in _TEXTS or (member.name == "name" and not path):
            role: WordsRole = "name" if member.name in {"name", "title"} else "description"
            if member.value.kind in {"string", "template"}:
                yield _word(role, (*path, member.name), member.value, lines)


def _word(role: WordsRole, path: _Path, node: JsonNode, lines: TextLines) -> ToolWords:
    return ToolWords(
        role=role, of=".".join(path), text=str(node.scalar), node=node, place=lines.place(node.start, node.end)
    )


def _enums(path: _Path, node: JsonNode, lines: TextLines) -> Iterator[ToolEnum]:
    if _names_properties(path):
        return
    described = node.get("description")
    name = next((path[at + 1] for at in range(len(path) - 2, -1, -1) if path[at] in _PROPERTIES), "")
    for key in ("enum", "const", "default"):
        value = node.get(key)
        if value is None:
            continue
        values = value.items if value.kind == "array" else (value,)
        first = values[0] if values else value
        yield ToolEnum(
            key=key,
            property_name=name,
            description=(described.text if described is not None else None) or "",
            values=values,
            place=lines.place(first.start, first.end),
        )


def _markers(path: _Path, node: JsonNode, lines: TextLines) -> Iterator[ToolMarker]:
    for member in node.members:
        # A property that is called cache_control is an argument of the tool, unless a marker was put there.
        if member.name != "cache_control" or (_names_properties(path) and not _looks_like_marker(member.value)):
            continue
        inside = member.value.members[0].key if member.value.members else member.value
        yield ToolMarker(
            on_tool=not path,
            inside=".".join(path),
            value=member.value,
            place=lines.place(inside.start, inside.end),
            key=lines.place(member.key.start, member.key.end),
        )


def _names_properties(path: _Path) -> bool:
    """Whether the keys of the object at `path` are names that the author chose."""
    return bool(path) and path[-1] in _PROPERTIES and (len(path) < 2 or path[-2] not in _PROPERTIES)


def _looks_like_marker(node: JsonNode) -> bool:
    kind = node.get("type")
    return kind is not None and kind.text in {"ephemeral", "persistent"}


_TEXTS = frozenset({"description", "title"})
_PROPERTIES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_DATA = frozenset({"enum", "const", "default", "examples", "example", "input_examples"})
"""Keys whose values are data of the tool's and no schema."""
