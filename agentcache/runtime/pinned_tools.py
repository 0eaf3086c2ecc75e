"""The tools of an MCP server as a conversation has them: one list, in one order, in the same bytes to its end.

A server may list its tools in any order, with keys in any order, and differently tomorrow. Here a listing becomes a
`PinnedList`: names made to fit the API, schemas in one form, sorted, refused one by one where no request could carry
them. Pure; the list is stored with the conversation, so that another process sends the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, canonical_text, digest
from agentcache.runtime.tools import Tool, ToolFunction
from agentcache.runtime.toolsets import McpServer, Toolset

MAX_NAME = 64
"""Longest name that a tool may have here; the API takes 128, older versions of it 64."""

_STRANGE = re.compile(r"[^a-zA-Z0-9_-]")
_DATA = frozenset({"default", "const", "enum", "examples"})
_NAMES_OF_PARTS = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedTool:
    """One tool: its name in requests, its name on the server, and what the model is told of it."""

    name: str
    remote: str
    description: str
    input_schema: JsonObject

    def to_json(self) -> JsonObject:
        """Return the tool as it is stored."""
        return {
            "name": self.name,
            "remote": self.remote,
            "description": self.description,
            "input_schema": self.input_schema,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedList:
    """What a server offers a conversation. source: that of the server's declaration. defer: whether it is deferred."""

    source: str
    tools: tuple[PinnedTool, ...]
    defer: bool

    @property
    def digest(self) -> str:
        """Identity of the list: equal for equal bytes."""
        return digest(canonical_json(self.to_json()))

    def to_json(self) -> JsonObject:
        """Return the list as it is stored."""
        return {"source": self.source, "defer": self.defer, "tools": [tool.to_json() for tool in self.tools]}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDifference:
    """How a server's list differs from a pinned one: names of tools in requests."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def words(self) -> str:
        """Return the difference as part of a sentence."""
        parts = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A tool that cannot be offered: its name on the server, and why."""

    tool: str
    reason: str


def pin(
    server: McpServer, listed: Iterable[JsonValue], *, why_invalid: Callable[[JsonObject], str | None]
) -> tuple[tuple[PinnedTool, ...], tuple[Refused, ...]]:
    """Return the tools that a server lists (wire values), by name, and those that cannot be offered.

    why_invalid: tells what is wrong with a JSON schema, `None` for nothing.
    """
    tools: dict[str, PinnedTool] = {}
    refused: list[Refused] = []
    for raw in sorted(listed, key=_sort_key):
        remote = _remote_name(raw)
        if remote and not server.offers(remote):
            continue
        reason = _why_unusable(raw, why_invalid)
        tool = None if reason or not isinstance(raw, dict) else _pinned(server, remote, raw)
        if tool is not None and tool.name in tools:
            reason, tool = f"its name {tool.name!r} is that of {tools[tool.name].remote!r} too", None
        if tool is None:
            refused.append(Refused(tool=remote, reason=reason or "it is no object"))
        else:
            tools[tool.name] = tool
    return tuple(tools[name] for name in sorted(tools)), tuple(refused)


def difference(before: Sequence[PinnedTool], now: Sequence[PinnedTool]) -> ListDifference:
    """Return how two lists differ."""
    old, new = ({tool.name: tool for tool in tools} for tools in (before, now))
    return ListDifference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
    )


def grown(before: Sequence[PinnedTool], now: Sequence[PinnedTool], found: Iterable[str]) -> tuple[PinnedTool, ...]:
    """Return a deferred list brought up to date as far as that moves no prefix.

    What was found already stands in the messages and stays as it is (`found`: names of those); all else is in no
    prefix.
    """
    kept = {tool.name: tool for tool in before if tool.name in set(found)}
    return tuple(sorted([*kept.values(), *(tool for tool in now if tool.name not in kept)], key=lambda tool: tool.name))


def toolset_of(server: McpServer, pinned: PinnedList, function: Callable[[PinnedTool], ToolFunction]) -> Toolset:
    """Return a pinned list as tools that can be called. `function` makes what calls one of them.

    Raises `ToolDeclarationError` for an approval rule that looks at arguments which a tool does not take.
    """
    return Toolset(
        [_tool(server, pinned, tool, function(tool)) for tool in pinned.tools], name=server.name, defer=pinned.defer
    )


def lists_from_json(value: JsonValue) -> dict[str, PinnedList]:
    """Return the lists, by server, that were stored; what another version stored is left out, and pinned anew."""
    stored = value if isinstance(value, dict) else {}
    return {name: found for name, each in stored.items() if (found := _list_from_json(each)) is not None}


def lists_to_json(lists: Mapping[str, PinnedList]) -> JsonObject:
    """Return lists, by server, as they are stored."""
    return {name: lists[name].to_json() for name in sorted(lists)}


def canonical_schema(schema: JsonObject) -> JsonObject:
    """Return a JSON schema in one form, whatever order its keys came in: sorted, parameters and `required` too."""
    ordered: JsonObject = {}
    for key in sorted(schema):
        value = schema[key]
        if key in _DATA:
            ordered[key] = json.loads(canonical_json(value))
        elif key in _NAMES_OF_PARTS and isinstance(value, dict):
            ordered[key] = {name: _canonical(value[name]) for name in sorted(value)}
        elif key == "required" and isinstance(value, list):
            ordered[key] = sorted(value, key=str)
        else:
            ordered[key] = _canonical(value)
    return ordered


def tool_name(server: str, remote: str) -> str:
    """Return the name of a server's tool in requests: `server__tool`, made to fit; a name too long ends in a digest."""
    name = f"{server}__{_STRANGE.sub('_', remote)}"
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 9]}_{digest(remote).rpartition(':')[2][:8]}"


def _canonical(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return canonical_schema(value)
    return [_canonical(item) for item in value] if isinstance(value, list) else value


def _tool(server: McpServer, pinned: PinnedList, tool: PinnedTool, function: ToolFunction) -> Tool:
    kept, ttl_s = server.kept_for(tool.remote)
    return Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        function=function,
        blocking=False,
        timeout_s=server.timeout_s,
        deterministic=kept,
        ttl_s=ttl_s,
        # Another server, or another definition, is another tool: no result of the old one is ever given.
        version=digest(f"{pinned.source}\n{canonical_json(tool.to_json())}") if kept else None,
        max_result_chars=server.max_result_chars,
        approval=server.approval_of(tool.remote),
        where=f"tool {tool.remote!r} of MCP server {server.name!r}",
    )


def _why_unusable(raw: JsonValue, why_invalid: Callable[[JsonObject], str | None]) -> str | None:
    if not isinstance(raw, dict) or not _remote_name(raw):
        return "it has no name"
    schema = raw.get("inputSchema")
    if not isinstance(schema, dict):
        return f"its inputSchema is {json.dumps(schema)[:80]}, no object"
    if schema.get("type") != "object":
        return f"its inputSchema has type {schema.get('type')!r}; the API takes 'object' only"
    mixed = sorted({"anyOf", "oneOf", "allOf"} & schema.keys())
    if mixed:
        return f"its inputSchema has {mixed[0]} at its top, which the API refuses"
    if not isinstance(raw.get("description"), str | None):
        return "its description is no text"
    return why_invalid(schema)


def _pinned(server: McpServer, remote: str, raw: JsonObject) -> PinnedTool | None:
    schema, told = raw.get("inputSchema"), raw.get("description") or raw.get("title")
    if not isinstance(schema, dict):
        return None
    description = canonical_text(told).strip() if isinstance(told, str) else ""
    return PinnedTool(
        name=tool_name(server.name, remote),
        remote=remote,
        description=description or f"{remote} of {server.name}.",
        input_schema=canonical_schema(schema),
    )


def _remote_name(raw: JsonValue) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name if isinstance(name, str) else ""


def _sort_key(raw: JsonValue) -> tuple[str, str]:
    return _remote_name(raw), canonical_json(raw)


def _list_from_json(value: JsonValue) -> PinnedList | None:
    if not isinstance(value, dict) or not isinstance(value.get("tools"), list):
        return None
    tools = []
    for each in value["tools"] if isinstance(value["tools"], list) else []:
        tool = _tool_from_json(each)
        if tool is None:
            return None
        tools.append(tool)
    return PinnedList(source=str(value.get("source")), tools=tuple(tools), defer=value.get("defer") is True)


def _tool_from_json(value: JsonValue) -> PinnedTool | None:
    if not isinstance(value, dict):
        return None
    name, remote, told, schema = (value.get(key) for key in ("name", "remote", "description", "input_schema"))
    if not (isinstance(name, str) and isinstance(remote, str) and isinstance(told, str) and isinstance(schema, dict)):
        return None
    return PinnedTool(name=name, remote=remote, description=told, input_schema=schema)
