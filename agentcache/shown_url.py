"""Addresses as messages show them: without what may be a secret. Pure."""

from __future__ import annotations


def shown_url(url: str) -> str:
    """Return an address without user, password, query and fragment; what is no URL, such as a path, as it is.

    A password that was not encoded may hold any mark, so that everything up to the last `@` is left out.
    """
    scheme, begins, rest = url.partition("://")
    if not begins:
        return url
    _, at, rest = rest.rpartition("@")
    rest = rest.partition("?")[0].partition("#")[0]
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.rpartition(":")
    if colon and not port.isdigit() and not authority.endswith("]"):  # `user:password`, and the host was forgotten
        authority = f"{host}:***"
    return f"{scheme}://{'***@' if at else ''}{authority}{slash}{path}"
