"""What an MCP server answers, as a tool result: deterministic, whatever kinds of content it mixes.

Input is the JSON of a `CallToolResult` (MCP, schema of 2025-11-25 and 2026-07-28); pure, and no import of the SDK.
Text stays text, images that the API shows stay images, a PDF becomes a document. What no model can be shown is
named in words, so that it knows there was something.
"""

from __future__ import annotations

from collections.abc import Mapping

from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.prompt.strict_json import parsed_json
from agentcache.runtime.tool_results import Outcome, ToolResult

_SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""Types of `Base64ImageSource` (SDK 2.12.0)."""

MAX_ENCODED_CHARS = 5_000_000
"""Longest image or document, in base64 characters, that is sent on; a request as a whole takes 32 MB."""


def result_from(answer: Mapping[str, JsonValue]) -> ToolResult:
    """Return the result that a server's answer stands for.

    Structured content is sent where there is no text that says the same; text that is merely its JSON is sent in
    canonical form, so that equal values are equal bytes.
    """
    content = answer.get("content")
    blocks = [_block(item) for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    structured = answer.get("structuredContent")
    if structured is not None:
        blocks = _with_structured(blocks, structured)
    outcome: Outcome = "error" if answer.get("isError") is True else "ok"
    if len(blocks) == 1 and isinstance(text := blocks[0].get("text"), str):
        return ToolResult(content=text, outcome=outcome)
    return ToolResult(content=blocks or "", outcome=outcome)


def _with_structured(blocks: list[JsonObject], structured: JsonValue) -> list[JsonObject]:
    texts = [block for block in blocks if block["type"] == "text"]
    written = _text(canonical_json(structured))
    if not texts:
        return [written, *blocks]
    if len(texts) == 1 and _read(texts[0]["text"]) == structured:
        return [written if block is texts[0] else block for block in blocks]
    return blocks


def _read(text: JsonValue) -> JsonValue:
    try:
        return parsed_json(str(text))
    except ValueError:
        return None


def _block(item: JsonObject) -> JsonObject:
    kind = item.get("type")
    if kind == "text":
        return _text(str(item.get("text", "")))
    if kind == "resource_link":
        title = item.get("title") or item.get("name") or "a resource"
        return _text(f"[{title}: {item.get('uri')}]")
    if kind == "resource":
        resource = item.get("resource")
        return _resource(resource if isinstance(resource, dict) else {})
    return _binary(str(kind), str(item.get("mimeType")), item.get("data"), uri="")


def _resource(resource: JsonObject) -> JsonObject:
    uri, text = str(resource.get("uri")), resource.get("text")
    if isinstance(text, str):
        return _text(f"[{uri}]\n{text}")
    return _binary("resource", str(resource.get("mimeType")), resource.get("blob"), uri=uri)


def _binary(kind: str, media_type: str, data: JsonValue, *, uri: str) -> JsonObject:
    encoded = data if isinstance(data, str) else ""
    source: JsonObject = {"type": "base64", "media_type": media_type, "data": encoded}
    if encoded and len(encoded) <= MAX_ENCODED_CHARS:
        if media_type in _SHOWN:
            return {"type": "image", "source": source}
        if media_type == "application/pdf":
            return {"type": "document", "source": source}
    named = f" {uri}" if uri else ""
    return _text(f"[{kind}{named} of type {media_type}, {len(encoded)} characters in base64: cannot be shown]")


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}
