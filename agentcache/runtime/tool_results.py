"""What a tool gives back, as the model will read it.

A result is text or content blocks, and what became of the call. Equal values give equal bytes, since a result stays
in the prompt for the rest of the conversation. Nothing is run here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, json_text
from agentcache.runtime.schemas import json_form

Outcome: TypeAlias = Literal["ok", "error", "timeout", "invalid_arguments", "unknown_tool", "cancelled", "declined"]
"""What became of a tool call; `ToolCallRecord.outcome` holds the same words."""

MAX_RESULT_CHARS = 200_000
"""Where a result is cut when its tool says nothing else: about 50,000 tokens."""

NO_OUTPUT = "(no output)"
"""Stands for text of white space only: the API takes no empty text block (spec, section 3)."""

_NEEDS = {"text": "text", "image": "source", "document": "source", "search_result": "content"}
"""Content blocks that a `tool_result` may hold (SDK 2.12.0, `ToolResultBlockParam`), with the key that each needs."""

_SOURCES = {
    "image": frozenset({"base64", "url", "file"}),
    "document": frozenset({"base64", "content", "file", "text", "url"}),
}
"""Kinds of sources that these blocks may have (SDK 2.12.0). What has one is meant to be seen, not read as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """The answer to one `tool_use`. A tool may return one itself, to send content blocks or to mark an error.

    content: text, or content blocks as the API takes them, without `cache_control`.
    outcome: anything but `ok` is sent with `is_error`.
    error: the exception behind an `error`, for logs; the model sees its type and message only.
    """

    content: str | list[JsonObject]
    outcome: Outcome = "ok"
    error: Exception | None = field(default=None, repr=False, compare=False)

    @property
    def is_error(self) -> bool:
        """Whether the model is told that the call failed."""
        return self.outcome != "ok"

    @property
    def chars(self) -> int:
        """Characters of text in it, documents of text included; images and other documents count nothing."""
        if isinstance(self.content, str):
            return len(self.content)
        return sum(len(_text_of(block)) for block in self.content)

    @property
    def sent_text(self) -> str:
        """The content as it is sent: a text itself, content blocks as JSON. Equal texts are equal to the byte."""
        return self.content if isinstance(self.content, str) else json_text(self.content)

    def block(self, tool_use_id: str) -> JsonObject:
        """Return the `tool_result` block that answers `tool_use_id`; always the same keys in the same order."""
        content: JsonValue = self.content if isinstance(self.content, str) else list(self.content)
        block: JsonObject = {"type": "tool_result", "tool_use_id": tool_use_id, "content": content}
        return {**block, "is_error": True} if self.is_error else block

    def sendable(self, *, max_chars: int) -> ToolResult:
        """Return the result as the API takes it: no empty text, no broken Unicode, no more than `max_chars` a text.

        Raises `ValueError` for blocks that the API would refuse.
        """
        if isinstance(self.content, str):
            return replace(self, content=_sendable_text(self.content, max_chars))
        if not self.content:
            return replace(self, content=NO_OUTPUT)
        return replace(self, content=[_sendable_block(block, max_chars) for block in self.content])


def result_of(value: object, *, max_chars: int, nothing: str = "null") -> ToolResult:
    """Return what a tool returned as a result.

    A `ToolResult`, a list of content blocks, an image or a document stay what they are, text stays text, and text in a
    list with images or documents becomes blocks like them. `None` is `nothing`, and all else is canonical JSON (or,
    where its JSON is a string, as for a date or a path, that string). Text beyond `max_chars` is cut and says so.
    Raises `TypeError` or `ValueError` for a value without a JSON form.
    """
    if isinstance(value, ToolResult):
        return value.sendable(max_chars=max_chars)
    if isinstance(value, str):
        return ToolResult(content=value).sendable(max_chars=max_chars)
    if value is None:
        return ToolResult(content=nothing)
    form = _form(value)
    blocks = _as_blocks(form)
    if blocks is not None:
        return ToolResult(content=blocks).sendable(max_chars=max_chars)
    return ToolResult(content=form if isinstance(form, str) else canonical_json(form)).sendable(max_chars=max_chars)


def _form(value: object) -> JsonValue:
    try:
        return json_form(value)
    except UnicodeDecodeError as error:
        raise ValueError("it holds bytes that are no text; return image(...) or document(...) of them") from error


def failure(outcome: Outcome, message: str, *, error: Exception | None = None) -> ToolResult:
    """Return the result of a call that went wrong."""
    return ToolResult(content=_sendable_text(message, MAX_RESULT_CHARS), outcome=outcome, error=error)


def misfit(name: str, problems: str) -> str:
    """Return what the model is told of arguments that do not fit a tool."""
    return f"The arguments do not fit the tool {name}:\n{problems}\nCall it again with corrected arguments."


def _as_blocks(form: JsonValue) -> list[JsonObject] | None:
    """Return `form` as content blocks if that is what it is; data that merely has a `type` stays data."""
    if isinstance(form, dict):
        return [form] if _is_file(form) else None
    if not isinstance(form, list):
        return None
    if any(isinstance(item, dict) and _is_file(item) for item in form):
        form = [{"type": "text", "text": item} if isinstance(item, str) else item for item in form]
    blocks = [item for item in form if isinstance(item, dict) and _is_block(item)]
    return blocks if blocks and len(blocks) == len(form) else None


def _is_file(item: JsonObject) -> bool:
    """Tell whether this is an image or a document beyond doubt."""
    source = item.get("source")
    return isinstance(source, dict) and source.get("type") in _SOURCES.get(str(item.get("type")), ())


def _is_block(item: JsonObject) -> bool:
    needed = _NEEDS.get(str(item.get("type")))
    if needed is None or needed not in item:
        return False
    return isinstance(item[needed], {"text": str, "source": dict, "content": list}[needed])


def _sendable_block(block: JsonObject, max_chars: int) -> JsonObject:
    if not _is_block(block):
        raise ValueError(
            f"a content block of type {block.get('type')!r} is not one that a tool result may hold "
            f"({', '.join(_NEEDS)}), or lacks its content"
        )
    if "cache_control" in block:
        raise ValueError("a content block carries cache_control; leave it out, the planner places breakpoints")
    text, source = block.get("text"), block.get("source")
    if isinstance(text, str):
        return {**block, "text": _sendable_text(text, max_chars)}
    if isinstance(source, dict) and source.get("type") == "text":
        return {**block, "source": {**source, "data": _sendable_text(str(source.get("data")), max_chars)}}
    return block


def _text_of(block: JsonObject) -> str:
    """Return the text of a text block or of a document that is text."""
    source = block.get("source")
    text = block.get("text")
    if isinstance(source, dict) and source.get("type") == "text":
        text = source.get("data")
    return text if isinstance(text, str) else ""


def _sendable_text(text: str, max_chars: int) -> str:
    if not text.strip():
        return NO_OUTPUT
    left_out = len(text) - max_chars
    if left_out > 0:
        text = f"{text[:max_chars]}\n[cut: {left_out} more characters]"
    return text if text.isascii() else _without_lone_surrogates(text)


def _without_lone_surrogates(text: str) -> str:
    # Half of a surrogate pair (as in a file name that is no UTF-8) can stand in a str but in no request.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
