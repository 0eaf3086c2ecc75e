"""Thinking blocks that are bound to what came before them (section 10, preserved thinking).

On models whose facts say so, the signature of a thinking block that the emulator gives out seals the prompt before it:
tools, system and messages, without markers, effort, tool choice or `max_tokens`. Sent back behind an edited prompt, the
block is refused. Signatures from elsewhere, and those of another model, are left alone: nothing is known about them.
"""

from __future__ import annotations

from agentcache.emulator.json_values import JsonObject, canonical_block, digest
from agentcache.emulator.refusals import in_own_words
from agentcache.emulator.request import Message, MessagesRequest

_MADE_HERE = "EmulatorSeal"
_THINKING = frozenset({"thinking", "redacted_thinking"})


def seal_of(request: MessagesRequest) -> str:
    """Return the signature of a thinking block in the answer to `request`."""
    state = _opening(request)
    for message in request.messages:
        state = _extended(state, message)
    return _seal(request, state)


def check_seals(request: MessagesRequest) -> None:
    """Refuse a request that sends a sealed thinking block back behind a prompt that was edited."""
    if not request.facts.thinking_bound_to_prefix or not any(map(_sealed, request.messages)):
        return
    state = _opening(request)
    for index, message in enumerate(request.messages):
        expected = _seal(request, state)
        for inner, block in enumerate(message.blocks):
            seal = str(block.get("signature", ""))
            if seal.startswith(_prefix(request)) and seal != expected:
                raise in_own_words(
                    f"messages.{index}.content.{inner}: this thinking block was made behind another prompt; on this "
                    "model tools, system and earlier messages must not change ahead of it"
                )
        state = _extended(state, message)


def _sealed(message: Message) -> bool:
    return any(str(block.get("signature", "")).startswith(_MADE_HERE) for block in message.blocks)


def _prefix(request: MessagesRequest) -> str:
    return _MADE_HERE + digest(request.facts.canonical.encode()).hex()[:8]


def _seal(request: MessagesRequest, state: bytes) -> str:
    return _prefix(request) + state.hex()


def _opening(request: MessagesRequest) -> bytes:
    tools = [tool for tool in request.tools if tool.get("defer_loading") is not True]
    return digest(*(digest(*map(_bytes, blocks)) for blocks in (tools, request.system)))


def _extended(state: bytes, message: Message) -> bytes:
    if message.turn_scoped:
        return state
    for block in message.blocks:
        if block["type"] not in _THINKING:
            state = digest(state, message.role.encode(), _bytes(block))
    return state


def _bytes(block: JsonObject) -> bytes:
    return canonical_block(block).encode()
