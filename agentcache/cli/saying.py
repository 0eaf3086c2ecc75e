"""What a command writes to its streams: sentences, and data.

Whoever wrote what stands in them, they drive no terminal. A sentence has its unprintable characters written out
wherever it goes. Data (a reply, a table for programs, a page) is for a program in a pipe or a file, which gets it byte
for byte; a terminal is shown it as a sentence is. Nothing else in the command line prints, and a test keeps it so.
"""

from __future__ import annotations

import sys

import typer

from agentcache.visible import visible


def say(sentence: str = "", *, lines: bool = False, err: bool = False, nl: bool = True) -> None:
    """Print a sentence to stdout or stderr, on one line unless it is made of `lines`."""
    typer.echo(visible(sentence, keep_lines=lines), err=err, nl=nl)


def hand_over(data: str, *, prose: bool = False) -> None:
    """Write data to stdout as it is; where that is a terminal, with what would steer it written out.

    prose: leave zero-width joiners there, which words and emoji are made with.

    Half of a surrogate pair, which no encoding has, is written by its number.
    """
    shown = visible(data, keep_lines=True, keep_joiners=prose) if sys.stdout.isatty() else data
    sys.stdout.write(shown.encode("utf-8", "backslashreplace").decode())
    sys.stdout.flush()


def show(drawn: str) -> None:
    """Print text that its maker has made visible already, colours included."""
    typer.echo(drawn, nl=False)
