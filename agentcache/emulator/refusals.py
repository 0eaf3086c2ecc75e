"""What the API says when it refuses: status, error type, message, and the body that carries them.

Texts that a source gives word for word are kept word for word (specification section 2.5, the API's error page, threads
of SDK users); `validation` and its neighbours hold them where they are decided. Texts of the emulator's own begin with
`agentcache emulator:` so that nobody takes them for the API's.
"""

from __future__ import annotations

from agentcache.emulator.json_values import JsonObject

OWN_WORDS = "agentcache emulator: "

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}


class ApiError(Exception):
    """A refusal on its way to the client; part of the emulated API, never a failure of agentcache.

    `kind` is the API's error type and decides `status`, unless one is given. `retry_after_s` is sent as a header.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "invalid_request_error",
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.status = _STATUS[kind] if status is None else status
        self.message = message

    def body(self, request_id: str) -> JsonObject:
        """Return the JSON body that the API sends for this refusal."""
        return {"type": "error", "error": {"type": self.kind, "message": self.message}, "request_id": request_id}


def in_own_words(text: str) -> ApiError:
    """Return a refusal that the real API makes too, in words that no source gives."""
    return ApiError(f"{OWN_WORDS}{text}")


def not_played(what: str) -> ApiError:
    """Return the refusal of a feature that the real API has and this emulator does not play."""
    return ApiError(f"{OWN_WORDS}{what} is not played; the real API may accept it")


def extra_input(path: str) -> ApiError:
    """Return the refusal of a field that must not stand at `path`."""
    return ApiError(f"{path}: Extra inputs are not permitted")


def field_required(path: str) -> ApiError:
    """Return the refusal of a body that lacks the field at `path`."""
    return ApiError(f"{path}: Field required")
