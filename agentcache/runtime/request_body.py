"""The bytes of a request, and how they are handed to the connection.

Knows no SDK: what comes in is a Messages body in the order of keys that the wire shall see.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, json_text

_AT_ONCE = 2**20
"""Bytes that `aiohttp` takes in one piece; it warns of more, since the event loop would wait for them."""

_PIECE = 2**16


def body_of(request: JsonObject, *, stream: bool) -> bytes:
    """Return a request as it is sent; raises `SettingsError` for what JSON cannot say."""
    body = {key: value for key, value in request.items() if key != "stream"}
    if stream:
        body["stream"] = True
    try:
        text = json_text(body)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"the request holds what JSON cannot say: {error}") from error
    # Half of a surrogate pair has no UTF-8; escaped, it is what the model's own JSON said.
    return text.encode(errors="backslashreplace")


def written(body: bytes) -> tuple[Mapping[str, str], bytes | AsyncIterable[bytes]]:
    """Return what is written for a body: a long one in pieces, with a header that tells its length all the same."""
    if len(body) <= _AT_ONCE:
        return {}, body
    return {"content-length": str(len(body))}, _Pieces(body)


@dataclass(frozen=True, slots=True)
class _Pieces(AsyncIterable[bytes]):
    """A long body, a piece at a time."""

    body: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.body), _PIECE):
            yield self.body[at : at + _PIECE]
