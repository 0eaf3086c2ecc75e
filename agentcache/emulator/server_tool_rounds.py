"""Answers in which the model used a server tool: several rounds of inference behind one response.

After each server tool result the API continues with the prompt grown by what was said so far. Where the request has any
marker, it puts one of 5 minutes on the result first (section 2.2.5). Each round is charged, and the response shows the
sums (section 5.4). The emulator runs no server tool: a script puts calls and results into its reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agentcache.emulator.json_values import JsonObject
from agentcache.emulator.request import Message, MessagesRequest, PlacedMarker

SERVER_RESULTS = frozenset(
    {
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
    }
)

_COUNTED = {"web_search_tool_result": "web_search_requests", "web_fetch_tool_result": "web_fetch_requests"}


def later_rounds(request: MessagesRequest, content: Sequence[JsonObject]) -> Iterator[MessagesRequest]:
    """Yield the request of each round after the first; none when `content` has no server tool result."""
    place = len(request.messages)
    marked: list[PlacedMarker] = []
    for index, block in enumerate(content):
        if block["type"] not in SERVER_RESULTS:
            continue
        if request.markers:
            marked.append(PlacedMarker(("messages", place, index), "5m"))
        following = content[index + 1] if index + 1 < len(content) else None
        if following is None or following["type"] not in SERVER_RESULTS:
            said = Message(role="assistant", blocks=tuple(content[: index + 1]))
            yield replace(request, messages=(*request.messages, said), markers=(*request.markers, *marked))


def tool_counts(content: Sequence[JsonObject]) -> JsonObject | None:
    """Return `usage.server_tool_use` for an answer; `None` when it used no server tool."""
    kinds = [str(block["type"]) for block in content]
    if not SERVER_RESULTS.intersection(kinds):
        return None
    return {name: kinds.count(kind) for kind, name in _COUNTED.items()}
