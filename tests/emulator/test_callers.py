"""Whom the emulator answers: programs on this machine, and no page in a browser; and for how long it waits for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.emulator import http_app, server
from agentcache.emulator.callers import why_foreign
from agentcache.emulator.server import Emulator, serve


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1:8080"},
        {"host": "localhost"},
        {"host": "LOCALHOST:1"},
        {"host": "[::1]:8080"},
        {"host": "192.168.1.4"},
        {"host": "claude.localhost:80"},
        {"host": "emulator:8080"},
        {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080"},
    ],
)
def test_a_program_is_answered(headers):
    assert why_foreign(headers, {"emulator"}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8080"},  # its name was changed to lead here
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "localhost@evil.example"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "127.0.0.1:8080", "origin": "https://evil.example"},
        {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:9999"},
        {"host": "127.0.0.1:8080", "origin": "null"},
        {"host": "127.0.0.1:8080", "origin": ""},
        {"origin": "http://127.0.0.1"},
    ],
)
def test_a_page_of_another_site_is_not(headers):
    assert why_foreign(headers, {"emulator"}) is not None


@given(st.text(st.characters(codec="latin-1")))
def test_whatever_a_host_says_it_is_judged(host):
    why = why_foreign({"host": host}, ())
    assert why is None or "is not one of this server" in why


@asynccontextmanager
async def connected(emulator: Emulator) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = emulator.base_url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with closing(writer):
        yield reader, writer


async def said(emulator: Emulator, request: bytes) -> bytes:
    """Return all that the server says to these bytes until it ends the connection."""
    async with connected(emulator) as (reader, writer):
        writer.write(request)
        return await rest_of(reader)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    with suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(), 30)
    return b""


@pytest.mark.parametrize("path", ["/v1/messages", "/emulator/reset", "/emulator/statement", "/nothing"])
@pytest.mark.parametrize("header", ["Host: evil.example", "Host: localhost\r\nOrigin: https://evil.example"])
async def test_a_refused_page_changes_nothing_and_its_connection_ends(path, header):
    async with serve() as emulator:
        answer = await said(emulator, f"POST {path} HTTP/1.1\r\n{header}\r\nContent-Length: 1000\r\n\r\n".encode())
        assert emulator.requests == []
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert b"access-control-allow-origin" not in head.lower()
    assert json.loads(body)["error"]["type"] == "permission_error"


async def test_a_name_that_leads_here_can_be_allowed():
    request = b"GET /emulator/statement HTTP/1.1\r\nHost: Claude:80\r\nConnection: close\r\n\r\n"
    async with serve() as emulator:
        assert b" 403 " in await said(emulator, request)
    async with serve(allow_hosts=["claude"]) as emulator:
        assert b" 200 " in await said(emulator, request)


@pytest.mark.parametrize("begun", [b"", b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_a_head_that_never_ends_is_not_waited_for(monkeypatch, begun):
    monkeypatch.setattr(server, "HEAD_S", 0.05)
    async with serve() as emulator:
        assert await said(emulator, begun) == b""


async def test_a_second_head_on_one_connection_is_not_waited_for_either(monkeypatch):
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    request = b"GET /emulator/statement HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serve() as emulator, connected(emulator) as (reader, writer):
        writer.write(request)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(request[:20])
        assert b"HTTP/1.1" not in await rest_of(reader)  # which waits for the end of the connection


async def test_a_body_that_never_ends_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(http_app, "BODY_S", 0.05)
    async with serve() as emulator:
        answer = await said(emulator, b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
    assert b" 408 " in answer
    assert b"did not come within" in answer


async def test_a_head_that_is_too_long_is_refused():
    async with serve() as emulator:
        endless = await said(emulator, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 500_000)
        after = await said(emulator, b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert endless == b"" or b" 400 Bad Request" in endless  # a reset may outrun the answer
    assert b" 401 " in after
