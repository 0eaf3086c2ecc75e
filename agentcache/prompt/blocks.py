"""One block of a prompt: what it is, what identifies it, whether it can carry a breakpoint.

Decides the digest of a block, the author's mark on it and its markability. Knows nothing of order, prefixes or
plans. Reads `cache_control` where an author wrote it, and takes it off: only wire.py writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentcache.errors import BreakpointError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json, digest, json_text
from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.sections import Stability

Level: TypeAlias = Literal["tools", "system", "messages"]

UNMARKABLE_KINDS = ("thinking", "redacted_thinking")
"""The API answers 400 to a marker on these; they are cached as part of a longer prefix (spec 2.4)."""

COLLAPSED_KINDS = ("tool_use", "tool_result")
"""A run of neighbours of one of these kinds is one position of the look-back (spec 2.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One unit of the wire prompt, in its place.

    `tokens` and `prefix_tokens` are estimates; `prefix_tokens` counts everything up to and including this block.
    """

    level: Level
    index: int
    """Place among the tools, system blocks or messages."""
    content_index: int | None
    """Place inside the message; `None` for tools and system blocks."""
    where: str
    """`tools[0]`, `system[1]` or `messages[3].content[0]`."""
    kind: str
    """The block's `type`; `tool` for a tool that names none."""
    role: str | None
    section: str | None
    """Name of the section it was rendered from; `None` for tools and messages."""
    stability: Stability
    digest: str
    prefix_digest: str
    """Identity of the prefix that ends here. A block that the API leaves out of the prompt repeats the one before."""
    tokens: int
    prefix_tokens: int
    mark: Ttl | None
    """The author's explicit mark."""
    markable: bool
    position: int
    """Look-back position: runs of tool_use and of tool_result share one."""
    parting: bool = False
    """Whether the prefix that ends here is declared to be other agents' too, who go on differently."""


def block_digest(block: Mapping[str, JsonValue], role: str | None) -> str:
    """Return the identity of one block.

    Key order counts inside a tool's `input_schema` and a call's `input`, which are rendered as they stand, and
    nowhere else. The role counts, the message does not: neighbours of one role are one turn to the API.
    """
    if len(block) == 2 and block.get("type") == "text" and isinstance(text := block.get("text"), str):
        return digest(f"{role} text\n{text}")
    rendered = {key: json_text(value) if key in _RENDERED_AS_IS else value for key, value in block.items()}
    return digest(f"{role} block\n{canonical_json(rendered)}")


_RENDERED_AS_IS = frozenset({"input_schema", "input"})


def is_markable(block: Mapping[str, JsonValue]) -> bool:
    """Tell whether the API accepts a marker on a block of this content."""
    kind = block.get("type")
    if kind == "text":
        return bool(block.get("text"))
    return kind not in UNMARKABLE_KINDS and block.get("defer_loading") is not True


def without_mark(block: JsonObject, where: str) -> tuple[JsonObject, Ttl | None]:
    """Split an author's block into what is sent and the lifetime of the mark on it, if there is one.

    Raises `BreakpointError` for a mark that the API does not know, or one on a block inside a block.
    """
    content = block.get("content")
    if isinstance(content, list) and any(isinstance(item, dict) and "cache_control" in item for item in content):
        raise BreakpointError(
            f"{where} has a cache_control on a block inside it, where the API takes none; put it on {where} itself"
        )
    if "cache_control" not in block:
        return block, None
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    mark = block["cache_control"]
    return bare, None if mark is None else _lifetime(mark, where)


def _lifetime(mark: JsonValue, where: str) -> Ttl:
    ttl = mark.get("ttl") or "5m" if isinstance(mark, dict) and mark.get("type") == "ephemeral" else None
    if ttl == "5m":
        return "5m"
    if ttl == "1h":
        return "1h"
    raise BreakpointError(
        f'{where} has cache_control {mark!r}; the API knows {{"type": "ephemeral"}} with "ttl" "5m" or "1h"'
    )
