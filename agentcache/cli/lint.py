"""`agentcache lint`: what would break the cache, before the first paid call."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agentcache.cli.lint_fixing import mend
from agentcache.cli.lint_run import LintRun, LintTask, lint_log, relative_to
from agentcache.cli.lint_settings import LintFormat, SettingsAbove
from agentcache.cli.saying import say, show
from agentcache.cli.watching import changes
from agentcache.errors import AgentCacheError, TargetError
from agentcache.lint.baseline import baseline_of
from agentcache.lint.outputs.github import as_github
from agentcache.lint.outputs.json import as_json
from agentcache.lint.outputs.result import LintResult, counted
from agentcache.lint.outputs.sarif import as_sarif
from agentcache.lint.outputs.statistics import statistics_text
from agentcache.lint.outputs.text import as_text, summary
from agentcache.lint.rules import RULES

FOUND = 1
"""Exit code when there is a finding; 0 when there is none, 2 when it could not run."""

Selectors = list[str] | None


def lint(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Prompt directories, directories above some, templates, Python files, file.py:name. [.]",
            show_default=False,
        ),
    ] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Lint a request log instead of files.")] = None,
    import_: Annotated[
        bool, typer.Option("--import", help="Import the Python files that are named; otherwise they are only read.")
    ] = False,
    select: Annotated[
        Selectors,
        typer.Option(metavar="CODES", help="Look for these only: codes, beginnings of codes, names, ALL; commas."),
    ] = None,
    ignore: Annotated[Selectors, typer.Option(metavar="CODES", help="Do not look for these.")] = None,
    extend_select: Annotated[
        Selectors, typer.Option(metavar="CODES", help="Look for these too, beside what the settings select.")
    ] = None,
    format_: Annotated[LintFormat | None, typer.Option("--format", help="How to print. [text]")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write findings to FILE, not stdout.")
    ] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Sum up by code; as JSON in addition to the findings.")
    ] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without changing a word.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="Mend also where words of the prompt change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what --fix would change, and change nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Lint again whenever a file changes.")] = False,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Leave out the findings that FILE knows.")
    ] = None,
    write_baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all findings to FILE as known ones.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="End with 0 even when there are findings.")] = False,
) -> None:
    """Find what would break the cache, before the first paid call.

    Reads prompt directories (static*.j2, semi_static*.j2, session*.j2, turn*.j2, tools.json, agent.toml) and agents in
    Python files, and runs no code of theirs. Settings stand in [tool.agentcache.lint] of the nearest pyproject.toml.
    Exit code 0 without findings, 1 with, 2 when it could not run.
    """
    fixing = fix or unsafe_fixes or diff
    _refuse_contradictions(log=log, paths=paths, fixing=fixing, watch=watch, output=output)
    places = tuple(paths or ["."])
    task = LintTask(
        paths=places,
        select=_selectors(select),
        ignore=_selectors(ignore),
        extend_select=_selectors(extend_select),
        baseline=None if write_baseline else baseline,
        importing=import_,
        everything=write_baseline is not None,
    )
    if watch:
        _watch(task, statistics=statistics)
        return
    run = None if log is not None else LintRun(task)
    if run is None:
        result = lint_log(log or Path(), task)
    elif fixing:
        result = mend(run, unsafe=unsafe_fixes, write=not diff)
    else:
        result = run.result(run.agents)
    for unread in run.python.unread if run else ():
        say(f"agentcache: {unread}", err=True)
    if write_baseline is not None:
        _write_baseline(result, write_baseline)
        return
    if run and not result.agents:
        say(f"agentcache: no prompt in {', '.join(places)}", err=True)
    shown = format_ or SettingsAbove().of(_folder(log or Path(places[0]))).output_format or LintFormat.TEXT
    if not diff or shown is not LintFormat.TEXT:
        _tell(result, shown, output, statistics=statistics)
    if result.findings and not exit_zero:
        raise typer.Exit(FOUND)


def _refuse_contradictions(
    *, log: Path | None, paths: Sequence[str] | None, fixing: bool, watch: bool, output: Path | None
) -> None:
    if log is not None and (paths or fixing or watch):
        raise TargetError("--log lints a request log; give no PATH and neither --fix nor --watch with it")
    if watch and (fixing or output):
        raise TargetError("--watch prints findings again and again; give neither --fix, --diff nor --output with it")


def _selectors(given: Selectors) -> tuple[str, ...]:
    return tuple(word.strip() for text in given or () for word in text.split(",") if word.strip())


def _tell(result: LintResult, format_: LintFormat, output: Path | None, *, statistics: bool) -> None:
    text = _written(result, format_, statistics=statistics, colour=output is None and _takes_colours())
    if output is None:
        show(text)
        return
    _write(output, text)
    say(summary(result), err=True)


def _written(result: LintResult, format_: LintFormat, *, statistics: bool, colour: bool) -> str:
    if format_ is LintFormat.JSON:
        return as_json(result, statistics=statistics)
    if format_ is LintFormat.SARIF:
        return as_sarif(result, RULES)
    if format_ is LintFormat.GITHUB:
        return as_github(result)
    if statistics:
        return statistics_text(result) + summary(result) + "\n"
    return as_text(result, colour=colour)


def _takes_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _write_baseline(result: LintResult, path: Path) -> None:
    names = {item.place.path: relative_to(item.place.path, path.parent) for item in result.findings}
    _write(path, baseline_of(result.findings, result.texts, names).to_json())
    say(f"{path}: {counted(len(result.findings), 'finding')} known from now on", err=True)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror}") from error


def _watch(task: LintTask, *, statistics: bool) -> None:
    """Tell findings now and after every change, until the user has enough; an error is told like a finding."""
    try:
        for changed in _rounds([Path(path.partition(":")[0]) for path in task.paths]):
            if changed:
                say()
                say(f"--- {', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''}")
            try:
                run = LintRun(task)
                _tell(run.result(run.agents), LintFormat.TEXT, None, statistics=statistics)
            except AgentCacheError as error:
                say(f"agentcache: {error}", err=True)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return


def _rounds(places: Sequence[Path]) -> Iterator[tuple[str, ...]]:
    later = changes(places)
    yield ()
    yield from later
