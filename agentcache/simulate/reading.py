"""Reads files of traffic, request logs and traces in any mixture, into one sequence of calls in the order of time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.simulate.request_logs import log_call
from agentcache.simulate.traces import TraceOptions, is_trace, trace_calls
from agentcache.simulate.traffic import TrafficCall, json_lines


def read_traffic(paths: Iterable[str | os.PathLike[str]], options: TraceOptions) -> list[TrafficCall]:
    """Return the calls of all files, sorted by their start; calls that start together keep the files' order.

    Traces count on through all files, so that a new conversation begins every 45 s of the whole traffic. Raises
    `TargetError` for a file that cannot be read, a line that is neither, and for files without any call.
    """
    calls: list[TrafficCall] = []
    shared = SharedObjects()
    places = 0
    for path in paths:
        for number, line in json_lines(path):
            where = f"{os.fspath(path)}, line {number}"
            if is_trace(line):
                calls.extend(trace_calls(line, where=where, place=places, options=options))
                places += 1
            else:
                call = log_call(line, where=where)
                calls.append(replace(call, request=shared.request(call.request)))
    if not calls:
        raise TargetError("there is no call in this traffic; give a request log or a trace file")
    return sorted(calls, key=lambda call: call.at_s)


def read_prefix(path: str | os.PathLike[str]) -> tuple[Sequence[JsonObject], Sequence[JsonObject]]:
    """Return system blocks and tools of a prefix file, for traces that lack them.

    The file is a JSON object with `system` (or `system_blocks`), a text or a list of texts and blocks, and `tools`, a
    list of tool definitions; either may be missing. Raises `TargetError` for any other file.
    """
    name = os.fspath(path)
    try:
        with open(name, encoding="utf-8-sig") as file:
            value: JsonValue = json.load(file)
    except OSError as error:
        raise TargetError(f"cannot read the prefix {name}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TargetError(f"cannot read the prefix {name}: {error}") from error
    if not isinstance(value, dict):
        raise TargetError(f"{name}: a prefix is an object with `system` and `tools`")
    system, tools = value.get("system", value.get("system_blocks")), value.get("tools")
    prefix = (_objects(system, f"{name}: `system`", texts_too=True), _objects(tools, f"{name}: `tools`"))
    if not any(prefix):
        raise TargetError(f"{name} has neither `system` nor `tools`; a prefix gives at least one")
    return prefix


def _objects(value: JsonValue, where: str, *, texts_too: bool = False) -> list[JsonObject]:
    objects: list[JsonObject] = []
    for item in value if isinstance(value, list) else [value] if value else []:
        if isinstance(item, dict):
            objects.append(item)
        elif isinstance(item, str) and texts_too:
            objects.append({"type": "text", "text": item})
        else:
            raise TargetError(f"{where} is no list of objects")
    return objects


class SharedObjects:
    """Makes equal messages, tools and system blocks of a log one object, as they were before they were written."""

    def __init__(self) -> None:
        self._kept: dict[bytes, JsonValue] = {}

    def request(self, request: JsonObject) -> JsonObject:
        """Return the request with shared parts."""
        return {key: self._parts(value) if isinstance(value, list) else value for key, value in request.items()}

    def _parts(self, values: list[JsonValue]) -> list[JsonValue]:
        return [self._kept.setdefault(_identity(value), value) for value in values]


def _identity(value: JsonValue) -> bytes:
    return blake2b(json.dumps(value).encode(), digest_size=16).digest()
