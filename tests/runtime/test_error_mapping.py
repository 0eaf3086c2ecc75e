"""Every exception that the SDK can raise has a meaning of ours; an upgrade that brings a new one fails here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import aiohttp
import anthropic
import httpx2
import pytest
from anthropic import _error_classes, _exceptions

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
from agentcache.runtime.client import failure_of
from agentcache.runtime.retrying import Failure

REQUEST = httpx2.Request("POST", "http://api.test/v1/messages")

MEANING: dict[str, tuple[type[CallError], bool]] = {
    "AnthropicError": (ReplyMalformed, False),
    "APIError": (ReplyMalformed, False),
    "APIResponseValidationError": (ReplyMalformed, False),
    "APIWebhookValidationError": (ReplyMalformed, False),
    "APIStatusError": (CallRejected, False),
    "APIConnectionError": (ConnectionFailed, True),
    "APITimeoutError": (ConnectionFailed, True),
    "RetryableError": (ConnectionFailed, True),
    "CredentialsError": (Unauthenticated, False),
    "IdentityTokenFileError": (Unauthenticated, False),
    "BadRequestError": (CallRejected, False),
    "AuthenticationError": (Unauthenticated, False),
    "PaymentRequiredError": (CallRejected, False),
    "PermissionDeniedError": (Unauthenticated, False),
    "NotFoundError": (CallRejected, False),
    "RequestTimeoutError": (ConnectionFailed, True),
    "ConflictError": (CallRejected, True),
    "PreconditionFailedError": (CallRejected, False),
    "ContentTooLargeError": (CallRejected, False),
    "UnprocessableEntityError": (CallRejected, False),
    "RateLimitError": (RateLimited, True),
    "RequestHeaderFieldsTooLargeError": (CallRejected, False),
    "ClientClosedRequestError": (CallRejected, False),
    "InternalServerError": (ServerFailed, True),
    "HTTPNotImplementedError": (ServerFailed, True),
    "ServiceUnavailableError": (Overloaded, True),
    "GatewayTimeoutError": (ServerFailed, True),
    "OverloadedError": (Overloaded, True),
}
"""Class of the SDK to our error and whether another attempt may help."""

MEANING_OF_STATUS: dict[int, tuple[type[CallError], bool]] = {
    400: (CallRejected, False),
    402: (CallRejected, False),
    403: (Unauthenticated, False),
    404: (CallRejected, False),
    409: (CallRejected, True),
    412: (CallRejected, False),
    413: (CallRejected, False),
    429: (RateLimited, True),
    503: (Overloaded, True),
    529: (Overloaded, True),
}
"""For the SDK's classes of one error code each, which differ by status only."""


def classes_of(names: Mapping[str, object]) -> Iterator[type[BaseException]]:
    for value in names.values():
        if isinstance(value, type) and issubclass(value, BaseException):
            yield value


def response(status: int, body: object = None, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=named, request=REQUEST)


def instance(kind: type[BaseException]) -> Exception:
    """Build an exception as the SDK would: each family has its own arguments."""
    if issubclass(kind, anthropic.APIStatusError):
        default = 500 if issubclass(kind, anthropic.InternalServerError) else 418
        return kind("told", response=response(getattr(kind, "status_code", default)), body=None)
    if issubclass(kind, anthropic.APIResponseValidationError):
        return kind(response(200), None)
    if issubclass(kind, anthropic.APITimeoutError):
        return kind(REQUEST)
    if issubclass(kind, anthropic.APIConnectionError):
        return kind(request=REQUEST)
    if issubclass(kind, anthropic.APIError):
        return kind("told", REQUEST, body=None)
    assert issubclass(kind, Exception)
    return kind("told")


def meaning(error: Exception) -> Failure:
    failure = failure_of(error, base_url="http://api.test", attempts=2, request_id="req_stream", now=0.0)
    assert failure is not None, f"{type(error).__name__} has no meaning"
    return failure


PUBLIC = {name: getattr(anthropic, name) for name in anthropic.__all__}
OF_ONE_CODE = {kind for (_, code), kind in _error_classes.ERROR_CLASSES.items() if code}
SDK_CLASSES = sorted(
    {*classes_of(vars(_exceptions)), *classes_of(PUBLIC)} - OF_ONE_CODE, key=lambda kind: kind.__name__
)
HTTP_CLASSES = sorted(classes_of(vars(httpx2)), key=lambda kind: kind.__name__)


def test_every_exception_of_the_sdk_is_listed_above() -> None:
    assert {kind.__name__ for kind in SDK_CLASSES} == set(MEANING)


@pytest.mark.parametrize("kind", SDK_CLASSES, ids=lambda kind: kind.__name__)
def test_an_exception_of_the_sdk_has_a_meaning(kind: type[BaseException]) -> None:
    failure = meaning(instance(kind))
    assert (type(failure.error), failure.retry) == MEANING[kind.__name__]
    assert failure.error.attempts == 2


@pytest.mark.parametrize(("status", "code"), sorted(key for key in _error_classes.ERROR_CLASSES if key[1]))
def test_an_error_code_means_what_its_status_means(status: int, code: str) -> None:
    body = {"error": {"type": "any_error", "message": "why", "details": {"error_code": code}}}
    error = _error_classes.make_status_error("told", body=body, response=response(status, body))
    failure = meaning(error)
    assert (type(failure.error), failure.retry) == MEANING_OF_STATUS[status]
    assert "any_error: why" in str(failure.error)


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
        made = kind("told", request=REQUEST, response=response(500))
    else:
        made = kind("told")
    assert isinstance(made, Exception)
    return made


def is_of_a_request(kind: type[BaseException]) -> bool:
    return issubclass(kind, httpx2.HTTPError | httpx2.StreamError)


@pytest.mark.parametrize(
    "kind", [kind for kind in HTTP_CLASSES if is_of_a_request(kind)], ids=lambda kind: kind.__name__
)
def test_what_breaks_below_the_sdk_is_a_connection_that_failed(kind: type[BaseException]) -> None:
    failure = meaning(http_instance(kind))
    assert type(failure.error) is ConnectionFailed
    assert failure.retry is not (kind.__name__ in HOPELESS or issubclass(kind, httpx2.StreamError))
    assert (failure.error.attempts, failure.error.request_id) == (2, "req_stream")


def test_every_exception_below_the_sdk_is_known() -> None:
    others = {kind.__name__ for kind in HTTP_CLASSES if not is_of_a_request(kind) and issubclass(kind, Exception)}
    assert {name for name in others if not name.endswith("Warning")} == NOT_OF_A_REQUEST


@pytest.mark.parametrize(
    ("cause", "retry"),
    [
        (httpx2.ReadError("reset"), True),
        (aiohttp.ClientOSError("reset"), True),
        (aiohttp.InvalidURL("http:/"), False),
        (OSError("no route"), True),
        (httpx2.UnsupportedProtocol("gopher"), False),
        (RuntimeError("the client has been closed"), False),
        (None, True),
    ],
)
def test_a_failed_connection_is_tried_again_unless_it_cannot_work(cause: Exception | None, retry: bool) -> None:
    error = anthropic.APIConnectionError(request=REQUEST)
    error.__cause__ = cause
    assert meaning(error).retry is retry


def test_the_text_of_a_header_that_cannot_be_sent_is_not_repeated() -> None:
    error = anthropic.APIConnectionError(request=REQUEST)
    error.__cause__ = httpx2.LocalProtocolError("Illegal header value b'Bearer sk-secret'")
    assert str(meaning(error).error) == (
        "the connection to http://api.test failed: LocalProtocolError (attempt 2, request req_stream)"
    )


def test_a_refusal_carries_what_the_api_said() -> None:
    body = {"error": {"type": "overloaded_error", "message": "Overloaded"}}
    error = _error_classes.make_status_error(
        "told", body=body, response=response(529, body, request_id="req_9", retry_after="3")
    )
    failure = meaning(error)
    assert (failure.error.status, failure.error.request_id, failure.retry_after_s) == (529, "req_9", 3.0)
    assert str(failure.error) == (
        "the API answered with 529: overloaded_error: Overloaded (attempt 2, request req_9, told to wait 3 s); "
        "try again later"
    )
    assert failure.cause is error


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ValueError("x"), RuntimeError("x")])
def test_a_bug_is_not_taken_for_a_failure_of_the_server(error: Exception) -> None:
    assert failure_of(error, base_url="http://api.test", attempts=1, request_id=None, now=0.0) is None
