"""Deferred tools in a request and in an answer: what was found may be called, and nothing else.

The emulator runs no search: a script puts the search and what it found into a reply. Here that is held against the
request, so that a test cannot pass on something that the API would not have given. The wording of the refusal of an
unknown reference is the emulator's own; its code is the API's (specification 2.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.refusals import in_own_words
from agentcache.emulator.request import Message, MessagesRequest
from agentcache.errors import EmulatorError

_SEARCH = "tool_search_tool_"


def check_references(messages: Sequence[Message], tools: Sequence[JsonObject]) -> None:
    """Raise `ApiError` where messages refer to a tool that the request does not define."""
    names = {tool.get("name") for tool in tools}
    for index, message in enumerate(messages):
        for inner, block in enumerate(message.blocks):
            for name in references(block):
                if name not in names:
                    raise in_own_words(
                        f"messages.{index}.content.{inner}: tool_reference_unresolved: no tool {name!r} in `tools`"
                    )


def check_answer(content: Iterable[JsonObject], request: MessagesRequest) -> None:
    """Raise `EmulatorError` for a scripted answer that searches without a search, or calls what was not found."""
    tools = {str(tool.get("name")): tool for tool in request.tools}
    hidden = {name for name, tool in tools.items() if tool.get("defer_loading") is True}
    for message in request.messages:
        for block in message.blocks:
            hidden.difference_update(references(block))
    for block in content:
        name = str(block.get("name"))
        if block["type"] == "server_tool_use" and name.startswith(_SEARCH) and name not in tools:
            raise EmulatorError(f"the reply searches with {name!r}, which the request does not have among its tools")
        found = list(references(block))
        strange = [each for each in found if each not in tools]
        if strange:
            raise EmulatorError(f"the reply finds {strange[0]!r}, which the request does not have among its tools")
        hidden.difference_update(found)
        if block["type"] == "tool_use" and name in hidden:
            raise EmulatorError(
                f"the reply calls {name!r}, which is deferred and was not found yet; search for it first"
            )


def references(block: JsonObject) -> Iterator[str]:
    """Yield the names of the tools that a block refers to."""
    content = block.get("content")
    found: JsonValue = content.get("tool_references") if isinstance(content, dict) else content
    for item in found if isinstance(found, list) else []:
        if isinstance(item, dict) and item.get("type") == "tool_reference":
            yield str(item.get("tool_name"))
