"""`--fix`, `--unsafe-fixes` and `--diff`: mends what was found, and writes it or shows the difference."""

from __future__ import annotations

from dataclasses import replace

from agentcache.cli.lint_run import LintRun, files_of
from agentcache.cli.lint_writing import write_texts
from agentcache.cli.saying import hand_over, say
from agentcache.lint.fixing import diff, mended
from agentcache.lint.outputs.result import LintResult, counted
from agentcache.lint.words import prompt_words


def mend(run: LintRun, *, unsafe: bool, write: bool) -> LintResult:
    """Mend what the run finds, and return what is left of it.

    write: change the files and say on stderr how many; otherwise print the difference, for `git apply`.

    Raises `TargetError` when a file cannot be written, or was changed since it was read.
    """
    before = {file.path: file.text for agent in run.agents for file in files_of(agent)}
    outcome = mended(run.agents, run.in_templates, prompt_words, unsafe=unsafe)
    if write:
        write_texts(before, outcome.texts)
        told = f"{counted(len(outcome.fixed), 'finding')} fixed in {counted(len(outcome.texts), 'file')}"
        say(told, err=True)
    else:
        shown = diff(before, outcome.texts)
        hand_over(shown)
    first = run.result(run.agents)
    elsewhere = [item for item in first.findings if item not in run.in_templates(run.agents)]
    remaining = sorted([*outcome.remaining, *elsewhere], key=lambda item: (item.place.path, item.place.line or 0))
    return replace(first, findings=tuple(remaining), texts={**first.texts, **outcome.texts})
