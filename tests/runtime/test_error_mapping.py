"""Every answer and every exception of the HTTP libraries has a meaning; an upgrade that brings a new one fails here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import aiohttp
import httpx2
import pytest
from anthropic import _error_classes, _exceptions

from agentcache.errors import (
    CallError,
    CallRejected,
    ConnectionFailed,
    Overloaded,
    RateLimited,
    ServerFailed,
    Unauthenticated,
)
from agentcache.runtime.api_connection import NETWORK_ERRORS, failure_of, refusal_of
from agentcache.runtime.retrying import Failure

REQUEST = httpx2.Request("POST", "http://api.test/v1/messages")

MEANING_OF_STATUS: dict[int, tuple[type[CallError], bool]] = {
    400: (CallRejected, False),
    401: (Unauthenticated, False),
    402: (CallRejected, False),
    403: (Unauthenticated, False),
    404: (CallRejected, False),
    408: (ConnectionFailed, True),
    409: (CallRejected, True),
    412: (CallRejected, False),
    413: (CallRejected, False),
    422: (CallRejected, False),
    429: (RateLimited, True),
    431: (CallRejected, False),
    499: (CallRejected, False),
    500: (ServerFailed, True),
    501: (ServerFailed, True),
    503: (Overloaded, True),
    504: (ServerFailed, True),
    529: (Overloaded, True),
}
"""Our error for every status that the SDK has a class for, and whether another attempt may help."""


def classes_of(names: Mapping[str, object]) -> Iterator[type[BaseException]]:
    for value in names.values():
        if isinstance(value, type) and issubclass(value, BaseException):
            yield value


def refusal(status: int, body: object = None, **headers: str) -> Failure:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal_of(httpx2.Response(status, json=body, headers=named, request=REQUEST), attempts=2, now=0.0)


def meaning(error: Exception) -> Failure:
    return failure_of(error, base_url="http://api.test", attempts=2, request_id="req_stream")


HTTP_CLASSES = sorted(classes_of(vars(httpx2)), key=lambda kind: kind.__name__)


def test_every_status_that_the_sdk_has_a_class_for_is_listed_above() -> None:
    classes = classes_of(vars(_exceptions))
    statuses = {code for kind in classes if (code := getattr(kind, "status_code", None)) is not None}
    assert {code for code in statuses if isinstance(code, int)} <= set(MEANING_OF_STATUS)


@pytest.mark.parametrize("status", sorted(MEANING_OF_STATUS))
def test_an_error_status_has_a_meaning(status: int) -> None:
    failure = refusal(status, {"error": {"type": "any_error", "message": "why"}})
    assert (type(failure.error), failure.retry) == MEANING_OF_STATUS[status]
    assert (failure.error.attempts, failure.error.status) == (2, status)
    assert "any_error: why" in str(failure.error)


@pytest.mark.parametrize(("status", "code"), sorted(key for key in _error_classes.ERROR_CLASSES if key[1]))
def test_an_error_code_means_what_its_status_means(status: int, code: str) -> None:
    failure = refusal(status, {"error": {"type": "any_error", "message": "why", "details": {"error_code": code}}})
    assert (type(failure.error), failure.retry) == MEANING_OF_STATUS[status]


HOPELESS = {
    "UnsupportedProtocol",
    "LocalProtocolError",
    "TooManyRedirects",
    "HTTPError",
    "RequestError",
    "HTTPStatusError",
}
NOT_OF_A_REQUEST = {"CookieConflict", "InvalidURL"}
"""The one needs a cookie jar, the other a URL that `credentials.py` would have let through."""


def http_instance(kind: type[BaseException]) -> Exception:
    if kind.__name__ in {"StreamConsumed", "StreamClosed", "ResponseNotRead", "RequestNotRead"}:
        made = kind()
    elif issubclass(kind, httpx2.HTTPStatusError):
        made = kind("told", request=REQUEST, response=httpx2.Response(500, request=REQUEST))
    else:
        made = kind("told")
    assert isinstance(made, Exception)
    return made


def is_of_a_request(kind: type[BaseException]) -> bool:
    return issubclass(kind, httpx2.HTTPError | httpx2.StreamError)


@pytest.mark.parametrize(
    "kind", [kind for kind in HTTP_CLASSES if is_of_a_request(kind)], ids=lambda kind: kind.__name__
)
def test_what_http_raises_is_a_connection_that_failed(kind: type[BaseException]) -> None:
    failure = meaning(http_instance(kind))
    assert type(failure.error) is ConnectionFailed
    assert failure.retry is not (kind.__name__ in HOPELESS or issubclass(kind, httpx2.StreamError))
    assert (failure.error.attempts, failure.error.request_id) == (2, "req_stream")


def test_every_exception_of_http_is_known() -> None:
    others = {kind.__name__ for kind in HTTP_CLASSES if not is_of_a_request(kind) and issubclass(kind, Exception)}
    assert {name for name in others if not name.endswith("Warning")} == NOT_OF_A_REQUEST


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (httpx2.ReadError("reset"), True),
        (aiohttp.ClientOSError("reset"), True),
        (aiohttp.InvalidURL("http:/"), False),
        (OSError("no route"), True),
        (httpx2.UnsupportedProtocol("gopher"), False),
        (RuntimeError("the client has been closed"), False),
    ],
)
def test_a_failed_connection_is_tried_again_unless_it_cannot_work(error: Exception, retry: bool) -> None:
    assert meaning(error).retry is retry


def test_the_text_of_a_header_that_cannot_be_sent_is_not_repeated() -> None:
    error = httpx2.LocalProtocolError("Illegal header value b'Bearer sk-secret'")
    assert str(meaning(error).error) == (
        "the connection to http://api.test failed: LocalProtocolError (attempt 2, request req_stream)"
    )


def test_a_refusal_carries_what_the_api_said() -> None:
    body = {"error": {"type": "overloaded_error", "message": "Overloaded"}}
    failure = refusal(529, body, request_id="req_9", retry_after="3")
    assert (failure.error.status, failure.error.request_id, failure.retry_after_s) == (529, "req_9", 3.0)
    assert str(failure.error) == (
        "the API answered with 529: overloaded_error: Overloaded (attempt 2, request req_9, told to wait 3 s); "
        "try again later"
    )


@pytest.mark.parametrize("kind", [KeyError, TypeError, ValueError, RuntimeError])
def test_a_bug_met_while_reading_is_not_taken_for_a_failure_of_the_server(kind: type[Exception]) -> None:
    assert not issubclass(kind, NETWORK_ERRORS)
