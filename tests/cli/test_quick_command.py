from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.core import TyperCommand
from typer.testing import CliRunner, Result

from agentcache.cli.quick_command import QuickCommand


class Shape(StrEnum):
    ROUND = "round"
    FLAT = "flat"


def command(
    names: Annotated[list[str] | None, typer.Argument()] = None,
    path: Annotated[Path | None, typer.Option()] = None,
    shape: Annotated[Shape, typer.Option()] = Shape.FLAT,
    shapes: Annotated[list[Shape] | None, typer.Option()] = None,
    loud: Annotated[bool, typer.Option("--loud")] = False,
    times: Annotated[int, typer.Option()] = 1,
) -> None:
    """Print what was given."""
    typer.echo(json.dumps([repr(value) for value in (names, path, shape, shapes, loud, times)]))


def run(cls: type[TyperCommand], words: list[str]) -> Result:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=cls)(command)
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a", "b", "--loud"],
        ["--path", "x/y", "--shape", "round"],
        ["--shapes", "round", "--shapes", "flat", "--", "-a"],
        ["--shape", "square"],
        ["--shapes", "square"],
        ["--shape", "ROUND"],
        ["--times", "3"],
        ["--times", "three"],
        ["--unknown"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_arguments_are_read_as_typer_reads_them(words: list[str]) -> None:
    quick, typers = run(QuickCommand, words), run(TyperCommand, words)

    assert quick.exit_code == typers.exit_code
    assert quick.stdout == typers.stdout
    assert quick.stderr == typers.stderr.replace("Value error, ", "")  # pydantic's words, which tell a user nothing
