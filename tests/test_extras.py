"""What is said where an extra is not installed: one sentence that names the package and the extra."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
import time
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentcache import Agent, AgentCacheError, Durable, McpServer, Prompt, Runtime
from agentcache.prompt.exact_tokens import ExactTokens
from agentcache.report.drawing import Bars, draw
from agentcache.runtime.open_toolsets import OpenToolsets
from agentcache.stores.memo_opening import open_memo
from agentcache.stores.opening import open_ledger

ROOT = Path(__file__).parents[1]


async def durable_run() -> None:
    async with Runtime(api_key="none", store="memory:", durable=Durable()):
        pass


async def exact_count() -> None:
    ExactTokens()


async def chart() -> None:
    draw(Bars(label="Calls.", bars=(), series=(), pieces=[], axis="calls"), 100)


async def tools_of_a_server() -> None:
    office = McpServer.stdio("office", "office")
    desk = Agent(name="desk", model="claude-sonnet-5-5", prompt=Prompt(static="Be brief."), toolsets=[office])
    await OpenToolsets(clock=time.time, sleep=asyncio.sleep).fresh(desk)


async def spans() -> None:
    importlib.import_module("agentcache.report.otel")


async def ledger_in_postgresql() -> None:
    await open_ledger("postgresql://127.0.0.1:1/absent")


async def memo_in_redis() -> None:
    open_memo("redis://127.0.0.1:1")


MODULES_OVER_EXTRAS = {
    "agentcache.report.otel",
    "agentcache.runtime.mcp_servers",
    "agentcache.stores.redis",
    "agentcache.workflow.durable",
    "agentcache.workflow.durable_database",
}
"""Modules of ours that import an extra's package at their top: those imported by another test would not look again."""

USES: dict[str, tuple[str, Callable[[], Awaitable[None]]]] = {
    "durable": ("dbos", durable_run),
    "exact": ("ctok", exact_count),
    "html": ("vl_convert", chart),
    "mcp": ("mcp", tools_of_a_server),
    "otel": ("opentelemetry", spans),
    "postgres": ("asyncpg", ledger_in_postgresql),
    "redis": ("redis", memo_in_redis),
}


@pytest.mark.parametrize("extra", USES)
async def test_without_an_extra_one_sentence_names_it(extra: str, monkeypatch: pytest.MonkeyPatch):
    package, use = USES[extra]
    monkeypatch.setitem(sys.modules, package, None)
    for module in MODULES_OVER_EXTRAS & sys.modules.keys():
        monkeypatch.delitem(sys.modules, module)

    with pytest.raises((AgentCacheError, ModuleNotFoundError)) as told:
        await use()

    assert re.search(rf"the package \S+[:;] .*pip install 'agentcache-claude\[{extra}\]'", str(told.value))


def test_every_extra_is_tried():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert USES.keys() == extras.keys() - {"dev"}
