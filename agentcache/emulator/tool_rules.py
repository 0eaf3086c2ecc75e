"""Tool definitions and `tool_choice`: what the API refuses.

Custom tools are read whole. Tools that the API defines itself are known by their type; the emulator does not run server
tools, so only a script can make one of their calls appear.
"""

from __future__ import annotations

import re

from agentcache.emulator.fields import allow_only, read_bool, read_list, read_object, read_tag, read_text, require
from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.markers import lifetime_of
from agentcache.emulator.refusals import ApiError, not_played
from agentcache.prompt.model_facts import ModelFacts

_CUSTOM_FIELDS = frozenset(
    {
        "type",
        "name",
        "description",
        "input_schema",
        "cache_control",
        "strict",
        "defer_loading",
        "allowed_callers",
        "input_examples",
        "eager_input_streaming",
    }
)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")

# Families of tools that Anthropic defines; the date or variant follows (SDK 2.12.0, tool union types).
_DEFINED_BY_API = (
    "bash_",
    "text_editor_",
    "memory_",
    "computer_",
    "browser_toolset_",
    "code_execution_",
    "web_search_",
    "web_fetch_",
    "tool_search_tool_",
)
_UNPLAYED = ("mcp_toolset", "advisor_")

_CHOICES = ("auto", "any", "tool", "none")


def read_tools(value: JsonValue) -> tuple[JsonObject, ...]:
    """Return the tool definitions; raises `ApiError` where the API refuses one of them."""
    if value is None:
        return ()
    tools = tuple(_read_tool(item, f"tools.{index}") for index, item in enumerate(read_list(value, "tools")))
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(names) != len({str(name) for name in names}):
        raise ApiError("tools: Tool names must be unique.")
    if tools and all(tool.get("defer_loading") is True for tool in tools):
        raise ApiError("All tools have defer_loading: true")
    return tools


def read_tool_choice(value: JsonValue, tools: tuple[JsonObject, ...], facts: ModelFacts) -> str:
    """Return the type of `tool_choice`, `auto` when there is none; raises `ApiError` where the API refuses it."""
    if value is None:
        return "auto"
    choice = read_object(value, "tool_choice")
    kind = read_tag(choice, "tool_choice", _CHOICES)
    allowed = {"type", "disable_parallel_tool_use"} if kind != "none" else {"type"}
    allow_only(choice, f"tool_choice.{kind}", allowed | ({"name"} if kind == "tool" else set()))
    if "disable_parallel_tool_use" in choice:
        read_bool(choice["disable_parallel_tool_use"], f"tool_choice.{kind}.disable_parallel_tool_use")
    if not tools and kind != "none":
        raise ApiError("tool_choice: tool_choice may only be specified while providing tools")
    if kind in {"any", "tool"} and facts.known and not facts.forced_tool_choice:
        raise ApiError('tool_choice: type "tool" and "any" are not supported for this model.')
    if kind == "tool":
        require(choice, "tool_choice.tool", ("name",))
        name = read_text(choice["name"], "tool_choice.tool.name")
        if all(tool.get("name") != name for tool in tools):
            raise ApiError(f"Tool '{name}' not found in provided tools")
    return kind


def _read_tool(value: JsonValue, path: str) -> JsonObject:
    tool = read_object(value, path)
    kind = tool.get("type")
    if kind is None or kind == "custom":
        _check_custom(tool, f"{path}.custom")
    elif isinstance(kind, str) and kind.startswith(_UNPLAYED):
        raise not_played(f"{path}: a tool of type {kind!r}")
    elif not isinstance(kind, str) or not kind.startswith(_DEFINED_BY_API):
        expected = ", ".join(f"'{family}…'" for family in _DEFINED_BY_API)
        raise ApiError(
            f"{path}: Input tag {str(kind)!r} found using 'type' does not match any of the expected tags: "
            f"'custom', {expected}"
        )
    marked = lifetime_of(tool.get("cache_control"), f"{path}.cache_control") is not None
    if tool.get("defer_loading") is True and marked:
        raise ApiError(
            f"Tool '{tool.get('name')}' cannot have both defer_loading=true and cache_control set. "
            "Tools with defer_loading cannot use prompt caching."
        )
    return tool


def _check_custom(tool: JsonObject, path: str) -> None:
    require(tool, path, ("name", "input_schema"))
    allow_only(tool, path, _CUSTOM_FIELDS)
    if not _NAME.fullmatch(read_text(tool["name"], f"{path}.name")):
        raise ApiError(f"{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    if tool.get("description") is not None:
        read_text(tool["description"], f"{path}.description")
    for name in ("strict", "defer_loading", "eager_input_streaming"):
        if tool.get(name) is not None:
            read_bool(tool[name], f"{path}.{name}")
    schema = read_object(tool["input_schema"], f"{path}.input_schema")
    require(schema, f"{path}.input_schema", ("type",))
    if schema["type"] != "object":
        raise ApiError(f"{path}.input_schema.type: Input should be 'object'")
    if any(key in schema for key in ("oneOf", "allOf", "anyOf")):
        raise ApiError(f"{path}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level")
