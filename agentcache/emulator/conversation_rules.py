"""How messages may follow one another: roles, empty content, calls and their results, system messages in between.

Where recorded calls show more than older documentation says, the records win: a conversation may begin with an
assistant message, and a later turn may use a `tool_use` id again. Wordings that no source gives (placement of system
messages, section 10) are the emulator's own and say so. Blocks by themselves are read by `content_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agentcache.emulator.compaction import check_place
from agentcache.emulator.content_rules import read_content
from agentcache.emulator.fields import allow_only, read_choice, read_list, read_object, require
from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.model_rules import EFFORTS
from agentcache.emulator.refusals import ApiError, extra_input, in_own_words
from agentcache.emulator.request import Message
from agentcache.emulator.server_tool_rounds import SERVER_RESULTS
from agentcache.prompt.model_facts import ModelFacts

MAX_MESSAGES = 100_000

CLEAR_AT_BETA = "mid-conversation-system-clear-at-2026-08-21"
MESSAGE_EFFORT_BETA = "mid-conversation-output-config-2026-07-01"

_ONLY_IN = {
    "tool_use": "assistant",
    "server_tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "compaction": "assistant",
    "tool_result": "user",
}
_SCOPED = "turn-scoped system message (clear_at: 'next_user_message')"


def read_messages(value: JsonValue, facts: ModelFacts, betas: frozenset[str]) -> tuple[Message, ...]:
    """Return `messages` with their content as blocks; raises `ApiError` where the API refuses them."""
    items = read_list(value, "messages")
    if not items:
        raise ApiError("messages: at least one message is required")
    if len(items) > MAX_MESSAGES:
        raise ApiError(f"messages: too many messages: {len(items)} > {MAX_MESSAGES}")
    messages = tuple(_read_message(item, index, facts, betas) for index, item in enumerate(items))
    _check_texts(messages)
    check_place(messages)
    _check_system_messages(messages)
    _check_tool_calls(messages)
    return messages


def _read_message(value: JsonValue, index: int, facts: ModelFacts, betas: frozenset[str]) -> Message:
    path = f"messages.{index}"
    item = read_object(value, path)
    require(item, path, ("role",))
    role = read_choice(item["role"], f"{path}.role", ("user", "assistant", "system"))
    if role == "system":
        return _read_system_message(item, path, facts, betas)
    require(item, path, ("content",))
    if "clear_at" in item:
        raise ApiError(f"{path}: clear_at is only permitted on role 'system' messages")
    allow_only(item, path, ("role", "content"))
    blocks = read_content(item["content"], f"{path}.content", betas)
    for inner, block in enumerate(blocks):
        owner = _ONLY_IN.get(str(block["type"]), role)
        if owner != role:
            raise ApiError(f"{path}: `{block['type']}` blocks can only be in `{owner}` messages")
        if block["type"] in SERVER_RESULTS and role == "user":
            raise ApiError(f"{path}.content.{inner}: `{block['type']}` blocks can only be in `assistant` messages")
    return Message(role=role, blocks=blocks)


def _read_system_message(item: JsonObject, path: str, facts: ModelFacts, betas: frozenset[str]) -> Message:
    if facts.known and not facts.mid_conversation_system:
        raise ApiError("role 'system' is not supported on this model")
    for name, beta in (("clear_at", CLEAR_AT_BETA), ("output_config", MESSAGE_EFFORT_BETA)):
        if name in item and beta not in betas:
            raise extra_input(f"{path}.{name}")
    allow_only(item, path, ("role", "content", "clear_at", "output_config"))
    clear_at = item.get("clear_at")
    scoped = clear_at is not None and (
        read_choice(clear_at, f"{path}.clear_at", ("next_user_message", "never")) == "next_user_message"
    )
    effort = _read_message_effort(item, path, facts)
    if scoped and item.get("output_config") is not None:
        raise ApiError(f"{path}: output_config is not permitted on a {_SCOPED}")
    blocks = read_content(item.get("content", []), f"{path}.content")
    for inner, block in enumerate(blocks):
        _check_system_block(block, path, inner, scoped=scoped)
    if not blocks and effort is None:
        raise in_own_words(f"{path}: a system message needs content or output_config")
    return Message(role="system", blocks=blocks, turn_scoped=scoped, effort=effort)


def _check_system_block(block: JsonObject, path: str, inner: int, *, scoped: bool) -> None:
    if block["type"] != "text" and scoped:
        raise ApiError(
            f"{path}: a turn-scoped system message supports text blocks only (clear_at: 'next_user_message')"
        )
    if block["type"] != "text":
        raise in_own_words(f"{path}.content.{inner}: a system message supports text blocks only")
    if scoped and block.get("cache_control") is not None:
        raise ApiError(f"{path}.content.{inner}: cache_control is not permitted on a {_SCOPED}")


def _read_message_effort(item: JsonObject, path: str, facts: ModelFacts) -> str | None:
    if item.get("output_config") is None:
        return None
    config = read_object(item["output_config"], f"{path}.output_config")
    allow_only(config, f"{path}.output_config", ("effort",))
    if config.get("effort") is None:
        return None
    if facts.known and not facts.per_message_effort:
        raise in_own_words(f"{path}.output_config.effort: this model takes no effort per message")
    return read_choice(config["effort"], f"{path}.output_config.effort", facts.efforts or EFFORTS)


def _check_texts(messages: Sequence[Message]) -> None:
    last = len(messages) - 1
    for index, message in enumerate(messages):
        if not message.blocks and message.role != "system" and not (index == last and message.role == "assistant"):
            raise ApiError(
                f"messages.{index}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
        for block in message.blocks:
            if block["type"] == "text" and not str(block["text"]).strip() and message.role != "assistant":
                raise ApiError("messages: text content blocks must contain non-whitespace text")
    final = messages[last]
    if final.role == "assistant" and final.blocks:
        text = final.blocks[-1].get("text")
        if isinstance(text, str) and text != text.rstrip():
            raise ApiError("messages: final assistant content cannot end with trailing whitespace")


def _check_system_messages(messages: Sequence[Message]) -> None:
    """Check placement: after a user turn or a server tool's result, and last or followed by an assistant turn."""
    for index, message in enumerate(messages):
        if message.role != "system":
            continue
        before = next((other for other in reversed(messages[:index]) if other.role != "system"), None)
        after = next((other for other in messages[index + 1 :] if other.role != "system"), None)
        kinds = [str(block["type"]) for block in before.blocks] if before is not None else []
        if before is None or (before.role == "assistant" and not (kinds and kinds[-1] in SERVER_RESULTS)):
            raise in_own_words(f"messages.{index}: a system message must follow a user message or a server tool result")
        if after is not None and after.role != "assistant":
            raise in_own_words(
                f"messages.{index}: a system message must be last or be followed by an assistant message"
            )


@dataclass(slots=True)
class _Turn:
    role: str
    first_index: int
    last_index: int
    blocks: list[tuple[str, JsonObject]] = field(default_factory=list)


def _turns(messages: Sequence[Message]) -> Iterator[_Turn]:
    """Yield user and assistant turns, consecutive messages of one role merged (K6); each block with its path."""
    turn: _Turn | None = None
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        if turn is None or turn.role != message.role:
            if turn is not None:
                yield turn
            turn = _Turn(message.role, index, index)
        turn.last_index = index
        turn.blocks.extend((f"messages.{index}.content.{inner}", block) for inner, block in enumerate(message.blocks))
    if turn is not None:
        yield turn


def _check_tool_calls(messages: Sequence[Message]) -> None:
    open_calls: list[str] = []
    open_at = 0
    for turn in _turns(messages):
        if turn.role == "user":
            _check_results(turn, open_calls, open_at)
            open_calls = []
            continue
        open_calls = [str(block["id"]) for _, block in turn.blocks if block["type"] == "tool_use"]
        open_at = turn.last_index
        if len(set(open_calls)) != len(open_calls):
            raise ApiError("messages: `tool_use` ids must be unique")
    if open_calls:
        raise _unanswered(open_calls, open_at)


def _check_results(turn: _Turn, calls: list[str], calls_at: int) -> None:
    """Check that the results come first, one for each call of the turn before, and none for any other."""
    answered: set[str] = set()
    leading = True
    for path, block in turn.blocks:
        if block["type"] != "tool_result":
            leading = False
            continue
        identifier = str(block["tool_use_id"])
        if identifier in answered:
            raise ApiError(
                f"{path}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: "
                f"{identifier}"
            )
        if identifier not in calls:
            raise ApiError(
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {identifier}. Each `tool_result` "
                "block must have a corresponding `tool_use` block in the previous message."
            )
        if leading:
            answered.add(identifier)
    missing = [identifier for identifier in calls if identifier not in answered]
    if missing:
        raise _unanswered(missing, calls_at)


def _unanswered(calls: Sequence[str], index: int) -> ApiError:
    return ApiError(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )
