"""One lint run: read what the paths hold, ask the rules, and leave out what settings, comments and baseline do.

Knows which settings hold for which file. Knows neither how findings are told nor how they are mended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentcache.cli.lint_settings import LintSettings, SettingsAbove
from agentcache.cli.lint_sources import is_python_target, lint_python
from agentcache.errors import SettingsError
from agentcache.lint.agent_sources import AgentSources, SourceFile
from agentcache.lint.baseline import Baseline, read_baseline, unknown
from agentcache.lint.finding import Finding
from agentcache.lint.linting import lint
from agentcache.lint.outputs.result import LintResult
from agentcache.lint.path_globs import matches
from agentcache.lint.reading import read_agents
from agentcache.lint.selection import Selection
from agentcache.lint.suppressions import judge


@dataclass(frozen=True, slots=True, kw_only=True)
class LintTask:
    """What the command line asks for. Empty selectors and no baseline leave it to the settings.

    importing: import the Python files among the paths. everything: leave nothing out as known, whatever the settings
    name as baseline.
    """

    paths: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    baseline: Path | None = None
    importing: bool = False
    everything: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What holds in the files of one folder. codes: those that hold where no pattern of paths ignores them."""

    settings: LintSettings
    selection: Selection
    codes: frozenset[str]


class _Scopes:
    """The settings that hold for each file; each `pyproject.toml` is read once."""

    def __init__(self, task: LintTask) -> None:
        LintSettings(root=Path()).selection(select=task.select, ignore=task.ignore, extend_select=task.extend_select)
        self.task = task
        self._settings = SettingsAbove()
        self._by_root: dict[Path, _Scope] = {}
        self._by_folder: dict[str, _Scope] = {}

    def of(self, path: str) -> _Scope:
        folder = os.path.dirname(path)
        if folder not in self._by_folder:
            settings = self._settings.of(Path(folder))
            if settings.root not in self._by_root:
                task = self.task
                chosen = settings.selection(select=task.select, ignore=task.ignore, extend_select=task.extend_select)
                self._by_root[settings.root] = _Scope(settings=settings, selection=chosen, codes=chosen.codes())
            self._by_folder[folder] = self._by_root[settings.root]
        return self._by_folder[folder]

    def codes(self, path: str) -> frozenset[str]:
        """Return the codes that hold in a file."""
        scope = self.of(path)
        if not scope.settings.per_file_ignores:
            return scope.codes
        return scope.selection.codes(relative_to(path, scope.settings.root))

    def excluded(self, path: str) -> bool:
        """Tell whether the settings leave the file out."""
        settings = self.of(path).settings
        if not settings.exclude:
            return False
        name = relative_to(path, settings.root)
        return any(matches(pattern, name) for pattern in settings.exclude)


class LintRun:
    """One look at what the task's paths hold; the same settings judge it again after a fix.

    agents: those of prompt directories, which can be mended. python: what Python files declare, which is only told.

    Raises `TargetError` for paths that cannot be read, and `SettingsError` for settings, selectors and baselines.
    """

    def __init__(self, task: LintTask) -> None:
        self._scopes = _Scopes(task)
        self.agents = tuple(
            read_agents((path for path in task.paths if not is_python_target(path)), pass_over=self._scopes.excluded)
        )
        self.python = lint_python(task.paths, importing=task.importing)

    def result(self, agents: Sequence[AgentSources]) -> LintResult:
        """Return what is found in `agents`, which are ours with other texts perhaps, and in Python files."""
        python = self.python
        texts = {**python.texts, **_texts_of(agents)}
        return self._judged([*lint(agents), *python.findings], texts, agents=len(agents) + python.agents)

    def in_templates(self, agents: Sequence[AgentSources]) -> tuple[Finding, ...]:
        """Return what is found in `agents` alone."""
        return self._judged(lint(agents), _texts_of(agents), agents=len(agents)).findings

    def _judged(self, found: Sequence[Finding], texts: Mapping[str, str], *, agents: int) -> LintResult:
        texts = {path: text for path, text in texts.items() if not self._scopes.excluded(path)}
        return _judged(found, texts, self._scopes, agents=agents)


def lint_log(log: Path, task: LintTask) -> LintResult:
    """Return what a request log shows, as far as it is looked for and not known.

    Raises `TargetError` for a log that cannot be read.
    """
    # Start-up time: what explains traffic is not needed for files.
    from agentcache.cli.lint_log import log_findings

    found = log_findings(log)
    return _judged(found, {item.place.path: "" for item in found}, _Scopes(task), agents=0, source=str(log))


def _judged(
    found: Sequence[Finding], texts: Mapping[str, str], scopes: _Scopes, *, agents: int, source: str | None = None
) -> LintResult:
    codes = {path: scopes.codes(path) for path in texts}
    held = {(item.code, item.place): item for item in reversed(found) if item.code in codes.get(item.place.path, ())}
    judged = judge(list(held.values()), texts, codes)
    new = _without_known(judged.findings, texts, scopes)
    return LintResult(
        findings=tuple(sorted(new, key=_in_order)),
        texts=texts,
        agents=agents,
        ignored=judged.ignored,
        known=len(judged.findings) - len(new),
        source=source,
    )


def _texts_of(agents: Sequence[AgentSources]) -> dict[str, str]:
    return {file.path: file.text for agent in agents for file in files_of(agent)}


def files_of(agent: AgentSources) -> list[SourceFile]:
    """Return every file that an agent's prompt was read from."""
    return [*agent.layers, *agent.includes.values(), *(file for file in (agent.tools, agent.declaration) if file)]


def relative_to(path: str, root: Path) -> str:
    """Return `path` from `root`, with `/`; with `..` where it is not below it."""
    return Path(os.path.relpath(os.path.realpath(path), os.path.realpath(root))).as_posix()


def _without_known(findings: Sequence[Finding], texts: Mapping[str, str], scopes: _Scopes) -> list[Finding]:
    """Return the findings that the baseline of their settings, or that of the command line, does not know."""
    by_baseline: dict[Path | None, list[Finding]] = {}
    for item in findings:
        by_baseline.setdefault(_baseline_for(item.place.path, scopes), []).append(item)
    left: list[Finding] = []
    for path, found in by_baseline.items():
        if path is None:
            left += found
        else:
            paths = {item.place.path: relative_to(item.place.path, path.parent) for item in found}
            left += unknown(found, load_baseline(path), texts, paths)
    return left


def _baseline_for(path: str, scopes: _Scopes) -> Path | None:
    if scopes.task.everything or scopes.task.baseline is not None:
        return scopes.task.baseline
    settings = scopes.of(path).settings
    return None if settings.baseline is None else settings.root / settings.baseline


def load_baseline(path: Path) -> Baseline:
    """Read a baseline file. Raises `SettingsError` when it cannot be read or is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise SettingsError(
            f"the baseline {path} cannot be read: {reason}; write one with --write-baseline {path}"
        ) from error
    return read_baseline(text, str(path))


def _in_order(item: Finding) -> tuple[str, int, int, str]:
    place = item.place
    return place.path, place.line or 0, place.column or 0, item.code
