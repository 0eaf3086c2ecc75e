"""Reads a request log (docs/formats.md) as the calls that `explain` compares."""

from __future__ import annotations

import os
from dataclasses import replace

from agentcache.accounting.explaining.logged_calls import LoggedCall, content_blocks, text_of
from agentcache.accounting.logged_sections import sections_from_json
from agentcache.accounting.reading import usage_of
from agentcache.accounting.usage import BilledPart
from agentcache.errors import ReplyMalformed, TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.prompt.model_facts import TTL_SECONDS
from agentcache.simulate.request_logs import log_call
from agentcache.simulate.traffic import TrafficCall, json_lines

MOST_LEVELS = 100
"""Deeper than any Messages body, and shallow enough to be walked."""


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
    _check(call)
    reply = content_blocks((call.response or {}).get("content"))
    logged = LoggedCall(
        index=index,
        at_s=call.at_s,
        first_token_at_s=call.first_token_at_s,
        agent=call.agent,
        run=call.run,
        conversation=call.conversation,
        request=call.request,
        headers=call.headers,
        reply="\n".join(text_of(block) for block in reply),
        sections=sections_from_json(call.sections),
    )
    return replace(logged, bill=_bill(logged, call.response_usage, call.where)) if call.response_usage else logged


def _check(call: TrafficCall) -> None:
    """Raise `TargetError` for a call of which nothing can be made: too deep, or no JSON text that could be sent."""
    level: list[JsonValue] = [call.request, (call.response or {}).get("content")]
    for _ in range(MOST_LEVELS):
        level = [child for value in level for child in _inside(value)]
    if level:
        raise TargetError(f"{call.where}: nested more than {MOST_LEVELS} levels deep; that is no Messages body")
    try:
        canonical_json(call.request).encode()
    except ValueError as error:  # numbers beyond range and halves of characters, which Python's reader lets pass
        raise TargetError(f"{call.where}: `request` is no JSON that could be sent ({error})") from error


def _inside(value: JsonValue) -> list[JsonValue]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in inside if isinstance(child, (dict, list))]


def _bill(call: LoggedCall, told: JsonObject, where: str) -> BilledPart:
    """Return the reply's own usage as one part; writes that it does not split are of the request's lifetime."""
    hours = {call.lifetime_s(index) for index in call.marked} == {TTL_SECONDS["1h"]}
    try:
        usage, parts = usage_of(told, model=call.model, default_ttl="1h" if hours else "5m")
    except ReplyMalformed as error:
        raise TargetError(f"{where}: {error}") from error
    speed = call.request.get("speed")
    named = speed if isinstance(speed, str) else None
    return replace(parts[0], usage=usage, speed=parts[0].speed or named)
