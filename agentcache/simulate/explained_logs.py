"""Reads a request log (DESIGN section 7) as the calls that `explain` compares."""

from __future__ import annotations

import os

from agentcache.accounting.explaining.logged_calls import LoggedCall, content_blocks, text_of
from agentcache.accounting.logged_sections import sections_from_json
from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject
from agentcache.simulate.request_logs import log_call
from agentcache.simulate.traffic import TrafficCall, json_lines


def logged_calls(path: str | os.PathLike[str]) -> list[LoggedCall]:
    """Return the calls of a log in the order of time; a call's index is its place in the file, from 0.

    `.gz` and `.xz` are decompressed. Raises `TargetError` for a file that cannot be read, a line that is no call, and a
    file without any.
    """
    name = os.fspath(path)
    read = [log_call(line, where=f"{name}, line {number}") for number, line in json_lines(path)]
    if not read:
        raise TargetError(f"there is no call in {name}; give a request log, one JSON object a line")
    calls = [_logged(call, index) for index, call in enumerate(read)]
    return sorted(calls, key=lambda call: call.at_s)


def _logged(call: TrafficCall, index: int) -> LoggedCall:
    usage = call.response_usage
    reply = content_blocks((call.response or {}).get("content"))
    return LoggedCall(
        index=index,
        at_s=call.at_s,
        first_token_at_s=call.first_token_at_s,
        agent=call.agent,
        run=call.run,
        conversation=call.conversation,
        request=call.request,
        headers=call.headers,
        read_tokens=None if usage is None else _count(usage, "cache_read_input_tokens"),
        written_tokens=None if usage is None else _count(usage, "cache_creation_input_tokens"),
        reply="\n".join(text_of(block) for block in reply),
        sections=sections_from_json(call.sections),
    )


def _count(usage: JsonObject, name: str) -> int:
    count = usage.get(name)
    return count if isinstance(count, int) and not isinstance(count, bool) else 0
