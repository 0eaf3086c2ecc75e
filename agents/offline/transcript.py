"""What an agent of the review team has been asked and told so far, read from its Messages request.

This module decides how the script finds its role, its task and the answers of its tools in a request, and how it asks
for more. It knows the texts of the team's tools and nothing of files, directories or findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from pydantic import JsonValue

from agents.offline.rules import Role

Json = dict[str, JsonValue]
Reply = str | list[Json]

LISTING_PAGES = 10

_ROLE = re.compile(r"^# Your role: (\w+)$", re.MULTILINE)
_LISTED = re.compile(r"^(.+)  \((\d+) bytes(?:, (\w+))?\)$", re.MULTILINE)
_NEXT_OFFSET = re.compile(r"\bNext page: offset=(\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """One tool call of the transcript and what came back."""

    tool: str
    arguments: Json
    text: str
    is_error: bool


def role_of(request: Mapping[str, JsonValue]) -> str:
    """Return the role that the system prompt gives. Raises `ValueError` when it names none of the review team."""
    found = _ROLE.search(_text(request.get("system")))
    if found is None or found[1] not in {"planner", "editor", *get_args(Role)}:
        raise ValueError("this script answers the agents of agents/review.py; the system prompt names none of them")
    return found[1]


def task_of(request: Mapping[str, JsonValue]) -> str:
    """Return the text of the first user message: what this agent was asked."""
    return next((_text(message.get("content")) for message in _messages(request) if message.get("role") == "user"), "")


def tool_answers(request: Mapping[str, JsonValue]) -> Iterator[ToolAnswer]:
    """Yield what the tools have answered, in the order of the answers."""
    asked: dict[str, Json] = {}
    for block in _blocks(request):
        if block.get("type") == "tool_use":
            asked[str(block["id"])] = block
        elif block.get("type") == "tool_result" and (use := asked.get(str(block["tool_use_id"]))) is not None:
            arguments = use.get("input")
            yield ToolAnswer(
                tool=str(use["name"]),
                arguments=arguments if isinstance(arguments, dict) else {},
                text=_text(block.get("content")),
                is_error=block.get("is_error") is True,
            )


def _messages(request: Mapping[str, JsonValue]) -> list[Json]:
    messages = request.get("messages")
    return [item for item in messages if isinstance(item, dict)] if isinstance(messages, list) else []


def _text(content: JsonValue) -> str:
    """Return the text of a string or of a list of text blocks."""
    if isinstance(content, str):
        return content
    blocks = [item for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    return "\n".join(str(block["text"]) for block in blocks if block.get("type") == "text")


def _blocks(request: Mapping[str, JsonValue]) -> Iterator[Json]:
    for message in _messages(request):
        content = message.get("content")
        yield from (item for item in content if isinstance(item, dict)) if isinstance(content, list) else ()


def call(tool: str, **arguments: JsonValue) -> Json:
    """Return the block that calls `tool`."""
    return {"type": "tool_use", "name": tool, "input": arguments}


def next_listing(answers: Iterable[ToolAnswer]) -> Json | None:
    """Return the call that fetches the next page of the listing, or `None` when it is complete or long enough."""
    listings = [answer for answer in answers if answer.tool == "list_files"]
    if not listings:
        return call("list_files")
    following = _NEXT_OFFSET.search(listings[-1].text.split("\n", 1)[0])
    if following is None or len(listings) >= LISTING_PAGES:
        return None
    return call("list_files", offset=int(following[1]))


def readable_files(answers: Iterable[ToolAnswer]) -> list[str]:
    """Return the paths that were listed and that can be read, in the order of the listing."""
    listings = (answer.text for answer in answers if answer.tool == "list_files")
    return [path for text in listings for path, _, kind in _LISTED.findall(text) if not kind]
