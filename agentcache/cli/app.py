"""The tree of commands, and the one place where an error becomes a sentence and an exit code.

Importing it must stay cheap, since every command and `agentcache --help` do: a command's module is imported when the
command is invoked. What the help says of each stands here; a test holds it against what the command says itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from agentcache.cli.optional_script import OptionalScriptCommand
from agentcache.cli.quick_command import QuickCommand, read_plainly
from agentcache.cli.saying import say
from agentcache.errors import AgentCacheError
from agentcache.version import __version__

if TYPE_CHECKING:
    from typer.models import Context


@dataclass(frozen=True, slots=True)
class Deferred:
    """A command whose module is imported when it is invoked.

    place: `module:name` of the function, or of the `Typer` of a command that has commands of its own. help: the first
    paragraph of its help, which the list of commands shows.
    """

    place: str
    help: str
    cls: type[TyperCommand] = TyperCommand

    def loaded(self, name: str) -> TyperCommand | TyperGroup:
        """Return the command itself."""
        module, _, attribute = self.place.partition(":")
        found: object = getattr(import_module(module), attribute)
        parent = typer.Typer(add_completion=False, rich_markup_mode=None)
        parent.callback()(lambda: None)  # so that it is a group even with a single command
        if isinstance(found, typer.Typer):
            parent.add_typer(found, name=name, help=self.help)
        else:
            assert callable(found)
            parent.command(name=name, cls=self.cls)(found)
        group = typer.main.get_command(parent)
        assert isinstance(group, TyperGroup)
        command = group.commands[name]
        assert isinstance(command, TyperCommand | TyperGroup)
        return command


COMMANDS: Mapping[str, Deferred] = MappingProxyType(
    {
        "run": Deferred("agentcache.cli.run:run", "Run an agent or a workflow.", OptionalScriptCommand),
        "report": Deferred(
            "agentcache.cli.report:report",
            "Sum the ledger up per agent, run, model, day (UTC), layer of the prompts, or tool.",
            QuickCommand,
        ),
        "prune": Deferred(
            "agentcache.cli.prune:prune",
            "Remove old runs with their calls and tool calls, and messages that no conversation needs.",
        ),
        "export": Deferred(
            "agentcache.cli.export:export",
            "Print every run, call and tool call of the ledger, one JSON object a line with its `kind` first.",
        ),
        "import": Deferred(
            "agentcache.cli.importing:import_", "Read request logs, Claude Code sessions and traces into the ledger."
        ),
        "top": Deferred("agentcache.cli.top:top", "Show runs under way: calls, tokens, dollars, as they come."),
        "show": Deferred("agentcache.cli.show:show", "Show an agent's layout and breakpoints."),
        "warm": Deferred("agentcache.cli.warm:warm", "Write what an agent's calls share to the cache."),
        "lint": Deferred(
            "agentcache.cli.lint:lint", "Find what would break the cache, before the first paid call.", QuickCommand
        ),
        "rule": Deferred(
            "agentcache.cli.rule:rule",
            "Explain one rule of the linter: what, why, a bad and a good example.",
            QuickCommand,
        ),
        "rules": Deferred("agentcache.cli.rule:rules", "List the rules of the linter.", QuickCommand),
        "models": Deferred("agentcache.cli.models:models", "Print what is known of each model."),
        "simulate": Deferred("agentcache.cli.simulate:simulate", "Bill recorded traffic under other cache policies."),
        "explain": Deferred(
            "agentcache.cli.explain:explain",
            "Tell why calls missed the cache: which call, which block, what changed, and the fix.",
        ),
        "emulator": Deferred("agentcache.cli.emulator:emulator", "Serve an emulated Messages API."),
        "worker": Deferred("agentcache.cli.worker:worker", "Serve the agents of durable runs."),
        "conversation": Deferred(
            "agentcache.cli.conversation:conversation",
            "List, read, fork, export, import and delete conversations.",
        ),
        "memo": Deferred(
            "agentcache.cli.memo:memo", "List and forget kept results of tools, and tell what they saved."
        ),
    }
)
"""Every command, in the order in which the help lists them."""


class CommandGroup(TyperGroup):
    """Commands that are imported when invoked, and whose errors are spoken.

    An error is one sentence on stderr, then the exit code that it stands for.
    """

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]  # as typer builds it
        for parameter in self.params:
            read_plainly(parameter)
        for name, deferred in COMMANDS.items():
            self.add_command(TyperCommand(name, help=deferred.help))

    def get_help_option(  # type: ignore[override]  # typer hands its own context class
        self, ctx: Context
    ) -> TyperOption | None:
        """Return `--help`, read without pydantic like `--version`."""
        option = super().get_help_option(ctx)
        read_plainly(option)
        return option

    def resolve_command(  # type: ignore[override]  # typer hands its own context class
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """Return the command that is meant, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if name is None or command is None else COMMANDS[name].loaded(name), rest

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer hands its own context class
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            # Start-up time: needed when something went wrong only.
            from agentcache.cli.failures import TRACEBACK_SWITCH, exit_code, sentence

            if os.environ.get(TRACEBACK_SWITCH):
                raise
            hint = "" if isinstance(error, AgentCacheError) else f" ({TRACEBACK_SWITCH}=1 shows the traceback)"
            say(f"agentcache: {sentence(error)}{hint}", err=True)
            raise typer.Exit(exit_code(error)) from error


app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"agentcache {__version__}")
        raise typer.Exit


@app.callback()
def agentcache(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Teams of Claude agents with the prompt cache as a managed resource."""
