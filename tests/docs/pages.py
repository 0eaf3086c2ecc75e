"""How a page of the documentation is played: its files are written, its commands run, its outputs compared.

A `python`, `toml`, `jinja` or `json` block whose first line names a file (`# desk.py`) is written to that file. Each
line of a `console` block that begins with `$ ` is a command, and what follows is what it prints; a line `...` stands
for any number of lines. All of it happens in one process, in a directory of the page's or the recipe's own, which has
`examples/` in it. `UPDATE_DOCS=1` writes present outputs into the page.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentcache.cli.app import app

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"(?:#|\{#|//) ([\w./-]+\.\w+)(?: #\})?\n")
WRITTEN = frozenset({"python", "toml", "jinja", "json"})
NOT_PLAYED = ("make ", "pip ", "curl ")
"""What would set up a machine rather than show this package."""
WIDTH = "100"
BUSY = re.compile(r"^held \d+ calls? back .*\n", re.MULTILINE)
"""A line that is there when calls waited long enough to be worth telling: it depends on the machine."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, what the page says that it prints, and what it prints now."""

    command: str
    shown: str
    printed: str

    @property
    def right(self) -> bool:
        return matches(self.shown, self.printed)


def matches(shown: str, printed: str) -> bool:
    """Tell whether an output is as shown, where a line `...` stands for any lines."""
    parts = [re.escape(part) for part in re.split(r"^\.\.\.$\n?", shown, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)?".join(parts), printed, re.DOTALL) is not None


def steps_of(block: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what stands below each."""
    steps: list[tuple[str, list[str]]] = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            steps.append((line.removeprefix("$ ").rstrip("\n"), []))
        else:
            steps[-1][1].append(line)
    return [(command, "".join(lines)) for command, lines in steps]


def recipes(page: str) -> dict[str, str]:
    """Return the sections of a page that have something to play, by their headings."""
    parts = re.split(r"^## (.+)\n", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {heading: text for heading, text in sections.items() if BLOCK.search(text)}


def play(text: str, folder: Path) -> Iterator[Step]:
    """Write the files of a text and run its commands, in their order."""
    with _settled_in(folder):
        for language, block in BLOCK.findall(text):
            named = FILE_NAME.match(block)
            if language in WRITTEN and named is not None:
                (folder / named[1]).parent.mkdir(parents=True, exist_ok=True)
                (folder / named[1]).write_text(block if language != "json" else block[named.end() :], encoding="utf-8")
            elif language == "console":
                for command, shown in steps_of(block):
                    if not command.startswith(NOT_PLAYED):
                        yield Step(command, shown, _tidy(_run(command, folder)))


def wrong_steps(page: str, text: str, folder: Path) -> list[tuple[str, str, str]]:
    """Return what a text shows and is no longer so; with `UPDATE_DOCS` write it into the page instead."""
    wrong = [step for step in play(text, folder) if not step.right]
    if not os.environ.get("UPDATE_DOCS"):
        return [(step.command, step.shown, step.printed) for step in wrong]
    path = ROOT / page
    for step in wrong:
        old, new = (f"$ {step.command}\n{output}" for output in (step.shown, step.printed))
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    return []


def _tidy(output: str) -> str:
    text = "\n".join(line.rstrip() for line in BUSY.sub("", output).strip("\n").splitlines())
    return f"{text}\n" if text else ""


def _run(command: str, folder: Path) -> str:
    words = shlex.split(command)
    if words[0] not in {"agentcache", "python"}:
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
        return done.stdout
    with _imports_of_its_own(folder):
        return _agentcache(words[1:]) if words[0] == "agentcache" else _python(words[1:])


def _agentcache(arguments: list[str]) -> str:
    """Return what a command prints: its output, and where it fails what it says of that."""
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout + (done.stderr if done.exit_code else "")


def _python(arguments: list[str]) -> str:
    """Run a file as `python FILE` does; an exception that leaves it is shown by its last line."""
    out, script = io.StringIO(), Path(arguments[0]).resolve()
    before = sys.argv
    sys.argv = arguments
    try:
        with redirect_stdout(out), redirect_stderr(out):
            runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = before
    return out.getvalue()


@contextmanager
def _settled_in(folder: Path) -> Iterator[None]:
    """Stand in `folder`, which has the examples, with a terminal of a known width."""
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", WIDTH)
        patch.setenv("NO_COLOR", "1")
        yield


@contextmanager
def _imports_of_its_own(folder: Path) -> Iterator[None]:
    """Begin without the modules of `folder`, as a new process does."""
    modules, search = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = search
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).is_relative_to(folder):
                del sys.modules[name]
