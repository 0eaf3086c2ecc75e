"""`agentcache memo`: the kept results of tools, and what they saved."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from agentcache.accounting.tool_summary import ToolSummary, summarise_tools
from agentcache.cli.memo_tables import entries_json, entries_table, kept_json, kept_table
from agentcache.cli.moments import moment
from agentcache.cli.printing import console, hand_over_json, table_width
from agentcache.cli.report import refuse_absent
from agentcache.cli.saying import say
from agentcache.cli.settings import Settings, read_settings
from agentcache.errors import SettingsError, StoreError, TargetError
from agentcache.report.tool_tables import to_tool_table

if TYPE_CHECKING:
    from agentcache.stores.memo_entries import MemoStore, Selection

T = TypeVar("T")

memo = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

MemoUrl = Annotated[
    str | None,
    typer.Option("--memo-url", metavar="URL", help="Where results are kept: a path that ends in .db, or redis://HOST."),
]
Db = Annotated[str | None, typer.Option("--db", metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")]
Tool = Annotated[str | None, typer.Option("--tool", metavar="NAME", help="Only results of this tool.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Only results under it; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@memo.command()
def stats(
    db: Db = None,
    memo_url: MemoUrl = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only calls since then: 2026-11-22, 24h, 7d.")
    ] = None,
    json: Json = False,
) -> None:
    """Print what the memo saved, from the ledger, and what it keeps.

    Without a ledger, or without a memo that outlives its process, that half is left out.
    """
    settings = _settings(db_url=db, memo_url=memo_url)
    start, now = None if since is None else moment(since, now=time.time()), time.time()
    outlives = settings.memo_url not in _IN_PROCESS
    entries = _with_store(settings, lambda store: store.entries()) if outlives else None
    calls = None if outlives and db is None and not _is_there(settings.db_url) else _calls(settings.db_url, start)
    if json:
        kept = None if entries is None else kept_json(entries, now)
        hand_over_json({"calls": None if calls is None else calls.to_json(), "kept": kept})
        return
    if calls is not None:
        console().print(to_tool_table(calls, width=table_width()))
    if entries is not None:
        console().print(kept_table(entries, now))


@memo.command("list")
def list_(tool: Tool = None, tag: Tags = None, memo_url: MemoUrl = None, json: Json = False) -> None:
    """List kept results, oldest first."""
    entries = _with_store(_settings(memo_url=memo_url), lambda store: store.entries(_selection(tool, tag)))
    now = time.time()
    if json:
        hand_over_json({"entries": entries_json(entries, now)})
    else:
        console().print(entries_table(entries, now, width=table_width()), width=table_width())


@memo.command()
def clear(
    memo_url: MemoUrl = None, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Forget all kept results."""
    settings = _settings(memo_url=memo_url)
    if not yes and _on_a_terminal():
        kept = len(_with_store(settings, lambda store: store.entries()))
        typer.confirm(f"Forget {_results(kept)}?", abort=True, err=True)
    say(f"forgot {_results(_forgotten(settings, _selection(None, None)))}")


@memo.command()
def invalidate(tag: Tags = None, tool: Tool = None, memo_url: MemoUrl = None) -> None:
    """Forget the results under a tag (any of several), of a tool, or of a tool under a tag."""
    if not tag and tool is None:
        raise TargetError("say what to forget with --tag or --tool; `agentcache memo clear` forgets everything")
    say(f"forgot {_results(_forgotten(_settings(memo_url=memo_url), _selection(tool, tag)))}")


_IN_PROCESS = (None, "memory:")
"""What names a memo that goes with its process."""


def _on_a_terminal() -> bool:
    return sys.stdin.isatty()


def _settings(**arguments: str | None) -> Settings:
    return read_settings(environment=os.environ, folder=Path.cwd()).overridden(**arguments)


def _selection(tool: str | None, tags: list[str] | None) -> Selection:
    from agentcache.stores.memo_entries import Selection  # start-up time, as below

    return Selection(tool=tool, tags=tuple(tags) if tags else None)


def _forgotten(settings: Settings, which: Selection) -> int:
    async def removed(store: MemoStore) -> int:
        count, _ = await store.remove(which)
        return count

    return _with_store(settings, removed)


def _with_store(settings: Settings, ask: Callable[[MemoStore], Awaitable[T]]) -> T:
    """Return what `ask` answers of the store that the settings name."""
    # Start-up time: a store is not needed for `--help`.
    from agentcache.stores.memo_opening import open_memo

    url = settings.memo_url
    if url is None or url in _IN_PROCESS:
        raise SettingsError(
            "no memo is named that outlives its process; give --memo-url or AGENTCACHE_MEMO_URL: a path that ends in "
            ".db, or redis://HOST"
        )

    async def answer() -> T:
        store = open_memo(url)
        try:
            _refuse_absent_memo(url)
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(answer())


def _refuse_absent_memo(url: str) -> None:
    """Refuse a file that is not there: opening would make it, and an empty memo would look like one that forgot."""
    if url.startswith(("redis://", "rediss://", "unix://")):
        return
    # Start-up time, as above.
    from agentcache.stores.opening import normal_url

    path = Path(normal_url(url).database or "")
    if not path.is_file():
        raise StoreError(f"there is no memo at {path}; run something that keeps results there, or name another")


def _is_there(url: str | None) -> bool:
    try:
        refuse_absent(url)
    except StoreError:
        return False
    return True


def _calls(url: str | None, since: float | None) -> ToolSummary:
    # Start-up time, as above.
    from agentcache.stores.opening import open_ledger

    refuse_absent(url)

    async def answer() -> ToolSummary:
        ledger = await open_ledger(url)
        try:
            return summarise_tools(await ledger.tool_calls(since=since))
        finally:
            await ledger.close()

    return asyncio.run(answer())


def _results(number: int) -> str:
    return "1 result" if number == 1 else f"{number:,} results"
