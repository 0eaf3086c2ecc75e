"""What is replayed: calls in time order, read from request logs or traces, without anybody's cache markers on them."""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.strict_json import parsed_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficCall:
    """One recorded or arranged call.

    where: file and line, or the trace, that it comes from, for messages to people.
    at_s: start, seconds on one clock for the whole traffic. first_token_at_s, end_at_s: on the same clock.
    request: a Messages body, markers included where the record had them. Message and block objects are shared
    between the calls of a conversation, so that what did not change need not be looked at again.
    response: what was recorded of the reply. headers: those that separate caches or betas, by lower-case name.
    agent, run and conversation are `None` where the record does not say.
    """

    where: str
    at_s: float
    first_token_at_s: float
    end_at_s: float
    agent: str | None
    run: str | None
    conversation: str | None
    request: JsonObject
    response: JsonObject | None
    headers: Mapping[str, str]
    from_log: bool = False
    """Whether this is what was sent and billed; a transcript has no markers, and its `output_tokens` are too few."""
    sections: JsonValue = None
    """What a log of the runtime says of the sections of the system prompt; `None` in other logs."""
    lacks_prompt: bool = False
    """Whether the agent's system prompt and tools were not recorded and are missing from the request."""

    @property
    def response_usage(self) -> JsonObject | None:
        """The recorded `usage`, or `None`."""
        usage = (self.response or {}).get("usage")
        return usage if isinstance(usage, dict) else None

    @property
    def recorded_prompt_tokens(self) -> int | None:
        """The recorded length of the whole prompt, uncached, written and read; `None` where the record has none.

        Where a server tool made the API sample several times, the length of the prompt as it was sent: the first.
        """
        usage = self.response_usage or {}
        sampled = usage.get("iterations")
        first = sampled[0] if isinstance(sampled, list) and sampled else None
        for counted in (first, usage):
            if isinstance(counted, dict) and (tokens := _input_tokens(counted)):
                return tokens
        return None


def _input_tokens(usage: JsonObject) -> int:
    counts = (usage.get(f"{kind}input_tokens") for kind in ("", "cache_creation_", "cache_read_"))
    return sum(count for count in counts if isinstance(count, int) and count > 0)


def json_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, JsonObject]]:
    """Yield number and object of each line of a `.jsonl` file (`.gz` and `.xz` are decompressed) that has text.

    Raises `TargetError` naming the file and the line that is no JSON object, or saying why it cannot be read.
    """
    for number, line in text_lines(path):
        yield number, json_object(line, where=f"{os.fspath(path)}, line {number}")


def text_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of such a file that has text. Raises `TargetError` when it cannot be read."""
    name = os.fspath(path)
    opener = gzip.open if name.endswith(".gz") else lzma.open if name.endswith(".xz") else open
    try:
        with opener(name, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _text_of(line, where=f"{name}, line {number}", marked=number == 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(f"cannot read {name}: {reason}") from error


def _text_of(line: bytes, *, where: str, marked: bool) -> str:
    """Return a line as text. marked: it may begin with a byte-order mark."""
    try:
        return line.decode("utf-8-sig" if marked else "utf-8")
    except UnicodeDecodeError as error:
        raise TargetError(f"{where}: not UTF-8 text ({error.reason}, byte {error.start} of the line)") from error


def json_object(line: str, *, where: str) -> JsonObject:
    """Return the object that a line is. Raises `TargetError` for a line that is none; `where` names file and line."""
    try:
        value = parsed_json(line)
    except ValueError as error:
        raise TargetError(f"{where}: not JSON ({error}); a log has one JSON object a line") from error
    if not isinstance(value, dict):
        raise TargetError(f"{where}: a log has one JSON object a line, and this is a {type(value).__name__}")
    return value
