"""Faults of the cache markers of one request that need no other request to be seen: what the API refuses or ignores.

Facts of 2026-08: at most four markers, the automatic one included; none of an hour behind one of five minutes, in the
order tools, system, messages; none on thinking, on an empty text, or inside a block; a prefix under the model's minimum
is not cached, and nothing says so. Decides no more than that; what calls lose to each other is told in
accounting/explaining.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from agentcache.accounting.explaining.logged_calls import LoggedCall, content_blocks
from agentcache.prompt.blocks import is_markable
from agentcache.prompt.canonical import JsonObject, JsonValue

MOST_MARKERS = 4


class MarkerFault(NamedTuple):
    """A fault of a request's markers. where: the block, or `cache_control`, `min_tokens`. message: without an end."""

    code: str
    where: str
    cause: str
    message: str


def marker_faults(call: LoggedCall) -> Iterator[MarkerFault]:
    """Yield what is wrong with the markers of a request."""
    marked = list(_marked(call.request))
    yield from _misplaced(call.request)
    automatic = isinstance(call.request.get("cache_control"), dict)
    count = len(marked) + automatic
    if count > MOST_MARKERS:
        yield MarkerFault(
            "PC049",
            marked[MOST_MARKERS][0] if len(marked) > MOST_MARKERS else "cache_control",
            "too_many_markers",
            f"{count} cache markers in one request, where the API takes {MOST_MARKERS} and refuses more",
        )
    yield from _rising(marked, call.request.get("cache_control"))
    yield from _too_short(call)


def _marked(request: JsonObject) -> Iterator[tuple[str, JsonObject, JsonObject]]:
    """Yield where, block and marker of the marked blocks, in prompt order."""
    for where, block in _blocks(request):
        marker = block.get("cache_control")
        if isinstance(marker, dict):
            yield where, block, marker


def _blocks(request: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for level in ("tools", "system"):
        for index, block in enumerate(content_blocks(request.get(level))):
            yield f"{level}[{index}]", block
    for index, message in enumerate(_messages(request)):
        for place, block in enumerate(content_blocks(message.get("content"))):
            yield f"messages[{index}].content[{place}]", block


def _messages(request: JsonObject) -> list[JsonObject]:
    messages = request.get("messages")
    return [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []


def _misplaced(request: JsonObject) -> Iterator[MarkerFault]:
    for index, message in enumerate(_messages(request)):
        if isinstance(message.get("cache_control"), dict):
            yield _fault(f"messages[{index}]", "on a message, where the API knows none; it belongs on a content block")
    for where, block in _blocks(request):
        if isinstance(block.get("cache_control"), dict) and not is_markable(block):
            yield _fault(where, _why_not(block))
        yield from _nested(where, block.get("content"))


def _nested(where: str, content: JsonValue) -> Iterator[MarkerFault]:
    for index, inner in enumerate(content if isinstance(content, list) else ()):
        if isinstance(inner, dict) and isinstance(inner.get("cache_control"), dict):
            yield _fault(f"{where}.content[{index}]", "inside a block, where it caches nothing; mark the block itself")


def _fault(where: str, what: str) -> MarkerFault:
    return MarkerFault("PC049", where, "misplaced_marker", f"a cache marker at {where} is {what}")


def _why_not(block: Mapping[str, JsonValue]) -> str:
    if block.get("defer_loading") is True:
        return "on a tool that is deferred and stands in no prefix; mark a tool that is sent at once"
    if block.get("type") == "text":
        return "on an empty text, which the API refuses; mark the block before it"
    return f"on a block of type {block.get('type')}, which can carry none; mark the block before it"


def _rising(marked: Sequence[tuple[str, JsonObject, JsonObject]], automatic: JsonValue) -> Iterator[MarkerFault]:
    lifetimes = [(where, marker.get("ttl", "5m")) for where, _, marker in marked]
    if isinstance(automatic, dict):
        lifetimes.append(("cache_control", automatic.get("ttl", "5m")))
    short: str | None = None
    for where, ttl in lifetimes:
        if ttl == "1h" and short is not None:
            yield MarkerFault(
                "PC049",
                where,
                "ttl_order",
                f"the marker at {where} lives an hour and stands behind one of five minutes at {short}, "
                "which the API refuses",
            )
            return
        short = where if ttl == "5m" and short is None else short


def _too_short(call: LoggedCall) -> Iterator[MarkerFault]:
    """Yield the fault of a request whose markers, one on tools or system among them, all stand below the minimum."""
    if not call.head_marked or not call.facts.known or call.cached_tokens:
        return
    longest = call.prefix_tokens[call.marked[-1]]
    minimum = call.facts.minimum_prefix_tokens
    if longest < minimum:
        yield MarkerFault(
            "PC048",
            "min_tokens",
            "below_minimum",
            f"all that is marked comes to about {longest:,} tokens, and {call.model} caches no prefix under "
            f"{minimum:,}: nothing is written, and nothing says so",
        )
