"""What a recording is to `recorded`: the model's turns, and which of them answer a request.

Here stands the exact kind, a request log: a turn answers the request whose messages are the recorded ones. The
forgiving kind, a trace, is in `trace_recording`. Which of several equal turns is played, `recorded` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agentcache.emulator.json_values import JsonObject, JsonValue, canonical_block, digest
from agentcache.errors import EmulatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTurn:
    """One turn of the model as it was recorded. `name` says where it stands, for messages."""

    name: str
    content: tuple[JsonObject, ...]
    stop_reason: str | None
    """`None` where the recording does not say: then the content decides."""

    def reply(self) -> JsonObject:
        """Return the turn as a scripted reply. Blocks are copies: whoever gets them may keep them."""
        said: JsonObject = {"content": [dict(block) for block in self.content]}
        return said if self.stop_reason is None else {**said, "stop_reason": self.stop_reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a recording has for one request: turns that answer it equally well, in recorded order.

    prompt: stands for all that the request says, so that the same question is known when it is asked again.
    reason: why there is no turn, in words; empty when there is one.
    """

    prompt: bytes
    turns: Sequence[RecordedTurn]
    reason: str = ""


class Recording(Protocol):
    """The recorded turns of the model, and how one is found."""

    @property
    def turns(self) -> Sequence[RecordedTurn]:
        """All turns, in recorded order."""
        ...

    def find(self, request: JsonObject) -> Found:
        """Return the turns that answer `request`."""
        ...


@dataclass(frozen=True, slots=True)
class _LoggedCall:
    prompt: bytes
    """Tools and system prompt, for agents that were asked the same."""
    turn: RecordedTurn


class LogRecording:
    """The calls of a request log, found by equality of the messages: markers and ways of writing the same aside.

    Where several agents were asked the same, the calls with the same tools and system prompt come before others.
    Calls that were not answered and calls with `max_tokens: 0`, which no model answers, are left out.
    """

    def __init__(self, lines: Iterable[JsonObject]) -> None:
        """Read the lines of a request log; raises `EmulatorError` for a line that is no call."""
        self._calls: dict[bytes, list[_LoggedCall]] = {}
        self.turns: list[RecordedTurn] = []
        for number, line in enumerate(lines, start=1):
            self._add(line, number)

    def find(self, request: JsonObject) -> Found:
        """Return the turns that answer `request`."""
        messages, prompt = _messages_digest(request), _prompt_digest(request)
        calls = self._calls.get(messages, [])
        calls = [call for call in calls if call.prompt == prompt] or calls
        reason = "" if calls else "no recorded call has exactly its messages"
        return Found(prompt=messages + prompt, turns=[call.turn for call in calls], reason=reason)

    def _add(self, line: JsonObject, number: int) -> None:
        request, response = line.get("request"), line.get("response")
        if not isinstance(request, dict) or not isinstance(request.get("messages"), list):
            raise EmulatorError(f"line {number} is no call of a request log: it has no `request` with `messages`")
        content = response.get("content") if isinstance(response, dict) else None
        if not isinstance(response, dict) or not isinstance(content, list) or request.get("max_tokens") == 0:
            return
        stop_reason = response.get("stop_reason")
        turn = RecordedTurn(
            name=f"line {number}",
            content=tuple(block for block in content if isinstance(block, dict)),
            stop_reason=stop_reason if isinstance(stop_reason, str) else None,
        )
        self.turns.append(turn)
        call = _LoggedCall(_prompt_digest(request), turn)
        self._calls.setdefault(_messages_digest(request), []).append(call)


def _messages_digest(request: JsonObject) -> bytes:
    messages = request.get("messages")
    parts: list[bytes] = []
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            blocks = [canonical_block(block).encode() for block in blocks_of(message.get("content"))]
            parts += [b"message", str(message.get("role")).encode(), *blocks]
    return digest(*parts)


def _prompt_digest(request: JsonObject) -> bytes:
    tools = request.get("tools")
    named = (
        [canonical_block(tool).encode() for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    )
    return digest(*named, b"system", *(canonical_block(block).encode() for block in blocks_of(request.get("system"))))


def blocks_of(content: JsonValue) -> list[JsonObject]:
    """Return `content` or `system` as blocks; a string is one text block, anything else has none."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
