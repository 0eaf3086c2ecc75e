"""Cache markers of a request: where they stand, which block the automatic one lands on, and what the API refuses.

The checks run in the API's order: how many, order of lifetimes, the automatic marker against its block, order with the
automatic one (specification section 2.5). Whether a block may carry a marker at all, `content_rules` decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.refusals import ApiError, extra_input, field_required
from agentcache.emulator.request import Message, Place, PlacedMarker
from agentcache.prompt.model_facts import Ttl

MAX_MARKERS = 4

_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})


def lifetime_of(marker: JsonValue, path: str) -> Ttl | None:
    """Return the lifetime of the `cache_control` at `path`, or `None` for `null`, which is no marker.

    Raises `ApiError` when it is not an ephemeral marker of a known lifetime.
    """
    if marker is None:
        return None
    if not isinstance(marker, dict):
        raise ApiError(f"{path}: Input should be an object")
    if "type" not in marker:
        raise field_required(f"{path}.type")
    if marker["type"] != "ephemeral":
        raise ApiError(
            f"{path}: Input tag {str(marker['type'])!r} found using 'type' does not match any of the expected tags: "
            "'ephemeral'"
        )
    for key in marker:
        if key not in {"type", "ttl"}:
            raise extra_input(f"{path}.ephemeral.{key}")
    ttl = marker.get("ttl")
    if ttl is None or ttl == "5m":
        return "5m"
    if ttl == "1h":
        return "1h"
    raise ApiError(f"{path}.ephemeral.ttl: Input should be '5m' or '1h'")


def place_markers(
    body: JsonObject,
    *,
    tools: Sequence[JsonObject],
    system: Sequence[JsonObject],
    messages: Sequence[Message],
    nested_count: bool,
) -> tuple[PlacedMarker, ...]:
    """Return the markers of a request in prompt order, the automatic one on the block that it lands on.

    Raises `ApiError` for too many markers and for lifetimes in the wrong order.
    """
    explicit = list(_explicit(tools, system, messages))
    automatic = lifetime_of(body.get("cache_control"), "cache_control")
    counted = len(explicit) + (automatic is not None) + (_nested_markers(messages) if nested_count else 0)
    if counted > MAX_MARKERS:
        raise ApiError(f"A maximum of {MAX_MARKERS} blocks with cache_control may be provided. Found {counted}.")
    _refuse_rising_lifetimes(explicit)
    if automatic is None:
        return tuple(explicit)
    return _with_automatic(explicit, automatic, _last_eligible(tools, system, messages))


def _explicit(
    tools: Sequence[JsonObject], system: Sequence[JsonObject], messages: Sequence[Message]
) -> Iterator[PlacedMarker]:
    for place, block in _blocks(tools, system, messages):
        if block.get("cache_control") is not None:
            ttl = lifetime_of(block["cache_control"], f"{path_of(place)}.cache_control")
            if ttl is not None:
                yield PlacedMarker(place, ttl)


def _blocks(
    tools: Sequence[JsonObject], system: Sequence[JsonObject], messages: Sequence[Message]
) -> Iterator[tuple[Place, JsonObject]]:
    for index, tool in enumerate(tools):
        yield ("tools", index, 0), tool
    for index, block in enumerate(system):
        yield ("system", index, 0), block
    for index, message in enumerate(messages):
        for inner, block in enumerate(message.blocks):
            yield ("messages", index, inner), block


def path_of(place: Place) -> str:
    """Return the API's dotted path of the block at `place`."""
    level, index, inner = place
    return f"messages.{index}.content.{inner}" if level == "messages" else f"{level}.{index}"


def _nested_markers(messages: Sequence[Message]) -> int:
    count = 0
    for message in messages:
        for block in message.blocks:
            content = block.get("content")
            if isinstance(content, list):
                count += sum(isinstance(item, dict) and item.get("cache_control") is not None for item in content)
    return count


def _refuse_rising_lifetimes(markers: Sequence[PlacedMarker]) -> None:
    short_seen = False
    for marker in markers:
        if marker.ttl == "1h" and short_seen:
            path = "cache_control" if marker.automatic else f"{path_of(marker.place)}.cache_control.ttl"
            raise ApiError(
                f"{path}: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. "
                "Note that blocks are processed in the following order: `tools`, `system`, `messages`."
            )
        short_seen = short_seen or marker.ttl == "5m"


def _last_eligible(
    tools: Sequence[JsonObject], system: Sequence[JsonObject], messages: Sequence[Message]
) -> Place | None:
    """Return the last block that can carry the automatic marker, walking back over those that cannot (section 3)."""
    for place, block in reversed(list(_blocks(tools, system, messages))):
        level, index, _ = place
        empty_text = block.get("type") == "text" and not block.get("text")
        scoped = level == "messages" and messages[index].turn_scoped
        deferred = level == "tools" and block.get("defer_loading") is True
        if not (block.get("type") in _UNMARKABLE or empty_text or scoped or deferred):
            return place
    return None


def _with_automatic(explicit: list[PlacedMarker], ttl: Ttl, target: Place | None) -> tuple[PlacedMarker, ...]:
    if target is None:
        return tuple(explicit)
    for marker in explicit:
        if marker.place == target:
            if marker.ttl != ttl:
                raise ApiError(
                    f"Top-level cache_control has ttl='{ttl}' but the target block already has cache_control with "
                    f"ttl='{marker.ttl}'. When both are specified on the same block, they must have matching TTLs."
                )
            return tuple(explicit)
    markers = [*explicit, PlacedMarker(target, ttl, automatic=True)]
    _refuse_rising_lifetimes(markers)
    return tuple(markers)
