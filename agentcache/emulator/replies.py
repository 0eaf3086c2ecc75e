"""Who answers: a script function, a list of replies, an echo, and later a recorded trace.

It decides what the model says, how many tokens that is, and where `max_tokens` or a stop sequence ends it. A reply is a
text, a list of content blocks, or `{"content": …, "stop_reason": …}`. It does not know the cache, and it does not know
the wire form of events: `stream_events` does.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

from agentcache.emulator.compaction import compaction_block
from agentcache.emulator.json_values import JsonObject, JsonValue, compact
from agentcache.emulator.request import MessagesRequest
from agentcache.emulator.schema_example import example_of
from agentcache.emulator.thinking_seals import seal_of
from agentcache.emulator.tool_search import check_answer
from agentcache.errors import EmulatorError, UnexpectedCall, UnusedReply
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.token_estimate import block_tokens, text_tokens

ScriptedReply: TypeAlias = str | JsonObject | list[JsonObject]
"""What a script may return: one text, the content blocks, or an object with `content` and optional stop fields."""

Script: TypeAlias = Callable[[JsonObject], ScriptedReply | Awaitable[ScriptedReply]]
"""A function of the request, plain or async, that returns the reply."""

STOP_REASONS = frozenset(
    {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
)


@runtime_checkable
class Replies(Protocol):
    """Answers calls one by one; `finish` is asked once, when no more calls will come."""

    async def reply(self, request: JsonObject) -> ScriptedReply:
        """Return the answer to `request`; raise `UnexpectedCall` when there is none."""
        ...

    def finish(self) -> None:
        """Raise `UnusedReply` when an answer was prepared that no call asked for."""
        ...


class ScriptReplies:
    """Every call is answered by `script`, a function of its request, plain or async."""

    def __init__(self, script: Script) -> None:
        """Answer with `script`."""
        self._script = script

    async def reply(self, request: JsonObject) -> ScriptedReply:
        """Return what the function returns for `request`."""
        answer = self._script(request)
        return await answer if inspect.isawaitable(answer) else answer

    def finish(self) -> None:
        """Accept any number of calls."""


class ListedReplies:
    """The n-th call gets the n-th of `replies`; a call too many and a reply too many are errors."""

    def __init__(self, replies: Iterable[ScriptedReply | Script]) -> None:
        """Answer with `replies` in order; a function among them is asked with its request."""
        self._replies = list(replies)
        self._asked = 0

    async def reply(self, request: JsonObject) -> ScriptedReply:
        """Return the next reply, to `request`; raises `UnexpectedCall` when all are used."""
        if self._asked == len(self._replies):
            raise UnexpectedCall(
                f"call {self._asked + 1} has no reply: the script has {len(self._replies)}. "
                f"It asked {_last_words(request)!r}; add a reply or stop the caller earlier"
            )
        self._asked += 1
        prepared = self._replies[self._asked - 1]
        return await ScriptReplies(prepared).reply(request) if callable(prepared) else prepared

    def finish(self) -> None:
        """Raise `UnusedReply` when replies are left."""
        left = len(self._replies) - self._asked
        if left:
            raise UnusedReply(f"{left} of {len(self._replies)} scripted replies were never asked for; remove them")


class EchoReplies:
    """Repeats the last text of the user; gives a minimal instance of the schema where one is asked for."""

    async def reply(self, request: JsonObject) -> ScriptedReply:
        """Return an answer made from `request` alone."""
        schema = _asked_schema(request)
        return compact(example_of(schema)) if schema is not None else (_last_words(request) or "…")

    def finish(self) -> None:
        """Accept any number of calls."""


def replies_from(source: Replies | Script | Iterable[ScriptedReply | Script] | None) -> Replies:
    """Return who answers: `source` itself, or for a function, a list of replies, or `None`, which is the echo."""
    if source is None:
        return EchoReplies()
    if isinstance(source, Replies):
        return source
    return ScriptReplies(source) if callable(source) else ListedReplies(source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The model's side of one call, ready for the wire."""

    content: tuple[JsonObject, ...]
    stop_reason: str
    stop_sequence: str | None
    stop_details: JsonObject | None
    output_tokens: int
    thinking_tokens: int
    cut_input: str | None = None
    """The part of the last `tool_use` input that was written before `max_tokens` ended it; `None` when whole."""


def answer_from(reply: ScriptedReply, request: MessagesRequest, new_id: Callable[[str], str]) -> Answer:
    """Return the answer that `reply` gives to `request`: ids added, stop sequences and `max_tokens` applied.

    `new_id` makes an id for a prefix such as `toolu`. Raises `EmulatorError` when the reply has no valid shape.
    """
    blocks, stop_reason, stop_sequence, stop_details = _read_reply(reply)
    if request.compacts:
        return _compaction(blocks, request)
    content = tuple(_completed(block, request, new_id) for block in blocks)
    check_answer(content, request)
    if stop_reason is None:
        stop_reason = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
    answer = _counted(
        Answer(
            content=content,
            stop_reason=stop_reason,
            stop_sequence=stop_sequence,
            stop_details=stop_details,
            output_tokens=0,
            thinking_tokens=0,
        ),
        request.facts,
    )
    answer = _stopped_by_sequence(answer, request)
    return _cut_to_limit(answer, request) if answer.output_tokens > request.max_tokens else answer


def _compaction(blocks: list[JsonObject], request: MessagesRequest) -> Answer:
    """Return the answer to a compaction request; one that `max_tokens` cuts off comes to no summary."""
    if not blocks or any(block["type"] != "text" for block in blocks):
        raise EmulatorError(f"the reply to a compaction request is the text of its summary, not {blocks!r}")
    summary = "".join(str(block["text"]) for block in blocks)
    length = text_tokens(summary, request.facts)
    return Answer(
        content=(compaction_block(None if length > request.max_tokens else summary),),
        stop_reason="compaction",
        stop_sequence=None,
        stop_details=None,
        output_tokens=min(length, request.max_tokens),
        thinking_tokens=0,
    )


PREWARMED = Answer(
    content=(), stop_reason="max_tokens", stop_sequence=None, stop_details=None, output_tokens=0, thinking_tokens=0
)
"""The answer to `max_tokens: 0`: the prompt is read and written, nothing is generated (section 7)."""


def _read_reply(reply: object) -> tuple[list[JsonObject], str | None, str | None, JsonObject | None]:
    fields: JsonObject = reply if isinstance(reply, dict) else {"content": reply}  # type: ignore[dict-item]
    content = fields.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list) or not all(isinstance(block, dict) and "type" in block for block in content):
        raise EmulatorError(f"a reply must be a text, content blocks or {{'content': …}}, not {reply!r}")
    stop_reason, details = fields.get("stop_reason"), fields.get("stop_details")
    if stop_reason is not None and stop_reason not in STOP_REASONS:
        raise EmulatorError(f"a reply has the stop_reason {stop_reason!r}; the API knows {sorted(STOP_REASONS)}")
    sequence = fields.get("stop_sequence")
    return (
        [block for block in content if isinstance(block, dict)],
        str(stop_reason) if stop_reason is not None else None,
        str(sequence) if sequence is not None else None,
        details if isinstance(details, dict) else None,
    )


def _completed(block: JsonObject, request: MessagesRequest, new_id: Callable[[str], str]) -> JsonObject:
    kind = block["type"]
    if kind == "text":
        return {"citations": None, **block}
    if kind == "tool_use":
        return {
            "type": "tool_use",
            "id": block.get("id") or new_id("toolu"),
            "input": {},
            "caller": {"type": "direct"},
            **block,
        }
    if kind == "server_tool_use":
        return {"type": kind, "id": block.get("id") or new_id("srvtoolu"), "input": {}, **block}
    if kind == "thinking":
        signature = seal_of(request) if request.facts.thinking_bound_to_prefix else new_id("sig")
        return {"signature": signature, **block}
    return dict(block)


def _counted(answer: Answer, facts: ModelFacts) -> Answer:
    lengths = [_output_length(block, facts) for block in answer.content]
    thinking = sum(length for block, length in zip(answer.content, lengths, strict=True) if block["type"] == "thinking")
    return replace(answer, output_tokens=max(1, sum(lengths)), thinking_tokens=thinking)


def _output_length(block: JsonObject, facts: ModelFacts) -> int:
    for key in ("text", "thinking"):
        text = block.get(key)
        if isinstance(text, str):
            return text_tokens(text, facts)
    return block_tokens(block, facts)


def _stopped_by_sequence(answer: Answer, request: MessagesRequest) -> Answer:
    sequences = request.body.get("stop_sequences")
    for index, block in enumerate(answer.content):
        text = block.get("text")
        if block["type"] != "text" or not isinstance(text, str) or not isinstance(sequences, list):
            continue
        found = [(text.find(item), item) for item in sequences if isinstance(item, str) and item in text]
        if found:
            at, sequence = min(found)
            kept = (*answer.content[:index], {**block, "text": text[:at]})
            stopped = replace(answer, content=kept, stop_reason="stop_sequence", stop_sequence=sequence)
            return _counted(stopped, request.facts)
    return answer


def _cut_to_limit(answer: Answer, request: MessagesRequest) -> Answer:
    left = request.max_tokens
    content: list[JsonObject] = []
    cut_input: str | None = None
    thinking = 0
    for block in answer.content:
        length = _output_length(block, request.facts)
        if length > left:
            cut, cut_input = _cut_block(block, left / length)
            if cut is not None:
                content.append(cut)
                thinking += left if cut["type"] == "thinking" else 0
            break
        content.append(block)
        thinking += length if block["type"] == "thinking" else 0
        left -= length
    return replace(
        answer,
        content=tuple(content),
        stop_reason="max_tokens",
        stop_sequence=None,
        output_tokens=request.max_tokens,
        thinking_tokens=thinking,
        cut_input=cut_input,
    )


def _cut_block(block: JsonObject, share: float) -> tuple[JsonObject | None, str | None]:
    """Return what is left of a block that ends after `share` of its tokens, and the cut input of a tool call."""
    for key in ("text", "thinking"):
        text = block.get(key)
        if isinstance(text, str):
            kept = text[: int(len(text) * share)]
            return ({**block, key: kept} if kept else None), None
    if block["type"] == "tool_use":
        written = compact(block.get("input"))
        return {**block, "input": {}}, written[: int(len(written) * share)]
    return None, None


def _last_words(request: JsonObject) -> str:
    """Return the last text in the last user message, or the text of its last tool result."""
    messages = request.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text_of(message.get("content"))
    return ""


def _text_of(content: JsonValue) -> str:
    if isinstance(content, str):
        return content
    for block in reversed(content if isinstance(content, list) else []):
        if isinstance(block, dict):
            text = block.get("text") if block.get("type") == "text" else _text_of(block.get("content"))
            if isinstance(text, str) and text:
                return text
    return ""


def _asked_schema(request: JsonObject) -> JsonObject | None:
    config = request.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    return schema if isinstance(schema, dict) else None
