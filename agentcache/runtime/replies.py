"""From the events of a streamed reply to the message that they spell.

Decides how deltas join their content block, how the usage of the last event replaces that of the first, and when a
reply is whole. Blocks stay as the wire gave them, unknown fields and the order of keys included, because a
conversation sends them back byte for byte. Knows no SDK, no socket and no clock: events are plain JSON values.

Event shapes: https://platform.claude.com/docs/en/build-with-claude/streaming, and the `lib/streaming` accumulators of
the SDK for `compaction_delta` and `fallback` blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from agentcache.accounting.reading import merge_stream_usage
from agentcache.errors import ReplyMalformed
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.strict_json import parsed_json

Shown: TypeAlias = tuple[Literal["text", "thinking"], str]
"""A piece of the answer or of the thinking, as it came."""

_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    }
)
_NOT_ENDED = frozenset({"type", "delta", "usage", "id", "model", "role", "content"})
"""Keys of `message_delta` that are not fields of the message to be replaced."""

_ENDS_THAT_CUT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
"""Stop reasons that may end a reply in the middle of a tool's arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to one request. Times are Unix seconds of the attempt that this reply belongs to."""

    message_id: str
    model: str
    """The model that served the reply, in the API's spelling."""
    content: list[JsonObject]
    """Content blocks as the wire gave them. Arguments that `stop_reason` cut in two are those of the block's start."""
    stop_reason: str | None
    """The API's word; `None` only in a reply that was broken off."""
    stop_details: JsonValue
    usage: JsonObject
    """The API's `usage` object, start and end of the stream merged."""
    usage_told: bool = True
    """Whether the end of the reply told its usage; otherwise `usage` is that of its start, which knows the prompt."""
    request_id: str | None
    attempts: int
    """Requests sent for this reply, this one included."""
    sent_at: float
    first_token_at: float | None
    ended_at: float
    raw: JsonObject
    """The whole message, as the API would have sent it unstreamed."""


class CallObserver(Protocol):
    """Hears what happens while a request is under way.

    Each failed attempt that the server had accepted is told as `interrupted`; what was shown of it is void. Whatever an
    observer raises ends the call and reaches the caller as it is.
    """

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Note how the server answered or refused an attempt; names of headers are in lower case.

        An error that comes inside a stream has the status that it stands for.
        """

    def first_token(self, at: float) -> None:
        """Note that the reply began at `at` (Unix seconds): other requests can now read what this one wrote."""

    def text(self, text: str) -> None:
        """Take a piece of the answer."""

    def thinking(self, text: str) -> None:
        """Take a piece of the thinking."""

    def retrying(self, attempt: int, wait_s: float, reason: str) -> None:
        """Note that attempt number `attempt` failed and that another follows in `wait_s` seconds."""

    async def may_retry(self, attempt: int) -> None:
        """Wait until attempt number `attempt` may go out; comes after the pause that `retrying` told."""

    def interrupted(self, partial: Reply | None, error: str) -> None:
        """Take what is known of an attempt that the server accepted and whose reply did not end: it may be billed.

        `None`: the reply never began, so nobody knows how much.
        """


@dataclass(slots=True)
class _GrowingBlock:
    """One content block while its deltas come in."""

    block: JsonObject
    pieces: dict[str, list[str]] = field(default_factory=dict)

    def add(self, delta: JsonObject) -> Shown | None:
        match delta.get("type"):
            case "text_delta":
                return "text", self._grow("text", delta.get("text"))
            case "thinking_delta":
                return "thinking", self._grow("thinking", delta.get("thinking"))
            case "input_json_delta":
                self._grow("input", delta.get("partial_json"))
            case "citations_delta":
                known = self.block.get("citations")
                self.block["citations"] = [*(known if isinstance(known, list) else ()), delta.get("citation")]
            case "signature_delta" | "compaction_delta":
                self.block.update({key: value for key, value in delta.items() if key != "type"})
            case unknown:
                raise ReplyMalformed(
                    f"the reply streams a {unknown!r}, which this version cannot join to its block; upgrade agentcache"
                )
        return None

    def _grow(self, key: str, piece: JsonValue) -> str:
        fits = "input" in self.block if key == "input" else isinstance(self.block.get(key), str)
        if not isinstance(piece, str) or not fits:
            kind = self.block.get("type")
            raise ReplyMalformed(f"the reply streams a delta for {key!r} that does not fit its {kind!r} block")
        self.pieces.setdefault(key, []).append(piece)
        return piece

    def settled(self, *, may_be_cut: bool) -> JsonObject:
        settled = dict(self.block)
        for key, pieces in self.pieces.items():
            joined = "".join(pieces)
            settled[key] = self._arguments(joined, may_be_cut) if key == "input" else f"{settled[key]}{joined}"
        return settled

    def _arguments(self, text: str, may_be_cut: bool) -> JsonValue:
        try:
            return parsed_json(text) if text else self.block["input"]
        except ValueError as error:
            if may_be_cut:
                return self.block["input"]
            raise ReplyMalformed(f"the arguments of tool {self.block.get('name')!r} are no JSON: {error}") from error


class ReplyBuilder:
    """Joins the events of one stream, in the order they came.

    `started` tells whether the reply began (`message_start`), `stopped` whether it came to its end (`message_stop`),
    `usage_told` whether a `message_delta` told how much it wrote.
    """

    def __init__(self) -> None:
        self.started = False
        self.stopped = False
        self.usage_told = False
        self._message: JsonObject = {}
        self._blocks: list[_GrowingBlock] = []

    def add(self, event: object) -> Shown | None:
        """Take one event and return the text or thinking that it shows.

        `ping` and event types that nobody knew when this was written change nothing. Raises `ReplyMalformed` for an
        event that contradicts those before it, and for a delta that no rule says how to join.
        """
        told = json_object(event, "an event")
        kind = told.get("type")
        if not isinstance(kind, str) or kind not in _EVENTS:
            return None
        if self.started is (kind == "message_start"):
            raise ReplyMalformed(f"the reply streams {kind!r} {'twice' if self.started else 'before message_start'}")
        match kind:
            case "content_block_delta":
                return self._block(told.get("index")).add(json_object(told.get("delta"), "delta"))
            case "content_block_start":
                self._open(told.get("index"), json_object(told.get("content_block"), "content_block"))
            case "message_start":
                self._start(json_object(told.get("message"), "message_start.message"))
            case "message_delta":
                self._end(told)
            case "message_stop":
                self.stopped = True
        return None

    def message(self) -> JsonObject:
        """Return the whole message.

        Raises `ReplyMalformed` when no stop reason came, or a tool's arguments are no JSON though nothing cut them.
        """
        reason = self._message.get("stop_reason")
        if reason is None:
            raise ReplyMalformed("the reply ended without a stop_reason")
        return self._joined(may_be_cut=reason in _ENDS_THAT_CUT)

    def partial(self) -> JsonObject:
        """Return what is known of the message so far; call it only when the reply has `started`."""
        return self._joined(may_be_cut=True)

    def _joined(self, *, may_be_cut: bool) -> JsonObject:
        return {**self._message, "content": [block.settled(may_be_cut=may_be_cut) for block in self._blocks]}

    def _start(self, message: JsonObject) -> None:
        for key in ("id", "model"):
            _text(message, key)
        json_object(message.get("usage"), "message_start.message.usage")
        self.started = True
        self._message = dict(message)

    def _open(self, index: JsonValue, block: JsonObject) -> None:
        if index != len(self._blocks):
            raise ReplyMalformed(f"the reply opens content block {index!r} where {len(self._blocks)} was next")
        self._blocks.append(_GrowingBlock(dict(block)))
        if block.get("type") == "fallback":
            # This block names the model that answers in place of the one that was asked.
            self._message["model"] = _text(json_object(block.get("to"), "fallback.to"), "model")

    def _block(self, index: JsonValue) -> _GrowingBlock:
        if not isinstance(index, int) or not 0 <= index < len(self._blocks):
            raise ReplyMalformed(f"the reply adds to content block {index!r}, which was never opened")
        return self._blocks[index]

    def _end(self, event: JsonObject) -> None:
        usage = json_object(event.get("usage") or {}, "message_delta.usage")
        ended = {**json_object(event.get("delta"), "message_delta.delta"), **event}
        # What the end leaves out, or has as null, keeps the value that the start gave.
        self._message.update({key: ended[key] for key in ended.keys() - _NOT_ENDED if ended[key] is not None})
        self.usage_told = self.usage_told or usage.get("output_tokens") is not None
        self._message["usage"] = merge_stream_usage(json_object(self._message["usage"], "usage"), usage)


def reply_of(
    message: JsonObject,
    *,
    request_id: str | None,
    attempts: int,
    sent_at: float,
    first_token_at: float | None,
    ended_at: float,
    usage_told: bool = True,
) -> Reply:
    """Return the reply that a whole or partial message is; raises `ReplyMalformed` when it is no Messages reply."""
    content = message.get("content")
    if not isinstance(content, list):
        raise ReplyMalformed(f"the reply's content is {type(content).__name__}, not a list of blocks")
    reason = message.get("stop_reason")
    return Reply(
        message_id=_text(message, "id"),
        model=_text(message, "model"),
        content=[json_object(block, "a content block") for block in content],
        stop_reason=None if reason is None else str(reason),
        stop_details=message.get("stop_details"),
        usage=json_object(message.get("usage"), "usage"),
        usage_told=usage_told,
        request_id=request_id,
        attempts=attempts,
        sent_at=sent_at,
        first_token_at=first_token_at,
        ended_at=ended_at,
        raw=message,
    )


def json_object(value: object, where: str) -> JsonObject:
    """Return `value` as the JSON object that it is; raises `ReplyMalformed`, naming `where`, when it is none."""
    if not isinstance(value, dict):
        raise ReplyMalformed(f"the reply has {type(value).__name__} where {where} should be an object")
    return value


def _text(fields: JsonObject, key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise ReplyMalformed(f"the reply has no {key!r}")
    return value
