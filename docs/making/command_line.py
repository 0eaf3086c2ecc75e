"""Write docs/command-line.md: every command with its arguments and options, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from agentcache.cli.app import COMMANDS, app

PAGE = Path(__file__).parents[1] / "command-line.md"

INTRODUCTION = """# Command line

Made from the commands themselves by `make docs`; do not edit it.

- Settings: an option goes over the environment (`AGENTCACHE_DB_URL`, `AGENTCACHE_MEMO_URL`), that over
  `[tool.agentcache]` in the nearest `pyproject.toml`.
- Results go to stdout, progress, notices and errors to stderr; with `--json` stdout is one object and nothing else.
- Exit codes: 0 done; 1 begun and ended without its result, or something was found; 2 nothing was run (usage, target,
  settings, declaration, key, database); 130 Ctrl-C. An error is one sentence; `AGENTCACHE_TRACEBACK=1` shows the
  traceback of one that nobody raised on purpose.
- `TARGET` is `module:name` or `file.py:name`. `WHEN` is a date, a time or how long ago: `2026-11-22`,
  `2026-11-22T08:30`, `24h`, `7d`, in UTC.
"""


def page() -> str:
    """Return the page."""
    top = typer.Context(typer.main.get_command(app), info_name="agentcache")
    listed = [f"| [`{name}`](#agentcache-{name}) | {deferred.help} |" for name, deferred in COMMANDS.items()]
    parts = [INTRODUCTION, "| command | does |", "|---|---|", *listed, ""]
    for name, deferred in COMMANDS.items():
        parts.extend(_command(deferred.loaded(name), name, top))
    return "\n".join(parts)


def _command(command: TyperCommand | TyperGroup, name: str, above: typer.Context) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=above)
    yield f"## {context.command_path}\n"
    yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    yield f"{_paragraphs(command.help or '')}\n"
    if isinstance(command, TyperGroup):
        for inner, found in command.commands.items():
            assert isinstance(found, TyperCommand)
            yield from _command(found, inner, context)
        return
    records = [record for parameter in command.params if (record := parameter.get_help_record(context)) is not None]
    if records:
        yield "| argument or option | means |\n|---|---|"
        yield "\n".join(f"| `{_cell(name)}` | {_cell(re.sub('  +', ' ', text))} |" for name, text in records)
        yield ""


def _paragraphs(text: str) -> str:
    """Return a help text with a paragraph a line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
