"""Cache diagnostics: how a request differs from the one before it, in the API's six reasons.

A fingerprint keeps digests and lengths of each part, no text. Comparison is of request structure, not of what the cache
held (section 8): the earliest difference is reported, in the order model, system, tools, messages.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from agentcache.emulator.json_values import JsonObject, JsonValue, canonical_block, compact, digest
from agentcache.emulator.positions import Scope
from agentcache.emulator.request import MessagesRequest

BYTES_PER_TOKEN = 4
"""The API estimates `cache_missed_input_tokens` from bytes before it counts tokens."""

KEPT_FINGERPRINTS = 10_000
"""How many requests are remembered. How long the API remembers is not published."""

# Differences in these alone are reported as `unavailable` (section 8).
_UNEXPLAINED = ("tool_choice", "thinking", "context_management", "output_config", "output_format")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    digest: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What is remembered of one request that asked for diagnostics."""

    scope: Scope
    model: str
    speed: JsonValue
    tools: tuple[_Part, ...]
    system: tuple[_Part, ...]
    messages: tuple[_Part, ...]
    unexplained: bytes


class Diagnosis:
    """Remembers the requests that asked for diagnostics, by the id of their answer."""

    def __init__(self) -> None:
        """Start with no fingerprints."""
        self._kept: OrderedDict[str, Fingerprint] = OrderedDict()

    def clear(self) -> None:
        """Forget every fingerprint."""
        self._kept.clear()

    def diagnose(self, request: MessagesRequest, scope: Scope, *, message_id: str) -> JsonValue:
        """Return the `diagnostics` of the answer `message_id` to `request`, and remember the request if it asked.

        `None` when it did not ask, on a first turn, and when nothing earlier was changed.
        """
        asked = request.body.get("diagnostics")
        if not isinstance(asked, dict):
            return None
        current = _fingerprint(request, scope)
        self._kept[message_id] = current
        if len(self._kept) > KEPT_FINGERPRINTS:
            self._kept.popitem(last=False)
        previous_id = asked.get("previous_message_id")
        if previous_id is None:
            return None
        previous = self._kept.get(str(previous_id)) if previous_id != message_id else None
        if previous is None or previous.scope != scope:
            return {"cache_miss_reason": {"type": "previous_message_not_found"}}
        reason = _difference(previous, current)
        return None if reason is None else {"cache_miss_reason": reason}


def _fingerprint(request: MessagesRequest, scope: Scope) -> Fingerprint:
    settings = {key: request.body.get(key) for key in _UNEXPLAINED}
    return Fingerprint(
        scope=scope,
        model=request.facts.canonical,
        speed=request.body.get("speed") or "standard",
        tools=tuple(_part(b"", tool) for tool in request.tools),
        system=tuple(_part(b"", block) for block in request.system),
        messages=tuple(
            _part(message.role.encode(), block)
            for message in request.messages
            if not message.turn_scoped
            for block in message.blocks
        ),
        unexplained=digest(compact([settings, sorted(request.betas)]).encode()),
    )


def _part(role: bytes, block: JsonObject) -> _Part:
    text = canonical_block(block).encode()
    return _Part(digest=digest(role, text), size_bytes=len(text))


def _difference(previous: Fingerprint, current: Fingerprint) -> JsonObject | None:
    prompt_size = _size(previous.tools) + _size(previous.system) + _size(previous.messages)
    if (previous.model, previous.speed) != (current.model, current.speed):
        return _reason("model_changed", prompt_size)
    if previous.system != current.system:
        kept = _size(previous.tools) if previous.tools == current.tools else 0
        return _reason("system_changed", prompt_size - kept - _common(previous.system, current.system))
    if previous.tools != current.tools:
        return _reason("tools_changed", prompt_size - _common(previous.tools, current.tools))
    if current.messages[: len(previous.messages)] != previous.messages:
        return _reason("messages_changed", _size(previous.messages) - _common(previous.messages, current.messages))
    return None if previous.unexplained == current.unexplained else {"type": "unavailable"}


def _reason(kind: str, missed_bytes: int) -> JsonObject:
    return {"type": kind, "cache_missed_input_tokens": max(1, missed_bytes // BYTES_PER_TOKEN)}


def _size(parts: tuple[_Part, ...]) -> int:
    return sum(part.size_bytes for part in parts)


def _common(previous: tuple[_Part, ...], current: tuple[_Part, ...]) -> int:
    """Return the bytes of the leading parts that both have."""
    total = 0
    for old, new in zip(previous, current, strict=False):
        if old != new:
            break
        total += old.size_bytes
    return total
