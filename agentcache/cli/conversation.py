"""`agentcache conversation`: the histories that the ledger keeps."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from agentcache.cli.printing import Format, console, hand_over_json, write_file
from agentcache.cli.report import refuse_absent
from agentcache.cli.saying import hand_over, say
from agentcache.cli.settings import read_settings
from agentcache.errors import TargetError
from agentcache.stores.private_files import make_private

if TYPE_CHECKING:
    from agentcache.runtime.conversations import Conversations

T = TypeVar("T")

conversation = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Db = Annotated[str | None, typer.Option("--db", metavar="URL", help="The ledger's database. [.agentcache/ledger.db]")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The conversation.")]
ToFile = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE, not stdout.")]


@conversation.command("list")
def list_(
    db: Db = None, format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE
) -> None:
    """List the conversations of a ledger."""
    found = _with_conversations(db, lambda kept: kept.all())
    if format_ is Format.JSON:
        hand_over_json({"conversations": found})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("conversation", "agent", "messages", "version", "head"):
        table.add_column(heading, justify="right" if heading in {"messages", "version"} else "left")
    for one in found:
        names = (one.conversation_id, one.agent)
        table.add_row(*names, f"{one.messages:,}", f"{one.version:,}", one.head)
    console().print(table)


@conversation.command()
def show(
    conversation_id: Id,
    head: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="An earlier history of it; --earlier lists them.")
    ] = None,
    earlier: Annotated[bool, typer.Option("--earlier", help="List what it was before it was rewritten.")] = False,
    db: Db = None,
) -> None:
    """Print a conversation's messages as JSON."""
    if earlier:
        histories = _with_conversations(db, lambda kept: kept.earlier(conversation_id))
        hand_over_json({"earlier": histories})
        return
    messages = _with_conversations(db, lambda kept: kept.messages(conversation_id, head=head))
    hand_over_json({"id": conversation_id, "messages": messages})


@conversation.command()
def export(conversation_id: Id, output: ToFile = None, db: Db = None) -> None:
    """Print a conversation as JSON lines that `import` reads."""
    text = _with_conversations(db, lambda kept: kept.export(conversation_id))
    if output is None:
        hand_over(text)
    else:
        make_private(output)
        write_file(output, text)


@conversation.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` wrote.")],
    as_: Annotated[str | None, typer.Option("--as", metavar="ID", help="Keep it under this id, not its own.")] = None,
    db: Db = None,
) -> None:
    """Keep an exported conversation in a ledger, which is made where there is none."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # not at other line ends, which messages may hold
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"{file} cannot be read: {error}") from error
    begun = _with_conversations(db, lambda kept: kept.import_lines(lines, conversation_id=as_), may_be_new=True)
    say(f"conversation {begun.conversation_id}: {begun.messages} messages")


@conversation.command()
def fork(
    conversation_id: Id,
    new_id: Annotated[str, typer.Argument(metavar="NEW", help="The conversation to begin.")],
    at: Annotated[int | None, typer.Option(metavar="N", min=0, help="Begin with the first N messages. [all]")] = None,
    db: Db = None,
) -> None:
    """Begin a conversation with what another one holds."""
    begun = _with_conversations(db, lambda kept: kept.fork(conversation_id, new_id, at=at))
    say(f"conversation {begun.conversation_id}: {begun.messages} messages")


@conversation.command()
def delete(conversation_id: Id, db: Db = None) -> None:
    """Forget a conversation."""
    _with_conversations(db, lambda kept: kept.delete(conversation_id))


def _with_conversations(db: str | None, ask: Callable[[Conversations], Awaitable[T]], *, may_be_new: bool = False) -> T:
    """Return what `ask` answers of the ledger's conversations."""
    # Start-up time: the database and the prompt layout are not needed for `--help`.
    from agentcache.runtime.conversations import Conversations
    from agentcache.stores.opening import open_ledger

    url = read_settings(environment=os.environ, folder=Path.cwd()).overridden(db_url=db).db_url
    if not may_be_new:
        refuse_absent(url)

    async def answer() -> T:
        ledger = await open_ledger(url)
        try:
            return await ask(Conversations(ledger))
        finally:
            await ledger.close()

    return asyncio.run(answer())
