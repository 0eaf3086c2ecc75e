"""What is replayed: calls in time order, read from request logs or traces, without anybody's cache markers on them."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficCall:
    """One recorded or arranged call.

    at_s: start, seconds on one clock for the whole traffic. first_token_at_s, end_at_s: on the same clock.
    request: a Messages body, markers included where the record had them. Message and block objects are shared
    between the calls of a conversation, so that what did not change need not be looked at again.
    response_usage: the API's `usage` where it was recorded. headers: those that separate caches or betas.
    run and conversation are `None` where the record does not say.
    """

    at_s: float
    first_token_at_s: float
    end_at_s: float
    agent: str | None
    run: str | None
    conversation: str | None
    request: JsonObject
    response: JsonObject | None
    headers: Mapping[str, str]
    billed_output: bool = False
    """Whether the recorded `output_tokens` are what was billed: a request log's are, a transcript's are not."""

    @property
    def response_usage(self) -> JsonObject | None:
        """The recorded `usage`, or `None`."""
        usage = (self.response or {}).get("usage")
        return usage if isinstance(usage, dict) else None


def json_lines(path: str | os.PathLike[str]) -> Iterator[JsonObject]:
    """Yield the JSON objects of a `.jsonl` file (`.gz` and `.xz` are decompressed).

    Raises `TargetError` naming the file and the line that is no JSON object, or saying why it cannot be read.
    """
    name = os.fspath(path)
    opener = gzip.open if name.endswith(".gz") else lzma.open if name.endswith(".xz") else open
    try:
        with opener(name, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _object(line, name, number)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(f"cannot read {name}: {reason}") from error


def _object(line: str, name: str, number: int) -> JsonObject:
    try:
        value: JsonValue = json.loads(line)
    except ValueError as error:
        raise TargetError(f"{name}, line {number}: not JSON ({error}); a log has one JSON object a line") from error
    if not isinstance(value, dict):
        raise TargetError(
            f"{name}, line {number}: a log has one JSON object a line, and this is a {type(value).__name__}"
        )
    return value
