"""Reads files of traffic, request logs and traces in any mixture, into one sequence of calls in the order of time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

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
        for number, line in enumerate(json_lines(path), start=1):
            if is_trace(line):
                calls.extend(trace_calls(line, place=places, options=options))
                places += 1
            else:
                call = log_call(line, where=f"{os.fspath(path)}, line {number}")
                calls.append(replace(call, request=shared.request(call.request)))
    if not calls:
        raise TargetError("there is no call in this traffic; give a request log or a trace file")
    return sorted(calls, key=lambda call: call.at_s)


def read_prefix(path: str | os.PathLike[str]) -> tuple[Sequence[JsonObject], Sequence[JsonObject]]:
    """Return system blocks and tools of a prefix file, for traces that lack them.

    The file is a JSON object with `system` (or `system_blocks`: text or blocks) and `tools`. Raises `TargetError`.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value: JsonValue = json.load(file)
    except (OSError, ValueError) as error:
        raise TargetError(f"cannot read the prefix {os.fspath(path)}: {error}") from error
    if not isinstance(value, dict):
        raise TargetError(f"{os.fspath(path)}: a prefix is an object with `system` and `tools`")
    system = value.get("system", value.get("system_blocks")) or []
    blocks = [system] if isinstance(system, str) else system if isinstance(system, list) else []
    tools = value.get("tools") or []
    return (
        [block if isinstance(block, dict) else {"type": "text", "text": str(block)} for block in blocks],
        [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else [],
    )


class SharedObjects:
    """Makes equal messages, tools and system blocks of a log one object, as they were before they were written."""

    def __init__(self) -> None:
        self._kept: dict[str, JsonValue] = {}

    def request(self, request: JsonObject) -> JsonObject:
        """Return the request with shared parts."""
        return {key: self._parts(value) if isinstance(value, list) else value for key, value in request.items()}

    def _parts(self, values: list[JsonValue]) -> list[JsonValue]:
        return [self._kept.setdefault(json.dumps(value), value) for value in values]
