"""What a tool definition is to the rendered prompt: where it stands in it, if it does, and what brings it there.

Reads wire values only. Sources: specification 1.1 (K11), 1.2 and 1.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import is_

from agentcache.prompt.canonical import JsonObject, JsonValue

_WITH_SYSTEM = ("web_search_", "web_fetch_")


def is_deferred(tool: Mapping[str, JsonValue]) -> bool:
    """Tell whether the API leaves a definition out until a tool search finds it (`defer_loading`)."""
    return tool.get("defer_loading") is True


def stands_with_system(tool: Mapping[str, JsonValue]) -> bool:
    """Tell whether a definition is rendered with the system prompt: switching it loses that, and spares the tools."""
    return str(tool.get("type", "")).startswith(_WITH_SYSTEM)


def found_names(block: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield the names of the tools that a message block brings into the prompt, as often as it names them.

    They are named by `tool_reference` blocks in a `tool_result`, or in what the API's own tool search gave.
    """
    content = block.get("content")
    found: JsonValue = content.get("tool_references") if isinstance(content, dict) else content
    for item in found if isinstance(found, list) else []:
        if isinstance(item, dict) and item.get("type") == "tool_reference":
            yield str(item.get("tool_name"))


def without_deferral(tool: JsonObject) -> JsonObject:
    """Return a definition as it is rendered once it is found."""
    return {key: value for key, value in tool.items() if key != "defer_loading"}


def same_deferred(before: Sequence[JsonObject], now: Sequence[JsonObject]) -> bool:
    """Tell whether two lists of definitions defer the same ones; fast where they hold the same objects."""
    if len(before) == len(now) and all(map(is_, before, now)):
        return True
    return [tool for tool in before if is_deferred(tool)] == [tool for tool in now if is_deferred(tool)]
