"""Recorded replies from a file: a request log or a trace file, found out by its lines.

It decides what kind of file it is; which recorded turn answers a call, the emulator's `recorded` does.
"""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Iterator

from agentcache.emulator.recorded import RecordedReplies
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.strict_json import parsed_json


def recorded_replies(path: str | os.PathLike[str], *, trace: str | None = None, strict: bool = True) -> RecordedReplies:
    """Return replies from the file at `path`: JSON lines, `.gz` and `.xz` compressed.

    A request log (`Runtime(record_requests=…)`) answers calls with the recorded messages, a trace file the calls of
    any client that goes the recorded way. `trace` is the `trace_id` to play where the file holds several; `None`
    plays all of them. `strict`: calls and turns that do not meet are errors.

    Raises `TargetError` when the file cannot be read or has no such trace, `EmulatorError` when it is not sound.
    """
    name = os.fspath(path)
    lines = list(_lines(name))
    if not any("threads" in line for line in lines):
        if trace is not None:
            raise TargetError(f"{name} is a request log, which has no traces; leave out trace={trace!r}")
        return RecordedReplies.from_log(lines, strict=strict)
    chosen = [line for line in lines if trace is None or line.get("trace_id") == trace]
    if not chosen:
        raise TargetError(f"{name} has no trace {trace!r}; it has {[line.get('trace_id') for line in lines][:5]} …")
    return RecordedReplies.from_traces(chosen, strict=strict)


def _lines(name: str) -> Iterator[JsonObject]:
    opener = gzip.open if name.endswith(".gz") else lzma.open if name.endswith(".xz") else open
    try:
        with opener(name, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _object(line, f"{name}, line {number}")
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        raise TargetError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error


def _object(line: str, where: str) -> JsonObject:
    try:
        value = parsed_json(line)
    except ValueError as error:
        raise TargetError(f"{where}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise TargetError(f"{where}: not a JSON object; a recording has one object a line")
    return value
