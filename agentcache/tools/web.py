"""HTTP GET as a tool, for the hosts that the author names: what is declared, and how an answer reads.

The connection is made in `fetching.py`; which addresses are fit for it is decided in `addresses.py`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from agentcache.errors import SettingsError, ToolFailed
from agentcache.prompt.canonical import canonical_json, digest
from agentcache.runtime.durations import Duration, seconds
from agentcache.runtime.tools import Tool, tool
from agentcache.tools.addresses import Resolve, allowed_hosts

MAX_BYTES = 2_000_000
PAGE_CHARS = 40_000
MAX_URL_CHARS = 2_000
_VERSION = "1"
"""Changed with the wording of answers, so that a kept answer of the old wording is not given out."""


def http_get(
    allow: Iterable[str],
    *,
    allow_http: bool = False,
    allow_private: bool = False,
    timeout: Duration = "20s",
    max_bytes: int = MAX_BYTES,
    ttl: Duration | None = None,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> Tool:
    """Return the tool `http_get`, which reads text from the hosts in `allow` and from no other.

    allow: `example.com`, `*.example.com` (not `example.com` itself); with `:port` for another port than the scheme's.
    allow_http: whether `http://` may be asked too. Default: `https://` only.
    allow_private: whether a host may be on this machine or in a private network. Default: not, whatever its name.
    timeout: for one call, redirects included. max_bytes: of a body, decompressed; what follows is never read.
    ttl: how long an answer may be kept and given out again. Default: not at all, the web changes.
    resolve: looks addresses up in place of the system.
    tls: knows which certificates to trust, such as a company's own, in place of the usual ones.

    Raises `SettingsError` for an entry that is no host.
    """
    # Start-up time: loads the HTTP client, which agents without this tool do not need.
    from agentcache.tools.fetching import Fetching

    hosts = allowed_hosts(allow)
    if max_bytes < 1:
        raise SettingsError(f"max_bytes is {max_bytes}; a body that can be read has at least 1")
    fetching = Fetching(
        hosts=hosts,
        allow_http=allow_http,
        allow_private=allow_private,
        timeout_s=seconds(timeout),
        max_bytes=max_bytes,
        resolve=resolve,
        tls=tls,
    )

    async def http_get(
        url: Annotated[
            str, Field(max_length=MAX_URL_CHARS, description="The whole URL, such as https://host/path?a=b.")
        ],
        offset: Annotated[int, Field(ge=0, description="How many characters to skip; a page names the next.")] = 0,
    ) -> str:
        """Get text, JSON or HTML from a web address. Only some hosts can be asked; long texts come in pages."""
        page = await fetching.get(url)
        total = len(page.text)
        if offset and offset >= total:
            raise ToolFailed(f"{page.url} has {total} characters; offset={offset} is behind its end")
        shown = page.text[offset : offset + PAGE_CHARS]
        end = offset + len(shown)
        more = f" Left: {total - end}; next page: offset={end}." if end < total else ""
        cut = f" The body is longer than {max_bytes} bytes; the rest cannot be read." if page.is_cut else ""
        header = f"{page.url} ({page.content_type}), characters {offset + 1}-{end} of {total}.{more}{cut}"
        return f"{header}\n{shown}" if total else f"{page.url} ({page.content_type}) is empty.{cut}"

    if ttl is None:
        return tool(http_get)
    settings = [_VERSION, sorted(map(str, hosts)), allow_http, allow_private, max_bytes]
    return tool(http_get, deterministic=True, ttl=ttl, version=digest(canonical_json(settings)))
