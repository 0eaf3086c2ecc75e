"""The one place that knows the Anthropic SDK and the HTTP libraries below it: posts a body, says what failures mean.

The SDK says which headers there are and how credentials are written into them, and brings the `aiohttp` transport. Its
`post` is not used: it copies and checks options that never change here, which takes as long as the transport itself.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from urllib.request import getproxies

import aiohttp
import anthropic
import httpx2

from agentcache.runtime.credentials import Credentials
from agentcache.runtime.request_body import written
from agentcache.runtime.retrying import Failure, malformed, refused, unanswered

CONNECT_TIMEOUT_S = 5.0
"""The SDK's own bound (`_constants.py`)."""

_PATH = "/v1/messages"
_LIMITS = httpx2.Limits(max_connections=0, keepalive_expiry=5.0)
"""No bound (`aiohttp`'s zero): whoever wants fewer calls at once bounds them. Idle ones live 5 s, as the SDK has it."""


class ApiConnection:
    """Connections to one server, and how requests to it are signed. An `http_client` that is passed in is left open.

    `timeout_s` bounds the silence on an open connection; `None` is no bound.
    """

    def __init__(
        self, credentials: Credentials, *, http_client: httpx2.AsyncClient | None, timeout_s: float | None
    ) -> None:
        self._owned = http_client is None
        self._http = http_client or _connections()
        sdk = anthropic.AsyncAnthropic(
            api_key=credentials.api_key,
            auth_token=credentials.auth_token,
            base_url=credentials.base_url,
            http_client=self._http,
        )
        self._url = httpx2.URL(str(sdk.base_url).rstrip("/") + _PATH)
        self._headers = {name: value for name, value in sdk.default_headers.items() if isinstance(value, str)}
        self._timeout = httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)

    async def post(self, body: bytes, headers: Mapping[str, str], *, attempt: int) -> httpx2.Response:
        """Send a body and return the response as soon as its headers are here; it is the caller's to read and close."""
        length, content = written(body)
        retries = {"x-stainless-retry-count": str(attempt - 1)}
        request = self._http.build_request(
            "POST",
            self._url,
            headers={**self._headers, **retries, **headers, **length},
            content=content,
            timeout=self._timeout,
        )
        return await self._http.send(request, stream=True, follow_redirects=False)

    async def close(self) -> None:
        """Close the connections that were opened here."""
        if self._owned:
            await self._http.aclose()


def _connections() -> httpx2.AsyncClient:
    if any(address.startswith("socks") for address in getproxies().values()):
        return anthropic.DefaultAsyncHttpxClient()  # aiohttp knows no such proxies
    certificates = _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return anthropic.DefaultAioHttpClient(limits=_LIMITS, verify=certificates)


@lru_cache(maxsize=4)
def _certificates(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Return whom to trust, by the variables that name a file or a folder of authorities; reading them takes 50 ms."""
    return httpx2.create_ssl_context()


NETWORK_ERRORS = (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError, OSError)
"""What reading a response may raise where nobody made a mistake."""


def refusal_of(response: httpx2.Response, *, attempts: int, now: float) -> Failure:
    """Return what a response that is no success means; its body has been read. `now` is Unix seconds."""
    headers = response.headers
    if response.has_redirect_location:
        told = f"the server redirects to {headers.get('location')!r}; set base_url to where it really is"
        return malformed(told, attempts=attempts, request_id=headers.get("request-id"), retry=False)
    return refused(response.status_code, response.content, headers=headers, attempts=attempts, now=now)


def failure_of(error: Exception, *, base_url: str, attempts: int, request_id: str | None) -> Failure:
    """Return what an exception means that the connection raised.

    `attempts` counts the requests sent so far, `request_id` is that of the stream that was being read.
    """
    # What is wrong before a byte is sent, or after we closed the connection ourselves, is wrong again next time.
    hopeless = not isinstance(error, _WORTH_ANOTHER) or isinstance(error, _WRONG_HERE)
    # The text of a protocol error of our own may quote a header, and the key is one.
    told = type(error).__name__ if isinstance(error, httpx2.LocalProtocolError) else _named(error)
    return unanswered(
        f"the connection to {base_url} failed: {told}",
        attempts=attempts,
        request_id=request_id,
        retry=not hopeless,
        cause=error,
    )


_WORTH_ANOTHER = (httpx2.TransportError, httpx2.DecodingError, aiohttp.ClientError, OSError)
_WRONG_HERE = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, aiohttp.InvalidURL)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
