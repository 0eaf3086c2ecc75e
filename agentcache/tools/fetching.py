"""Fetches text by HTTP GET such that a name cannot lead to an address that was not checked.

A host is resolved once; its addresses are checked, and the connection is made to a checked address, while TLS still
verifies the name. Redirects are followed by hand through the same checks. There are no cookies, no credentials and no
proxies, and of the answer only its type and its body are looked at, each within bounds.
"""

from __future__ import annotations

import asyncio
import codecs
import socket
import ssl
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx2

from agentcache.errors import ToolFailed
from agentcache.tools.addresses import AllowedHost, Resolve, may_connect
from agentcache.version import __version__

MAX_REDIRECTS = 5
MAX_ADDRESSES = 3
"""How many addresses of a host are tried."""
MAX_GZIP_PARTS = 1_000
CONNECT_S = 5.0
"""For the connection to one address, so that there is time left for the next one."""
_PORTS = {"http": 80, "https": 443}

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEXT_TYPES = frozenset({
    "application/ecmascript", "application/javascript", "application/json", "application/toml", "application/x-ndjson",
    "application/x-yaml", "application/xml", "application/yaml",
})  # fmt: skip
# Python knows codecs that take quadratic time or are no encoding of text; these are those that pages are written in.
_CHARSETS = frozenset({
    "ascii", "big5", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk",
    "iso8859-1", "iso8859-15", "iso8859-2", "iso8859-5", "iso8859-9", "koi8-r", "koi8-u", "shift_jis", "utf-16",
    "utf-16-be", "utf-16-le", "utf-8", "utf-8-sig",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a URL, after all redirects, answered. `is_cut`: its body went on beyond the bound."""

    url: str
    content_type: str
    text: str
    is_cut: bool


@dataclass(slots=True, kw_only=True)
class Fetching:
    """Gets pages under one set of rules. May be shared by calls that overlap."""

    hosts: tuple[AllowedHost, ...]
    allow_http: bool
    allow_private: bool
    timeout_s: float
    max_bytes: int
    resolve: Resolve | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    async def get(self, url: str) -> Page:
        """Return what a URL answers; raises `ToolFailed`, in words for the model, for whatever goes wrong."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._follow(self._checked(_parsed(url)))
        except TimeoutError as error:
            raise ToolFailed(f"{_shown(url)} gave no whole answer within {self.timeout_s:g} seconds") from error

    async def _follow(self, url: httpx2.URL) -> Page:
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._answer(url)
            if isinstance(found, Page):
                return found
            url = self._checked(found)
        raise ToolFailed(f"{_shown(str(url))}: more than {MAX_REDIRECTS} redirects")

    def _checked(self, url: httpx2.URL) -> httpx2.URL:
        """Return a URL that may be asked, without its fragment."""
        shown = _shown(str(url.copy_with(userinfo=b"")))
        if url.scheme not in ({"http", "https"} if self.allow_http else {"https"}):
            raise ToolFailed(f"{shown} is refused: only {'http and ' if self.allow_http else ''}https can be asked")
        if url.userinfo:
            raise ToolFailed(f"{shown} is refused: it carries a user name or password")
        host, default = _host(url), _PORTS[url.scheme]
        if not any(allowed.covers(host, url.port or default, default=default) for allowed in self.hosts):
            raise ToolFailed(f"{shown} is refused: the host {_authority(host, url)!r} is not one that may be asked")
        return url.copy_with(fragment=None)

    async def _addresses(self, url: httpx2.URL) -> list[str]:
        host, port = _host(url), url.port or _PORTS[url.scheme]
        try:
            found = await (self.resolve or _system_resolve)(host, port)
        except (OSError, UnicodeError) as error:
            raise ToolFailed(f"the host {host!r} has no address") from error
        fit = [address for address in found if may_connect(address, allow_private=self.allow_private)]
        if not fit:
            raise ToolFailed(f"the host {host!r} is refused: it has no address on the public internet")
        return fit[:MAX_ADDRESSES]

    async def _answer(self, url: httpx2.URL) -> Page | httpx2.URL:
        """Ask a checked URL at its checked addresses and return what it answers: a page, or where to go on."""
        addresses = await self._addresses(url)
        async with httpx2.AsyncHTTPTransport(verify=self._context(), trust_env=False) as transport:
            for address in addresses:
                try:
                    return await self._read(url, await transport.handle_async_request(_request(url, address)))
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                    failed = error
                except httpx2.HTTPError as error:
                    raise ToolFailed(f"{_shown(str(url))}: the answer broke off ({type(error).__name__})") from error
        raise ToolFailed(f"{_shown(str(url))}: no connection, or none that proves to be the host") from failed

    async def _read(self, url: httpx2.URL, response: httpx2.Response) -> Page | httpx2.URL:
        try:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return _joined(url, response.headers["location"])
            if response.status_code != HTTPStatus.OK:
                raise ToolFailed(f"{_shown(str(url))}: the server answered {_status(response.status_code)}")
            kind, charset = _content_type(response.headers.get("content-type", ""))
            if not _is_text(kind):
                raise ToolFailed(f"{_shown(str(url))} is {kind}; only text, JSON, XML and HTML can be read")
            body, is_cut = await self._body(url, response)
        finally:
            await response.aclose()
        return Page(url=str(url), content_type=kind, text=_text(body, charset), is_cut=is_cut)

    async def _body(self, url: httpx2.URL, response: httpx2.Response) -> tuple[bytes, bool]:
        """Return at most `max_bytes` of a body, and whether there is more; no more than that is ever unpacked."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip", "x-gzip", ""}:
            raise ToolFailed(f"{_shown(str(url))} is packed as {encoding[:40]!r}, which was not asked for")
        unpacking = None if encoding in {"identity", ""} else _Gunzip()
        body, received = bytearray(), 0
        try:
            async for chunk in response.aiter_raw():
                received += len(chunk)
                room = self.max_bytes + 1 - len(body)
                body += chunk[:room] if unpacking is None else unpacking.unpacked(chunk, room)
                if len(body) > self.max_bytes or received > self.max_bytes:  # packed data may unpack to nothing
                    return bytes(body[: self.max_bytes]), True
        except zlib.error as error:
            raise ToolFailed(f"{_shown(str(url))} is not packed as gzip, as it says") from error
        if unpacking is not None and received and not unpacking.is_whole:
            raise ToolFailed(f"{_shown(str(url))}: the answer broke off (gzip)")
        return bytes(body), False

    def _context(self) -> ssl.SSLContext:
        if self.tls is None:
            self.tls = httpx2.create_ssl_context(trust_env=False)  # reads the certificates, which takes 20 ms
        return self.tls


class _Gunzip:
    """Unpacks gzip chunk by chunk, never more than there is room for."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._parts = 1

    @property
    def is_whole(self) -> bool:
        """Whether what came so far ends where packed data may end."""
        return self._stream.eof

    def unpacked(self, chunk: bytes, room: int) -> bytes:
        """Return what a chunk unpacks to, `room` bytes of it at most; `room` is at least 1."""
        body = b""
        while chunk and len(body) < room:
            if self._stream.eof:  # gzip may be made of several parts
                self._begin_part()
            body += self._stream.decompress(chunk, room - len(body))
            chunk = self._stream.unused_data
        return body

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_GZIP_PARTS:  # each copies what is left of a chunk, so many empty ones would take long
            raise zlib.error("too many parts")
        self._stream = zlib.decompressobj(wbits=31)


async def _system_resolve(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _parsed(url: str) -> httpx2.URL:
    try:
        return httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ToolFailed(f"{_shown(url)} is no URL") from error


def _joined(url: httpx2.URL, location: str) -> httpx2.URL:
    try:
        return url.join(location)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ToolFailed(f"{_shown(str(url))} redirects to what is no URL") from error


def _request(url: httpx2.URL, address: str) -> httpx2.Request:
    """Return the request to one address of the host; the name goes into the `Host` header and into TLS."""
    host = _host(url)
    headers = {
        "Host": _authority(host, url),
        "Accept": "text/*, application/json, application/xml;q=0.9",
        "Accept-Encoding": "gzip",
        "User-Agent": f"agentcache/{__version__}",
    }
    extensions = {"sni_hostname": host, "timeout": {"connect": CONNECT_S}}
    return httpx2.Request("GET", url.copy_with(host=address), headers=headers, extensions=extensions)


def _host(url: httpx2.URL) -> str:
    return url.raw_host.decode("ascii").lower().removesuffix(".")


def _authority(host: str, url: httpx2.URL) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if url.port is None else f"{name}:{url.port}"


def _content_type(header: str) -> tuple[str, str]:
    kind, _, rest = header.partition(";")
    charset = rest.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    return kind.strip().lower()[:100] or "text/plain", charset


def _is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))


def _text(body: bytes, charset: str) -> str:
    try:
        known = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        known = "utf-8"
    text = body.decode(known if known in _CHARSETS else "utf-8", errors="replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _shown(url: str) -> str:
    return url if len(url) <= 200 else f"{url[:200]}..."
