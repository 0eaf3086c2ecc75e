"""Content blocks: which kinds exist, which fields they take, and which of them may carry a cache marker.

The tables follow the parameter types of the Python SDK (2.12.0). What blocks mean to each other, `conversation_rules`
decides. Kinds that only beta features produce are refused: the emulator does not play those features.
"""

from __future__ import annotations

import re

from agentcache.emulator.compaction import COMPACT_BETA, check_block
from agentcache.emulator.fields import allow_only, read_list, read_object, read_tag, read_text, require
from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.markers import lifetime_of
from agentcache.emulator.refusals import ApiError, not_played

_MARK = frozenset({"type", "cache_control"})
_RESULT = _MARK | {"tool_use_id", "content"}

# kind: (required fields, allowed fields). Thinking blocks have no `cache_control` among theirs.
_KINDS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "text": (("text",), _MARK | {"text", "citations"}),
    "image": (("source",), _MARK | {"source", "transformations"}),
    "document": (("source",), _MARK | {"source", "title", "context", "citations"}),
    "search_result": (("content", "source", "title"), _MARK | {"content", "source", "title", "citations"}),
    "thinking": (("thinking", "signature"), frozenset({"type", "thinking", "signature"})),
    "redacted_thinking": (("data",), frozenset({"type", "data"})),
    "tool_use": (("id", "name", "input"), _MARK | {"id", "name", "input", "caller", "toolset_name"}),
    "tool_result": (("tool_use_id",), _RESULT | {"is_error", "toolset_name"}),
    "server_tool_use": (("id", "name", "input"), _MARK | {"id", "name", "input", "caller"}),
    "web_search_tool_result": (("tool_use_id", "content"), _RESULT | {"caller"}),
    "web_fetch_tool_result": (("tool_use_id", "content"), _RESULT | {"caller"}),
    "code_execution_tool_result": (("tool_use_id", "content"), _RESULT),
    "bash_code_execution_tool_result": (("tool_use_id", "content"), _RESULT),
    "text_editor_code_execution_tool_result": (("tool_use_id", "content"), _RESULT),
    "tool_search_tool_result": (("tool_use_id", "content"), _RESULT),
    "container_upload": (("file_id",), _MARK | {"file_id"}),
}
_NESTED_KINDS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    **{kind: _KINDS[kind] for kind in ("text", "image", "document", "search_result")},
    "tool_reference": (("tool_name",), _MARK | {"tool_name"}),
    "browser_state": ((), _MARK | {"changes", "tabs", "active_tab_id", "state"}),
}
_BETA_KINDS = frozenset(
    {
        "advisor_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "compaction",
        "tool_addition",
        "tool_removal",
        "mcp_tool_listing",
        "fallback",
    }
)
_COMPACTION: tuple[tuple[str, ...], frozenset[str]] = (
    (),
    _MARK | {"content", "encrypted_content", "signature", "tool_changes"},
)
_SOURCE_KINDS = {
    "image": frozenset({"base64", "url", "file"}),
    "document": frozenset({"base64", "text", "content", "url", "file"}),
}
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def read_system(value: JsonValue) -> tuple[JsonObject, ...]:
    """Return the top-level `system` as text blocks; raises `ApiError` where the API refuses it."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return ({"type": "text", "text": value},)
    blocks = []
    for index, item in enumerate(read_list(value, "system")):
        path = f"system.{index}"
        block = read_object(item, path)
        read_tag(block, path, {"text"})
        _check_block(block, path, _KINDS["text"])
        if not block["text"]:
            if block.get("cache_control") is not None:
                raise ApiError(f"{path}: cache_control cannot be set for empty text blocks")
            raise ApiError("system: text content blocks must be non-empty")
        blocks.append(block)
    return tuple(blocks)


def read_content(value: JsonValue, path: str, betas: frozenset[str] = frozenset()) -> tuple[JsonObject, ...]:
    """Return the `content` of a message as blocks; raises `ApiError` where the API refuses one of them.

    Whether the message may be empty or consist of white space is not decided here.
    """
    if isinstance(value, str):
        return ({"type": "text", "text": value},) if value else ()
    blocks = []
    for index, item in enumerate(read_list(value, path)):
        block = read_object(item, f"{path}.{index}")
        if block.get("type") == "compaction" and COMPACT_BETA in betas:
            _check_block(block, f"{path}.{index}.compaction", _COMPACTION)
            check_block(block, f"{path}.{index}.compaction")
            blocks.append(block)
            continue
        if str(block.get("type")) in _BETA_KINDS:
            raise not_played(f"{path}.{index}: content of type {block['type']!r}")
        kind = read_tag(block, f"{path}.{index}", _KINDS)
        inner_path = f"{path}.{index}.{kind}"
        _check_block(block, inner_path, _KINDS[kind])
        _check_kind(kind, block, inner_path, f"{path}.{index}")
        blocks.append(block)
    return tuple(blocks)


def _check_block(block: JsonObject, path: str, shape: tuple[tuple[str, ...], frozenset[str]]) -> None:
    required, allowed = shape
    require(block, path, required)
    allow_only(block, path, allowed)
    if "text" in required:
        read_text(block["text"], f"{path}.text")
    lifetime_of(block.get("cache_control"), f"{path}.cache_control")


def _check_kind(kind: str, block: JsonObject, path: str, plain_path: str) -> None:
    if kind == "text" and not block["text"]:
        if block.get("cache_control") is not None:
            raise ApiError(f"{plain_path}.text: cache_control cannot be set for empty text blocks")
        raise ApiError("messages: text content blocks must be non-empty")
    if kind in _SOURCE_KINDS:
        read_tag(read_object(block["source"], f"{path}.source"), f"{path}.source", _SOURCE_KINDS[kind])
    if kind in {"tool_use", "server_tool_use"}:
        _check_tool_id(block["id"], f"{path}.id")
        read_text(block["name"], f"{path}.name")
        read_object(block["input"], f"{path}.input")
    if kind == "tool_result":
        _check_tool_id(block["tool_use_id"], f"{path}.tool_use_id")
        _check_result(block.get("content"), f"{path}.content")
    for name in ("thinking", "signature", "data"):
        if name in block:
            read_text(block[name], f"{path}.{name}")


def _check_tool_id(value: JsonValue, path: str) -> None:
    if not _TOOL_ID.fullmatch(read_text(value, path)):
        raise ApiError(f"{path}: String should match pattern '^[a-zA-Z0-9_-]+$'")


def _check_result(content: JsonValue, path: str) -> None:
    if content is None or isinstance(content, str):
        return
    for index, item in enumerate(read_list(content, path)):
        inner = f"{path}.{index}"
        block = read_object(item, inner)
        kind = read_tag(block, inner, _NESTED_KINDS)
        _check_block(block, f"{inner}.{kind}", _NESTED_KINDS[kind])
        if kind in _SOURCE_KINDS:
            read_tag(read_object(block["source"], f"{inner}.source"), f"{inner}.source", _SOURCE_KINDS[kind])
