"""Reads request logs (docs/formats.md): one call a line, only `t` and `request` required."""

from __future__ import annotations

from agentcache.errors import TargetError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.simulate.arrivals import CALL_S, FIRST_TOKEN_S
from agentcache.simulate.traffic import TrafficCall


def log_call(line: JsonObject, *, where: str) -> TrafficCall:
    """Return the call of one line; `where` names file and line for errors.

    Without `first_token_s` and `end_s` the first token comes after 1 s and the end after 3 s.
    Raises `TargetError` when `t` or `request` is missing or of another type.
    """
    at_s, request = _seconds(line.get("t")), line.get("request")
    if at_s is None:
        raise TargetError(f"{where}: `t` is missing or no number; a request log gives every call's start in seconds")
    if not isinstance(request, dict) or not isinstance(request.get("messages"), list):
        raise TargetError(
            f"{where}: `request` is missing or has no `messages`; it holds the Messages body that was sent"
        )
    first_s = max(0.0, _or_default(_seconds(line.get("first_token_s")), FIRST_TOKEN_S))
    end_s = max(first_s, _or_default(_seconds(line.get("end_s")), CALL_S))
    response, headers = line.get("response"), line.get("headers")
    return TrafficCall(
        where=where,
        at_s=at_s,
        first_token_at_s=at_s + first_s,
        end_at_s=at_s + end_s,
        agent=_text(line.get("agent")),
        run=_text(line.get("run")),
        conversation=_text(line.get("conversation")),
        request=request,
        response=response if isinstance(response, dict) else None,
        headers={name.lower(): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {},
        from_log=True,
        sections=line.get("sections"),
    )


def _seconds(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < _FAR_S else None


_FAR_S = 1e15
"""Beyond this a clock cannot tell one second from the next."""


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
