"""The linter in a test-suite: a prompt that would break the cache fails a test before it costs anything.

Lints agents, teams of them, and prompt directories by the rules of `agentcache lint`; comments in templates that
ignore a finding hold, settings in `pyproject.toml` do not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from agentcache.errors import FoundMistake, SettingsError, TargetError
from agentcache.lint.codes import CODES
from agentcache.lint.finding import Finding
from agentcache.lint.linting import lint
from agentcache.lint.reading import read_agents
from agentcache.lint.suppressions import judge
from agentcache.runtime.agent import Agent
from agentcache.runtime.agent_lint import as_found, findings_in

MOST_SHOWN = 100
"""Characters of a line that a failure shows."""

PromptTarget: TypeAlias = Agent[object] | str | os.PathLike[str]
"""What is linted: an agent, or the path of a prompt directory or of one above some."""


def lint_prompt_directory(path: str | os.PathLike[str]) -> tuple[Finding, ...]:
    """Return what the linter finds in the prompt directory `path`, or in all below it, in the order of places.

    Raises `TargetError` where there is none, and for a file that cannot be read.
    """
    agents = read_agents([path])
    if not agents:
        raise TargetError(f"there is no prompt directory in {os.fspath(path)}; its templates are named static.j2 etc.")
    files = [file for agent in agents for file in (*agent.layers, *agent.includes.values())]
    return judge(lint(agents), {file.path: file.text for file in files}, {}).findings


def lint_agents(*agents: Agent[object]) -> tuple[Finding, ...]:
    """Return what the linter finds in agents, each alone and all together: what several could share and do not.

    Places are in templates and Python files; a prompt made in code is called by agent and section.
    """
    return findings_in(agents)


def assert_no_findings(*targets: PromptTarget, allowed: Mapping[str, str] | None = None) -> None:
    """Fail the test when the linter finds anything in `targets`, saying what, where and the fix.

    allowed: code -> why it is no mistake here. A permission that nothing needs fails, too. Raises `SettingsError` for
    one without a reason or for no code, `TargetError` as `lint_prompt_directory` does.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    permitted = dict(allowed or {})
    _check(permitted)
    agents = [target for target in targets if isinstance(target, Agent)]
    paths = [target for target in targets if not isinstance(target, Agent)]
    findings = [*lint_agents(*agents), *(found for path in paths for found in lint_prompt_directory(path))]
    left = [as_found(finding) for finding in findings if finding.code not in permitted]
    unused = sorted(permitted.keys() - {finding.code for finding in findings})
    if left or unused:
        raise AssertionError(_failure(left, unused))


def _check(permitted: Mapping[str, str]) -> None:
    for code, reason in permitted.items():
        if code not in CODES:
            raise SettingsError(f"allowed={{{code!r}: …}} names no rule; `agentcache rules` lists them")
        if not reason.strip():
            raise SettingsError(f"allowed={{{code!r}: …}} needs a reason: say why this is no mistake here")


def _failure(left: Sequence[FoundMistake], unused: Sequence[str]) -> str:
    lines = []
    if left:
        count = f"{len(left)} mistakes" if len(left) > 1 else "a mistake"
        lines.append(f"the linter finds {count}:")
    for found in left:
        place = found.path if found.line is None else f"{found.path}:{found.line}"
        lines += [f"  {place}: {found.code} {found.name} ({found.severity})", f"    {found.message}"]
        lines += [f"    > {written}"] if (written := _line_of(found)) else []
        lines.append(f"    fix: {found.fix}")
    lines += [f"allowed[{code!r}] is not needed: there is no such finding; take it out" for code in unused]
    return "\n".join(lines)


def _line_of(found: FoundMistake) -> str:
    """Return the line that is meant, as it stands in its file, its beginning if it is long; nothing without a file."""
    path = Path(found.path)
    if found.line is None or not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    line = lines[found.line - 1].strip() if found.line <= len(lines) else ""
    return line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]}…"
