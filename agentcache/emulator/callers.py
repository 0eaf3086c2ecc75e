"""Whom a server on this machine answers: programs, and no page of another site in somebody's browser.

Any page may have its reader's browser ask 127.0.0.1. Such a request carries an `Origin` that is not the server's own.
A page whose own name was changed to point here (DNS rebinding) is of the same origin, but then its name stands in
`Host`; an address there, or a name that leads to this machine only, cannot have been changed. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address


def why_foreign(headers: Mapping[str, str], names: Collection[str]) -> str | None:
    """Return why a request is not answered, in words; `None` when it is.

    headers: by lower-case name. names: hosts beside addresses and `localhost` that are known to lead here, lower case.
    """
    host = headers.get("host")
    if host is not None and not _leads_here(host, names):
        return f"the Host {host[:100]!r} is not one of this server; name it with --allow-host if it is"
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in {f"http://{host}".lower(), f"https://{host}".lower()}:
        return f"pages of {origin[:100]!r} may not ask this server"
    return None


def _leads_here(authority: str, names: Collection[str]) -> bool:
    host = _host(authority.lower())
    return host == "localhost" or host.endswith(".localhost") or host in names or _is_address(host)


def _host(authority: str) -> str:
    """Return the host of `host:port` or `[address]:port`; of anything else what is none."""
    if authority.startswith("["):
        address, ends, _ = authority[1:].partition("]")
        return address if ends else ""
    return authority.partition(":")[0].removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
