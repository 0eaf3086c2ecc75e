"""Which failed attempts are worth another one, how long to wait before it, and when to give up.

Decides from what HTTP says (status, error type, headers) and drives the one retry loop. Knows no HTTP library:
`api_connection.py` says what an exception of one means in these terms.

Retried statuses: https://platform.claude.com/docs/en/api/errors and the SDK's own policy (`_base_client.py`), whose
loop is switched off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt

from agentcache.errors import (
    CallError,
    CallRejected,
    ConnectionFailed,
    Overloaded,
    RateLimited,
    ReplyMalformed,
    ServerFailed,
    Unauthenticated,
)
from agentcache.prompt.strict_json import parsed_json
from agentcache.runtime.retry_after import retry_after_s

AnswerT = TypeVar("AnswerT")

_STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""What an error that comes inside a stream would have been as a status; the stream itself began with 200."""

_CLASS_OF_STATUS: Mapping[int, type[CallError]] = {
    401: Unauthenticated,
    403: Unauthenticated,
    408: ConnectionFailed,
    429: RateLimited,
    503: Overloaded,
    529: Overloaded,
}
_RETRIED_BELOW_500 = frozenset({408, 409, 429})
_SHOULD_RETRY: Mapping[str, bool] = {"true": True, "false": False}
"""What the API's own word `x-should-retry` decides, whatever the status."""

_REMEDY: Mapping[type[CallError], str] = {
    Unauthenticated: "check ANTHROPIC_API_KEY and what its workspace may use",
    RateLimited: "run fewer calls at once or raise the organisation's limits",
    ConnectionFailed: "try again later",
    Overloaded: "try again later",
    ServerFailed: "try again later",
    CallRejected: "change the request; the same bytes would be refused again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Bounds of the pause between two attempts, in seconds.

    Without word from the server the pause doubles from `min_s` up to `max_s`, each time shortened by a random share of
    at most a half. A server that names a pause is obeyed, unless it asks for more than `max_retry_after_s`: then the
    call fails at once, because a run that sleeps for long looks like one that hangs.
    """

    min_s: float = 0.5
    max_s: float = 30.0
    max_retry_after_s: float = 600.0


DEFAULT_WAITS = Waits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that brought no reply. `error` is what the caller gets when no other attempt follows."""

    error: CallError
    retry: bool
    retry_after_s: float | None = None
    status: int | None = None
    """What the server answered, as a status; `None` when it answered nothing that we can read."""
    headers: Mapping[str, str] = field(default_factory=dict)
    cause: BaseException | None = None


async def run_attempts(
    attempt: Callable[[int], Awaitable[AnswerT | Failure]],
    *,
    max_attempts: int,
    waits: Waits,
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
    on_retry: Callable[[int, float, str], None],
) -> AnswerT:
    """Return the first answer of `attempt`, which is called with 1, 2, … until it answers or fails for good.

    `on_retry` is told the number of the attempt that failed, the pause in seconds, and why. Raises the last failure's
    error; what `attempt` raises itself passes through.
    """
    first = await attempt(1)
    if not isinstance(first, Failure):
        return first  # nearly always; the loop below costs more than all else that is decided about a call
    numbers = count(1)

    async def numbered() -> AnswerT | Failure:
        number = next(numbers)
        return first if number == 1 else await attempt(number)

    def tell(state: RetryCallState) -> None:
        on_retry(state.attempt_number, state.upcoming_sleep, str(_failure(state).error))

    retrying = AsyncRetrying(
        sleep=sleep,
        retry=retry_if_result(lambda outcome: isinstance(outcome, Failure) and _worth_another(outcome, waits)),
        wait=lambda state: _pause_s(_failure(state), state.attempt_number, waits, random()),
        stop=stop_after_attempt(max_attempts),
        before_sleep=tell,
        retry_error_callback=_failure,
    )
    outcome: AnswerT | Failure = await retrying(numbered)
    if isinstance(outcome, Failure):
        raise outcome.error from outcome.cause
    return outcome


def refused(status: int, body: bytes, *, headers: Mapping[str, str], attempts: int, now: float) -> Failure:
    """Return what an error answer means. `now` is Unix seconds, `headers` are read by names in lower case.

    `body` should be the API's error in JSON. `status` is 200 for an error event inside a stream, which its type then
    classifies.
    """
    error_type, told = _error_in(body)
    meaning = status if status >= 400 else _STATUS_OF_TYPE.get(error_type or "", 500)
    kind = _CLASS_OF_STATUS.get(meaning, ServerFailed if meaning >= 500 else CallRejected)
    request_id = headers.get("request-id")
    pause_s = retry_after_s(headers, now=now)
    where = "in the middle of the reply" if status < 400 else f"with {status}"
    details = _details(attempts, request_id) + ("" if pause_s is None else f", told to wait {pause_s:g} s")
    message = f"the API answered {where}: {error_type or 'error'}: {told} ({details}); {_REMEDY[kind]}"
    return Failure(
        error=kind(message, attempts=attempts, status=status if status >= 400 else None, request_id=request_id),
        retry=_SHOULD_RETRY.get(headers.get("x-should-retry", ""), meaning >= 500 or meaning in _RETRIED_BELOW_500),
        retry_after_s=pause_s,
        status=meaning,
        headers=headers,
    )


def _error_in(body: bytes) -> tuple[str | None, str]:
    """Return the type and the message of an error as the API words it; of anything else its beginning."""
    text = body.decode(errors="replace")
    try:
        told = parsed_json(text)
    except ValueError:
        told = text
    error = told.get("error") if isinstance(told, dict) else None
    error = error if isinstance(error, dict) else {}
    kind, message = error.get("type"), error.get("message")
    return (
        kind if isinstance(kind, str) else None,
        message if isinstance(message, str) and message else excerpt(told),
    )


def unanswered(
    told: str, *, attempts: int, request_id: str | None = None, retry: bool = True, cause: BaseException | None = None
) -> Failure:
    """Return what a connection that failed, or a stream that broke off, means."""
    message = f"{told} ({_details(attempts, request_id)})"
    error = ConnectionFailed(message, attempts=attempts, request_id=request_id)
    return Failure(error=error, retry=retry, cause=cause)


def malformed(
    told: str, *, attempts: int, request_id: str | None, retry: bool, cause: BaseException | None = None
) -> Failure:
    """Return what an answer that is no Messages reply means.

    Worth another attempt when its bytes were damaged; not when the server speaks a protocol that we do not know.
    """
    message = f"{told} ({_details(attempts, request_id)})"
    return Failure(error=ReplyMalformed(message, attempts=attempts, request_id=request_id), retry=retry, cause=cause)


def _failure(state: RetryCallState) -> Failure:
    outcome = state.outcome.result() if state.outcome else None
    if not isinstance(outcome, Failure):
        raise TypeError(f"asked about an attempt that did not fail: {outcome!r}")
    return outcome


def _worth_another(failure: Failure, waits: Waits) -> bool:
    return failure.retry and (failure.retry_after_s or 0.0) <= waits.max_retry_after_s


def _pause_s(failure: Failure, attempt: int, waits: Waits, chance: float) -> float:
    if failure.retry_after_s is not None:
        # Calls that were refused together are told the same pause; spread, they do not return together.
        return failure.retry_after_s * (1 + 0.1 * chance)
    return min(waits.max_s, waits.min_s * 2.0 ** min(attempt - 1, 32)) * (1 - 0.5 * chance)


def _details(attempts: int, request_id: str | None) -> str:
    return f"attempt {attempts}" if request_id is None else f"attempt {attempts}, request {request_id}"


def excerpt(body: object, *, room: int = 200) -> str:
    """Return an error body that is not the API's, such as a gateway's HTML page, in one short line."""
    line = " ".join(str(body or "no explanation").split())
    return line if len(line) <= room else f"{line[:room]}…"
