"""Where to send and how to sign: from arguments first, from the environment second.

Decides alone, so that a missing key is told before the SDK is even imported. Knows nothing of requests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from agentcache.errors import SettingsError, Unauthenticated
from agentcache.shown_url import shown_url

DEFAULT_BASE_URL = "https://api.anthropic.com"
PLACEHOLDER_KEY = "agentcache-no-key"
"""Sent where a server is named without credentials: the SDK sends nothing without any, a local server ignores it."""

_SECRET_CHARS = 12
"""A key of fewer characters is made up, for a server that wants none, and may be a word."""

_NO_CREDENTIALS = (
    "no ANTHROPIC_API_KEY is set; export one, point ANTHROPIC_BASE_URL at a Messages API server, or run with --emulate "
    "(in a program: agentcache.testing.emulated)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Exactly one of `api_key` and `auth_token`, and the server that they are for."""

    api_key: str | None
    auth_token: str | None
    base_url: str

    def __repr__(self) -> str:
        return f"Credentials(base_url={self.shown_url!r})"

    @property
    def shown_url(self) -> str:
        """The server as messages name it: a gateway's address may hold a password."""
        return shown_url(self.base_url)

    def hidden_in(self, text: str) -> str:
        """Return a text of the server's, which may tell us our own headers, without the key."""
        for secret in (self.api_key, self.auth_token):
            if secret is not None and len(secret) >= _SECRET_CHARS:
                text = text.replace(secret, "***")
        return text


def find_credentials(*, api_key: str | None = None, base_url: str | None = None) -> Credentials:
    """Return what to sign with and where to send.

    The key is `api_key`, else `ANTHROPIC_API_KEY`, else the token in `ANTHROPIC_AUTH_TOKEN`; the server is `base_url`,
    else `ANTHROPIC_BASE_URL`, else Claude's. An empty value counts as none.

    Raises `Unauthenticated` when there is neither key, token nor server, `SettingsError` for a base URL without one.
    """
    key = (api_key or os.environ.get("ANTHROPIC_API_KEY", "")).strip()
    token = "" if key else os.environ.get("ANTHROPIC_AUTH_TOKEN", "").strip()
    url = (base_url or os.environ.get("ANTHROPIC_BASE_URL", "")).strip()
    if not key and not token:
        if not url:
            raise Unauthenticated(_NO_CREDENTIALS, attempts=0)
        key = PLACEHOLDER_KEY
    if not (key + token).isascii() or not (key + token).isprintable():
        raise Unauthenticated("the API key holds characters that no HTTP header can carry; copy it again", attempts=0)
    return Credentials(api_key=key or None, auth_token=token or None, base_url=_checked(url or DEFAULT_BASE_URL))


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        named = parts.scheme in {"http", "https"} and parts.hostname is not None and (parts.port or 1) > 0
    except ValueError:
        named = False
    if not named:
        raise SettingsError(f"the base URL {shown_url(url)!r} names no server; write http://HOST:PORT or https://HOST")
    return url
