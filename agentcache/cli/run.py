"""`agentcache run`: run an agent or a workflow."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic_core import PydanticSerializationError

from agentcache.cli.approving import Approving, approver_for
from agentcache.cli.arguments import pairs
from agentcache.cli.failures import sentence
from agentcache.cli.printing import as_json, console, hand_over_json, table_width
from agentcache.cli.saying import hand_over, say
from agentcache.cli.settings import read_settings
from agentcache.errors import RunError
from agentcache.report.tables import to_table

if TYPE_CHECKING:
    from agentcache.cli.running import Order, Performed

_STDIN = 0
INTERRUPTED = 130
"""What a shell expects of a command that Ctrl-C ended."""


def run(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="module:name or file.py:name of an Agent or a workflow.")
    ],
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT", help="The agent's input, or the workflow's arguments.")
    ] = None,
    emulate: Annotated[
        str | None,
        typer.Option(
            metavar="[SCRIPT]",
            help="Answer from a script on a loopback emulator instead of Claude: from SCRIPT (module:name or "
            "file.py:name), else from the module's `emulated_replies`, else with an echo. What follows is taken as "
            "SCRIPT only if it has that form; --emulate=SCRIPT and --emulate= leave no doubt.",
        ),
    ] = None,
    db: Annotated[
        str | None, typer.Option(metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")
    ] = None,
    session: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A session variable; may be repeated.")
    ] = None,
    turn: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A turn variable; may be repeated.")] = None,
    conversation: Annotated[str | None, typer.Option(metavar="ID", help="Continue this conversation.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object: output, run_id, report.")] = False,
    max_usd: Annotated[Decimal | None, typer.Option(metavar="USD", help="Stop before spending more than this.")] = None,
    record_requests: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append each call to this request log.")
    ] = None,
    keep_text: Annotated[
        bool | None, typer.Option(help="Keep requests, replies and conversations in the ledger.")
    ] = None,
    durable_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Run durably under this id: the same command again goes on where the run stopped."
        ),
    ] = None,
    spread: Annotated[
        bool, typer.Option("--spread", help="With --durable-id: hand the items of maps to `agentcache worker`.")
    ] = False,
    approve: Annotated[
        Approving,
        typer.Option(
            help="Who decides about tool calls that wait for approval: you, on this terminal, or all or none."
        ),
    ] = Approving.ASK,
) -> None:
    """Run an agent or a workflow.

    Prints its result, then what each agent used and cost.
    """
    # Start-up time: the runtime, its templates and its database are not needed for `--help`.
    from agentcache.cli.running import order

    settings = read_settings(environment=os.environ, folder=Path.cwd()).overridden(
        db_url=db, max_usd=max_usd, record_requests=record_requests, keep_text=keep_text
    )
    what = order(
        target,
        inputs or [],
        session=pairs(session or [], "--session"),
        turn=pairs(turn or [], "--turn"),
        conversation=conversation,
        emulate=emulate,
        settings=settings,
        durable_id=durable_id,
        spread=spread,
        approver=approver_for(
            approve,
            interactive=sys.stdin.isatty(),
            show=partial(say, lines=True, nl=False, err=True),
            stdin=_STDIN,
        ),
    )
    performed = _perform(what)
    if json_:
        performed = _with_json_form(performed)
    _print(performed, as_object=json_)
    if performed.cancelled:
        raise typer.Exit(INTERRUPTED)
    if performed.error is not None:
        raise performed.error


def _perform(what: Order) -> Performed:
    # Start-up time, as above.
    from agentcache.cli.progress import Tally, progress
    from agentcache.cli.running import perform

    stderr, tally = console(stderr=True), Tally()
    if what.answered_by is not None:
        stderr.print(f"Not Claude: {what.answered_by} answers, on a loopback emulator.", soft_wrap=True)
    with progress(stderr, tally) as emit:
        return asyncio.run(perform(what, emit, tally))


def _print(performed: Performed, *, as_object: bool) -> None:
    table = to_table(performed.report, width=table_width())
    if as_object:
        hand_over_json(_as_object(performed))
        console(stderr=True).print(table)
        return
    if performed.output is not None:
        hand_over(f"{_as_text(performed.output)}\n\n", prose=True)
    console().print(table)


def _as_text(output: object) -> str:
    if isinstance(output, str):
        return output
    try:
        return as_json(output)
    except PydanticSerializationError:
        return str(output)


def _with_json_form(performed: Performed) -> Performed:
    """Make a result that JSON cannot express the error that it is for `--json`."""
    try:
        as_json(performed.output)
    except PydanticSerializationError:
        kind = type(performed.output).__name__
        error = RunError(f"the result is of type {kind}, which has no JSON form; return text, plain data or a model")
        return replace(performed, output=None, error=error)
    return performed


def _as_object(performed: Performed) -> dict[str, object]:
    body = {"output": performed.output, "run_id": performed.run_id, "report": performed.report.to_json()}
    if performed.cancelled:
        body["error"] = "cancelled"
    elif performed.error is not None:
        body["error"] = sentence(performed.error)
    return body
