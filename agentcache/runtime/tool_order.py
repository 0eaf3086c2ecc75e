"""In which order an agent's tools are sent: whatever changes seldom comes first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, TypeVar

from agentcache.errors import ToolDeclarationError
from agentcache.prompt.tool_kinds import stands_with_system
from agentcache.runtime.server_tools import ServerTool
from agentcache.runtime.tools import Tool

AnyTool: TypeAlias = Tool | ServerTool
"""What an agent may be given: a function of the author's, or a tool that the API runs."""
AnyToolT = TypeVar("AnyToolT", bound=AnyTool)


def ordered_tools(tools: Iterable[AnyToolT], *, shared: Iterable[AnyToolT] = ()) -> tuple[AnyToolT, ...]:
    """Return tools in the order in which they are sent, whatever order they were declared in; `shared` lead.

    Behind those stand functions, tools that the API runs, and what came with toolsets, each by name: what may change
    from one conversation to the next comes late. Raises `ToolDeclarationError` for what is no tool and for two of one
    name.
    """
    known: dict[str, AnyToolT] = {}
    shared = tuple(shared)
    for item in (*shared, *tools):
        if not isinstance(item, Tool | ServerTool):
            raise ToolDeclarationError(f"{item!r} is no tool; put @tool on the function, or wrap it in tool(...)")
        twin = known.setdefault(item.name, item)
        if twin is not item and twin != item:
            raise ToolDeclarationError(
                f"two tools are named {item.name!r}: {_place(twin)} and {_place(item)}; rename one with name='...'"
            )
    leading = {item.name for item in shared}
    return tuple(sorted(known.values(), key=lambda item: (item.name not in leading, _late(item), item.name)))


def _late(item: AnyTool) -> int:
    if isinstance(item, ServerTool):
        return 3 if stands_with_system(item.definition()) else 1
    return (4 if item.deferred else 2) if item.toolset else 0


def _place(item: AnyTool) -> str:
    return item.where if isinstance(item, Tool) else item.kind
