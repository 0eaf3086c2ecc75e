"""An exported conversation: JSON lines, the first of them a header, each further one a message as it was sent.

Pure. The header's `head` is the digest of all messages, so that a file that was edited or cut is seen to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import JsonValue as PlainJson
from pydantic import TypeAdapter, ValidationError

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.message_chain import message_text
from agentcache.prompt.strict_json import parsed_json
from agentcache.stores.protocols import StoredConversation

FORMAT = "agentcache-conversation-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """The first line."""

    format: str
    id: str
    agent: str
    head: str
    messages: int
    state: dict[str, PlainJson]


def to_lines(stored: StoredConversation) -> Iterator[str]:
    """Yield a conversation line by line, without line ends; whatever the model said, the text can be UTF-8."""
    header: JsonObject = {
        "format": FORMAT,
        "id": stored.conversation_id,
        "agent": stored.agent,
        "head": stored.head,
        "messages": len(stored.messages),
        "state": dict(stored.state),
    }
    for value in (header, *stored.messages):
        yield message_text(value)


def from_lines(lines: Iterable[str]) -> StoredConversation:
    """Return the conversation that `to_lines` wrote. Raises `TargetError` for anything else."""
    written = [line for line in lines if line.strip()]
    if not written:
        raise TargetError("an exported conversation begins with a header line, and there is none")
    try:
        header = TypeAdapter(_Header).validate_json(written[0], strict=True)
    except ValidationError as error:
        raise TargetError(f"line 1 is no header of an exported conversation: {_first(error)}") from error
    if header.format != FORMAT:
        raise TargetError(f"line 1 says format {header.format!r}; this agentcache reads {FORMAT}")
    messages = [_message(line, number) for number, line in enumerate(written[1:], start=2)]
    stored = StoredConversation(
        conversation_id=header.id, agent=header.agent, messages=messages, state={**header.state}, version=0
    )
    if (stored.head, len(messages)) != (header.head, header.messages):
        raise TargetError(
            f"the {len(messages)} messages are not the {header.messages} that the header names; the file was changed"
        )
    return stored


def _message(line: str, number: int) -> JsonObject:
    try:
        value = parsed_json(line)
    except ValueError as error:
        raise TargetError(f"line {number} of the exported conversation is no JSON: {error}") from error
    if not isinstance(value, dict) or value.get("role") not in {"user", "assistant", "system"}:
        raise TargetError(f"line {number} of the exported conversation is no message")
    return value


def _first(error: ValidationError) -> str:
    told = error.errors(include_url=False)[0]
    where = ".".join(map(str, told["loc"]))
    return f"{where}: {told['msg']}" if where else told["msg"]
