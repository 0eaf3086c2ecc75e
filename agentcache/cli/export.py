"""`agentcache export`: the ledger's rows as JSON lines."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from agentcache.cli.moments import moment
from agentcache.cli.report import refuse_absent
from agentcache.cli.settings import read_settings
from agentcache.errors import TargetError
from agentcache.stores.private_files import make_private


def export(
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only what began since then: 2026-11-22, 2026-11-22T08:30, 24h, 7d."),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Only this run and everything nested in it.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE, not stdout.")
    ] = None,
) -> None:
    """Print every run, call and tool call of the ledger, one JSON object a line with its `kind` first.

    All lines are from one state of the ledger. Text of prompts is in it only where the ledger keeps text.
    """
    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db)
    start = None if since is None else moment(since, now=time.time())
    refuse_absent(settings.db_url)
    with _opened(output) as file:
        asyncio.run(_export(settings.db_url, file, since=start, run=run))


async def _export(url: str | None, file: IO[str], *, since: float | None, run: str | None) -> None:
    # Start-up time: the database is not needed for `--help`.
    from agentcache.report.json_lines import row_line
    from agentcache.stores.opening import open_ledger
    from agentcache.stores.protocols import LedgerRow

    def take(row: LedgerRow) -> None:
        try:
            file.write(f"{row_line(row)}\n")
        except OSError as error:  # not the database's, which the ledger would take it for
            raise TargetError(f"the export cannot be written: {error.strerror or error}") from error

    ledger = await open_ledger(url)
    try:
        if run is not None and not await ledger.runs(run_id=run):
            raise TargetError(f"the ledger has no run {run!r}; `agentcache report --by run` lists their ids")
        await ledger.visit(take, run_id=run, since=since)
    finally:
        await ledger.close()


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[str]]:
    if path is None:
        yield sys.stdout
        return
    make_private(path)
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror}") from error
    with file:
        yield file
