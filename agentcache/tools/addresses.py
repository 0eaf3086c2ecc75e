"""Which hosts a tool may ask, and which of their addresses it may connect to. Pure: nothing is resolved here."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from agentcache.errors import SettingsError

_ENTRY = re.compile(r"(?P<host>(?:\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")

# Python's `is_global` follows IANA's registries of special addresses. What it lets through and a server on the public
# internet does not have: relays that carry an IPv4 address inside (6to4, Teredo), and documentation (RFC 9637).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = (IPv6Network("2001::/23"), IPv6Network("2002::/16"), IPv6Network("3fff::/20"))
_NOT_PUBLIC_V4 = (IPv4Network("192.88.99.0/24"), IPv4Network("192.0.0.0/24"))

# What `allow_private` adds. Link-local addresses and those in carrier-grade NAT stay out, since clouds answer there
# with the credentials of the machine; so does the block in which AWS does the same over IPv6.
_PRIVATE_V4 = tuple(IPv4Network(net) for net in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_NEVER_V6 = IPv6Network("fd00:ec2::/32")

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Takes a host and a port and returns its addresses, the preferred ones first; raises `OSError` when it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedHost:
    """An entry of an allow-list: a host, or with `below` every host under it; `port` `None` is the scheme's own."""

    host: str
    below: bool
    port: int | None

    def covers(self, host: str, port: int, *, default: int) -> bool:
        """Tell whether a URL's host (lower case) and port are meant; `default` is the port of its scheme."""
        fits = host.endswith(f".{self.host}") if self.below else host == self.host
        return fits and port == (default if self.port is None else self.port)


def allowed_hosts(entries: Iterable[str]) -> tuple[AllowedHost, ...]:
    """Return an allow-list. Each entry is `example.com`, `*.example.com` (not `example.com` itself), or has a `:port`.

    Raises `SettingsError` for an empty list, a URL, or a name that is not written in ASCII.
    """
    if isinstance(entries, str):
        raise SettingsError(f"allow is the text {entries!r}; write allow=[{entries!r}]")
    hosts = tuple(_allowed_host(entry) for entry in entries)
    if not hosts:
        raise SettingsError("allow is empty, so that every request would be refused; name the hosts")
    return hosts


def _allowed_host(entry: str) -> AllowedHost:
    found = _ENTRY.fullmatch(entry.lower().removesuffix("."))
    if found is None:
        raise SettingsError(
            f"allow: {entry!r} is no host; write 'example.com', '*.example.com' or 'example.com:8443', "
            "a name in other letters by its xn-- form"
        )
    host = found["host"].strip("[]")
    port = None if found["port"] is None else int(found["port"])
    return AllowedHost(host=host.removeprefix("*."), below=host.startswith("*."), port=port)


def may_connect(address: str, *, allow_private: bool) -> bool:
    """Tell whether an IP address, as a resolver gives it, is one of the public internet (or private, where allowed)."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return _is_public_v4(ip) or (allow_private and any(ip in net for net in _PRIVATE_V4))
    return _is_public_v6(ip) or (allow_private and ip not in _NEVER_V6 and any(ip in net for net in _PRIVATE_V6))


def _is_public_v4(ip: IPv4Address) -> bool:
    special = ip.is_multicast or ip.is_reserved or any(ip in net for net in _NOT_PUBLIC_V4)
    return ip.is_global and not special


def _is_public_v6(ip: IPv6Address) -> bool:
    if ip.scope_id is not None or any(ip in net for net in _NOT_PUBLIC_V6):
        return False
    return ip.is_global and ip in _GLOBAL_UNICAST
