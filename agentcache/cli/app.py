"""The tree of commands, and the one place where an error becomes a sentence and an exit code.

Importing it must stay cheap, since `agentcache --help` does: the command modules import what they run when they run.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer
from typer.core import TyperGroup

from agentcache.cli.conversation import conversation
from agentcache.cli.emulator import emulator
from agentcache.cli.explain import explain
from agentcache.cli.export import export
from agentcache.cli.failures import TRACEBACK_SWITCH, exit_code, sentence
from agentcache.cli.importing import import_
from agentcache.cli.memo import memo
from agentcache.cli.models import models
from agentcache.cli.optional_script import OptionalScriptCommand
from agentcache.cli.prune import prune
from agentcache.cli.report import report
from agentcache.cli.run import run
from agentcache.cli.show import show
from agentcache.cli.simulate import simulate
from agentcache.cli.top import top
from agentcache.cli.warm import warm
from agentcache.cli.worker import worker
from agentcache.errors import AgentCacheError
from agentcache.version import __version__


class CommandGroup(TyperGroup):
    """Commands whose errors are spoken: one sentence on stderr, then the exit code that the error stands for."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer hands its own context class
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            if os.environ.get(TRACEBACK_SWITCH):
                raise
            hint = "" if isinstance(error, AgentCacheError) else f" ({TRACEBACK_SWITCH}=1 shows the traceback)"
            typer.echo(f"agentcache: {sentence(error)}{hint}", err=True)
            raise typer.Exit(exit_code(error)) from error


app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentcache {__version__}")
        raise typer.Exit


@app.callback()
def agentcache(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Teams of Claude agents with the prompt cache as a managed resource."""


app.command(cls=OptionalScriptCommand)(run)
app.command()(report)
app.command()(prune)
app.command()(export)
app.command(name="import")(import_)
app.command()(top)
app.command()(show)
app.command()(warm)
app.command()(models)
app.command()(simulate)
app.command()(explain)
app.command()(emulator)
app.command()(worker)
app.add_typer(conversation, name="conversation", help="List, read, fork, export, import and delete conversations.")
app.add_typer(memo, name="memo", help="List and forget kept results of tools, and tell what they saved.")
