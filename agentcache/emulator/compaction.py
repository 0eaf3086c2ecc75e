"""Compaction on demand: the `compaction` field of a request, and the block that it is answered with.

As the SDK (2.12.0) tells it: with the beta header a request that carries the field is answered with one signed
`compaction` block and nothing else, `stop_reason` is `compaction`, and what it used stands in an entry of
`usage.iterations`, outside the top level. Later requests send the block first, as the assistant's, in place of the
messages that it summarises. Fields that shape a reply are refused with it. What the model is asked to summarise with is
the server's own and in no count here.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentcache.emulator.fields import allow_only, read_choice, read_object, read_text
from agentcache.emulator.json_values import JsonObject, JsonValue, digest
from agentcache.emulator.refusals import in_own_words, not_played
from agentcache.emulator.request import Message

COMPACT_BETA = "compact-2026-09-04"

_MADE_HERE = "EmulatorCompaction"


def asks_to_compact(fields: JsonObject) -> bool:
    """Tell whether a request asks for a compaction; raises `ApiError` for one that cannot be made."""
    if fields.get("compaction") is None:
        return False
    wanted = read_object(fields["compaction"], "compaction")
    allow_only(wanted, "compaction", ("type", "instructions"))
    read_choice(wanted.get("type"), "compaction.type", ("summarize",))
    if wanted.get("instructions") is not None:
        read_text(wanted["instructions"], "compaction.instructions")
    for name in _shaping_a_reply(fields):
        raise in_own_words(f"compaction: {name} shapes a reply, and a compaction request is answered with none")
    if fields["max_tokens"] == 0:
        raise not_played("compaction with max_tokens 0")
    return True


def check_block(block: JsonObject, path: str) -> None:
    """Refuse a compaction block that was changed since it was handed out, or that is none of those known here."""
    if block.get("tool_changes"):
        raise not_played(f"{path}: a compaction with tool changes")
    content, signature = block.get("content"), block.get("signature")
    if content is None:
        return  # a compaction that failed; the API takes it back and does nothing with it
    if not read_text(content, f"{path}.content"):
        raise in_own_words(f"{path}.content: a compaction block cannot be empty")
    if signature is None:
        raise in_own_words(f"{path}: a compaction block is sent back with its signature")
    if read_text(signature, f"{path}.signature").startswith(_MADE_HERE) and signature != _signature(str(content)):
        raise in_own_words(f"{path}: this is not the summary that was signed; send the block back as it came")


def check_place(messages: Sequence[Message]) -> None:
    """Refuse a compaction block anywhere but at the very beginning."""
    for index, message in enumerate(messages):
        for inner, block in enumerate(message.blocks):
            if block["type"] == "compaction" and (index, inner) != (0, 0):
                raise in_own_words(f"messages.{index}.content.{inner}: a compaction block comes first in messages")


def compaction_block(summary: str | None) -> JsonObject:
    """Return the block that a compaction is answered with; `None` for one that came to no summary."""
    signature = None if summary is None else _signature(summary)
    return {"type": "compaction", "content": summary, "encrypted_content": None, "signature": signature}


def outside_the_top_level(usage: JsonObject) -> JsonObject:
    """Return the usage of a compaction as the API tells it: an iteration of its own, and zeros beside it."""
    counts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    entry: JsonObject = {"type": "compaction", **{name: usage[name] for name in (*counts, "cache_creation")}}
    split: JsonObject = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    nothing: JsonObject = {**dict.fromkeys(counts, 0), "cache_creation": split}
    return {**usage, **nothing, "output_tokens_details": {"thinking_tokens": 0}, "iterations": [entry]}


def _shaping_a_reply(fields: JsonObject) -> list[str]:
    config, choice = fields.get("output_config"), fields.get("tool_choice")
    shaping: dict[str, JsonValue] = {
        "context_management": fields.get("context_management"),
        "stop_sequences": fields.get("stop_sequences"),
        "output_config.format": config.get("format") if isinstance(config, dict) else None,
        "tool_choice": isinstance(choice, dict) and choice.get("type") in {"any", "tool"},
    }
    return [name for name, value in shaping.items() if value]


def _signature(summary: str) -> str:
    return _MADE_HERE + digest(summary.encode(errors="surrogatepass")).hex()
