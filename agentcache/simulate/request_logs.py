"""Reads request logs (DESIGN section 7): one call a line, only `t` and `request` required."""

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
    at, request = line.get("t"), line.get("request")
    if isinstance(at, bool) or not isinstance(at, (int, float)):
        raise TargetError(f"{where}: `t` is missing; a request log gives every call's start in seconds")
    if not isinstance(request, dict) or not isinstance(request.get("messages"), list):
        raise TargetError(
            f"{where}: `request` is missing or has no `messages`; it holds the Messages body that was sent"
        )
    first_s = _seconds(line.get("first_token_s"), FIRST_TOKEN_S)
    response, headers = line.get("response"), line.get("headers")
    return TrafficCall(
        at_s=float(at),
        first_token_at_s=at + first_s,
        end_at_s=at + max(first_s, _seconds(line.get("end_s"), CALL_S)),
        agent=_text(line.get("agent")),
        run=_text(line.get("run")),
        conversation=_text(line.get("conversation")),
        request=request,
        response=response if isinstance(response, dict) else None,
        headers={key: str(value) for key, value in headers.items()} if isinstance(headers, dict) else {},
        billed_output=True,
    )


def _seconds(value: JsonValue, default_s: float) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default_s


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
