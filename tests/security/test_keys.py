"""No key reaches what is kept, shown, logged or raised, and no password of an address does.

That no file and no printed line of the whole suite holds the key that its runtimes sign with, `tests/conftest.py` sees
to; here is what is kept elsewhere, and what attackers and accidents would make us quote.
"""

from __future__ import annotations

import logging
import sys
import traceback

import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from agentcache import CallError, Durable, McpServer, Runtime, SettingsError, StoreError, ToolServerUnavailable, tool
from agentcache.emulator.faults import Fault, ScheduledFaults
from agentcache.errors import ReplyMalformed
from agentcache.runtime.client import MessagesClient
from agentcache.runtime.credentials import find_credentials
from agentcache.shown_url import shown_url
from agentcache.stores.memo_opening import open_memo
from agentcache.stores.opening import open_ledger
from tests.canary import CANARY, Canary
from tests.durable.conftest import postgres_url  # noqa: F401
from tests.runtime.loopback import REQUEST, Answer, Listener, LoopbackApi, answering, refusing, streamed
from tests.workflow.conftest import agent, at_once, staged

SECRET = Canary("sk-ant-finch-3HsLw8RzPqKd")
"""Not the suite's, so that what quotes it in a failing test is no second failure."""


@tool
async def look_up(order: str) -> str:
    """Look an order up."""
    raise RuntimeError(f"no order {order}")


def told(error: BaseException) -> str:
    """Return everything that an error says, its causes and contexts too."""
    return "".join(traceback.format_exception(error)) + repr(error)


def calls_a_tool(request):
    last = request["messages"][-1]["content"][-1]
    return (
        "done" if last["type"] == "tool_result" else [{"type": "tool_use", "name": "look_up", "input": {"order": "1"}}]
    )


async def test_no_row_of_a_postgresql_ledger_and_of_durable_runs_beside_it_holds_the_key(postgres_url):  # noqa: F811
    faults = ScheduledFaults([Fault(kind="529")])
    durable = Durable(poll_s=0.02)
    async with staged(
        calls_a_tool, store=postgres_url, faults=faults, durable=durable, keep_text=True, sleep=at_once
    ) as on:
        await on.runtime.run(agent(tools=[look_up]), "where is it?", conversation="one")
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    try:
        tables = inspect(engine)
        names = [
            (schema, name) for schema in tables.get_schema_names() for name in tables.get_table_names(schema=schema)
        ]
        kept = [name for _, name in names]
        assert "calls" in kept
        assert "workflow_status" in kept
        with engine.connect() as connection:
            for schema, name in names:
                rows = connection.execute(text(f'SELECT t::text FROM "{schema}"."{name}" t')).scalars().all()
                assert not CANARY.is_in("\n".join(rows).encode()), name
    finally:
        engine.dispose()


def echoing(status: int) -> Answer:
    """A gateway that answers with the headers that it was sent, as some do to help."""
    page = f"denied. You sent: x-api-key: {SECRET.key}\r\nauthorization: Bearer {SECRET.key}"
    return Answer(status=status, headers={"content-type": "text/html"}, pieces=[page.encode()])


def echoing_in_the_stream() -> Answer:
    return streamed({"type": "error", "error": {"type": "invalid_request_error", "message": f"bad key {SECRET.key}"}})


@pytest.mark.parametrize(
    "answer",
    [echoing(401), echoing(400), refusing(403, message=f"bad key {SECRET.key}"), echoing_in_the_stream()],
)
async def test_a_server_that_answers_with_our_own_headers_is_not_quoted(answer):
    async with LoopbackApi(answer) as api, MessagesClient(api_key=SECRET.key, base_url=api.base_url) as client:
        with pytest.raises(CallError) as failed:
            await client.send(REQUEST, observer=Listener())
    assert not SECRET.is_in(told(failed.value).encode())
    assert "***" in str(failed.value)


async def test_a_redirect_takes_neither_key_nor_prompt_to_another_server():
    async with LoopbackApi(answering("stolen")) as elsewhere:
        answer = Answer(status=307, headers={"location": f"{elsewhere.base_url}/v1/messages"})
        async with LoopbackApi(answer) as api, MessagesClient(api_key=SECRET.key, base_url=api.base_url) as client:
            with pytest.raises(ReplyMalformed, match="set base_url to where it really is"):
                await client.send(REQUEST, observer=Listener())
    assert elsewhere.received == []


async def test_no_logger_is_told_the_key_however_much_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    async with LoopbackApi(refusing(400)) as api, MessagesClient(api_key=SECRET.key, base_url=api.base_url) as client:
        with pytest.raises(CallError):
            await client.send(REQUEST, observer=Listener())
    assert [record.name for record in caplog.records if record.name.startswith("httpx2")]
    assert not SECRET.is_in("\n".join(record.getMessage() for record in caplog.records).encode())


def test_what_holds_a_key_does_not_show_it():
    runtime = Runtime("memory:", api_key=SECRET.key, base_url=f"https://user:{SECRET.key}@gateway.example")
    servers = (
        McpServer.http("a", f"https://mcp.example/?token={SECRET.key}", headers={"authorization": SECRET.key}),
        McpServer.stdio("b", "server", "--key", SECRET.key, env={"KEY": SECRET.key}),
    )
    held = (
        runtime,
        MessagesClient(api_key=SECRET.key),
        find_credentials(api_key=SECRET.key, base_url=f"https://user:{SECRET.key}@gateway.example/v1?key={SECRET.key}"),
        Durable(url=f"postgresql://user:{SECRET.key}@host/db"),
        *servers,
        *(server.transport for server in servers),
        agent(toolsets=servers),
    )
    for each in held:
        assert not SECRET.is_in(f"{each!r} {each}".encode())


@pytest.mark.parametrize("url", ["http://{}@", "localhost://u:{}@h", "http://u:{}@h:port", "http://u:{}@/x"])
def test_a_base_url_that_is_none_is_told_of_without_its_password(url):
    with pytest.raises(SettingsError) as refused:
        find_credentials(api_key="k", base_url=url.format(SECRET.key))
    assert not SECRET.is_in(told(refused.value).encode())


async def test_a_gateway_that_is_not_there_is_told_of_without_its_password():
    url = f"http://user:{SECRET.key}@127.0.0.1:9"
    async with MessagesClient(api_key="k", base_url=url, max_attempts=1) as client:
        with pytest.raises(CallError) as failed:
            await client.send(REQUEST, observer=Listener())
    assert not SECRET.is_in(str(failed.value).encode())
    assert "http://***@127.0.0.1:9" in str(failed.value)


DATABASES = [
    "postgresql://user:{}@127.0.0.1:1/db",
    "postgresql://user@127.0.0.1:1/db?password={}",
    "postgresql://user:p/{}@127.0.0.1:1/db",
    "postgresql://user:{}",
    "mysql://user:{}@host/db",
    "postgresql://user:{}@host:port/db",
    "postgresql://user:{}@host",
    "sqlite:///x.db?key={}",
]


@pytest.mark.parametrize("url", DATABASES)
async def test_a_ledger_that_cannot_be_opened_is_told_of_without_its_password(url):
    with pytest.raises(StoreError) as failed:
        await open_ledger(url.format(SECRET.key))
    assert not SECRET.is_in(str(failed.value).encode())


@pytest.mark.parametrize(
    "url", ["redis://u:{}@127.0.0.1:1/0", "redis://:{}/x@127.0.0.1:1", "redis://u:{}@host:port", "mongo://u:{}@host/x"]
)
async def test_a_memo_that_cannot_be_used_is_told_of_without_its_password(url):
    with pytest.raises((SettingsError, StoreError)) as failed:  # noqa: PT012 - some URLs are refused when they are used
        store = open_memo(url.format(SECRET.key))
        try:
            await store.get("key")
        finally:
            await store.close()
    assert not SECRET.is_in(str(failed.value).encode())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@host:5432/db?password=x", "postgresql://***@host:5432/db"),
        ("https://host/v1?key=x#y", "https://host/v1"),
        ("https://u:p/w@q?@host/v1", "https://***@host/v1"),
        ("postgresql://user:pw", "postgresql://user:***"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://[::1]", "http://[::1]"),
        (".agentcache/ledger.db", ".agentcache/ledger.db"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, shown):
    assert shown_url(url) == shown


async def test_a_tool_server_that_cannot_be_reached_is_told_of_without_the_key_in_its_address():
    async with LoopbackApi(*[refusing(401)] * 8) as api:
        server = McpServer.http("boats", f"{api.base_url}/mcp?token={SECRET.key}", connect_timeout=5)
        async with staged([]) as on:
            with pytest.raises(ToolServerUnavailable) as failed:
                await on.runtime.run(agent(toolsets=[server]), "hello")
            kept = await on.runtime.ledger.runs()
    assert not SECRET.is_in(str(failed.value).encode())
    assert not SECRET.is_in(repr(kept).encode())


async def test_a_tool_server_s_process_is_given_no_key_of_ours(monkeypatch, tmp_path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET.key)
    monkeypatch.setenv("DATABASE_PASSWORD", SECRET.key)
    seen = tmp_path / "seen"
    program = f"import os, pathlib; pathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))"
    server = McpServer.stdio("boats", sys.executable, "-c", program, env={"GIVEN": "yes"}, connect_timeout=10)
    async with staged([]) as on:
        with pytest.raises(ToolServerUnavailable):
            await on.runtime.run(agent(toolsets=[server]), "hello")
    assert "GIVEN" in seen.read_text()
    assert not SECRET.is_in(seen.read_bytes())
