"""What `agentcache lint` looks at besides prompt directories: agents in Python files, and request logs.

A Python file is read, never imported: walking a tree must not run what is in it. Only a target that names an object
(`file.py:name`, `module:name`) is imported, since whoever writes that asks for it, and so are files with `--import`.
"""

from __future__ import annotations

import os
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agentcache.errors import TargetError
from agentcache.lint.agent_sources import AgentSources, SourceFile
from agentcache.lint.finding import Finding
from agentcache.lint.located_text import inline_texts, placed
from agentcache.lint.own_agents import OwnSources, lint_own
from agentcache.lint.reading import read_agent

if TYPE_CHECKING:
    from agentcache.lint.python.agents import DeclaredAgent

_PROJECT_MARKS = (".git", "pyproject.toml", "setup.py")
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
_NEEDED = re.compile(rb"\bagentcache\b")
_MADE = re.compile(rb"\bAgent\b|\.agent\(")
"""A file without both declares no agent of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An agent, or a whole Python file, of which nothing could be linted, and why."""

    path: str
    line: int
    agent: str | None
    reason: str

    def __str__(self) -> str:
        """Say what was not looked at, and how to have it looked at."""
        what = "this file" if self.agent is None else f"agent {self.agent!r}"
        return f"{self.path}:{self.line}: {what} was not linted: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonAgents:
    """The agents of Python files. groups: those of one file or target, which are linted together.

    directories: the prompt directories that they use, as real paths. texts: path -> text of the Python files.
    """

    groups: tuple[tuple[OwnSources, ...], ...] = ()
    unread: tuple[Unread, ...] = ()
    directories: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLint:
    """What is found in agents of Python files, at places in those files and in templates.

    texts: path -> text of every file that a finding may be in, for excerpts and for comments that ignore findings;
    comments within template texts of Python files are heeded already. agents: how many were linted.
    """

    findings: tuple[Finding, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    agents: int = 0
    unread: tuple[Unread, ...] = ()


def lint_python(paths: Iterable[str | os.PathLike[str]], *, importing: bool = False) -> PythonLint:
    """Lint the agents that Python files declare; `agents_in_python` says which those are, and what is imported."""
    found = agents_in_python(paths, importing=importing)
    findings: list[Finding] = []
    texts = dict(found.texts)
    for group in found.groups:
        inline = inline_texts(group)
        findings += lint_own(group)
        files = [file for agent in group for file in (*agent.layers, *agent.includes.values())]
        texts |= {file.path: file.text for file in files if file.path not in inline}
        texts |= {text.path: _text_of(text.path) for text in inline.values() if text.path not in texts}
    return PythonLint(
        findings=placed(findings, {}),
        texts=texts,
        agents=sum(map(len, found.groups)),
        unread=found.unread,
    )


def is_python_target(path: str) -> bool:
    """Tell whether an argument of `lint` names a Python file, or an object in one or in a module."""
    source, colon, name = path.rpartition(":")
    named = bool(colon) and name.isidentifier() and bool(source) and not os.path.lexists(path)
    return named or (path.endswith(".py") and not os.path.isdir(path))


def agents_in_python(paths: Iterable[str | os.PathLike[str]], *, importing: bool = False) -> PythonAgents:
    """Return the agents that Python files declare: files, all of a directory, or objects (`file.py:name`).

    Files are read and not run, but with `importing`, which imports the files that are named themselves; those found
    below a directory are never imported. Objects are imported in any case.

    Raises `TargetError` for a file or an object that is not there, that cannot be read, or whose import fails.
    """
    found = PythonAgents()
    for path in [os.fspath(each) for each in paths]:
        if not is_python_target(path):
            for file in _python_files(Path(path)):
                found = _joined(found, _read(file))
        elif importing or not path.endswith(".py"):
            found = _joined(found, _imported(path))
        else:
            found = _joined(found, _read(Path(path)))
    return found


def _joined(one: PythonAgents, other: PythonAgents) -> PythonAgents:
    return PythonAgents(
        groups=one.groups + other.groups,
        unread=one.unread + other.unread,
        directories=one.directories | other.directories,
        texts={**one.texts, **other.texts},
    )


def _imported(target: str) -> PythonAgents:
    """Import a target and return its agents: an object's, or all of a file."""
    # Start-up time: agents, pydantic with them, are loaded where they are imported anyhow.
    from agentcache.cli.target import agents_in_file, load_agents
    from agentcache.runtime.agent_lint import agent_sources
    from agentcache.runtime.written_texts import find_written

    agents = agents_in_file(target) if target.endswith(".py") else load_agents(target)
    return PythonAgents(groups=(tuple(agent_sources(agent, find=find_written) for agent in agents),))


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a directory and below it; hidden ones and installed packages are passed over."""
    if not folder.is_dir():
        return
    for root, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _PASSED_OVER)
        yield from (Path(root, name) for name in sorted(files) if name.endswith(".py") and not name.startswith("."))


def _read(path: Path) -> PythonAgents:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}") from error
    if not (_NEEDED.search(content) and _MADE.search(content)):
        return PythonAgents()
    # Start-up time: prompts are linted more often beside code without agents than beside agents.
    from agentcache.lint.python.agents import declared_agents
    from agentcache.lint.python.literals import PythonText
    from agentcache.lint.python.sources import sources_of

    try:
        source = PythonText(content.decode("utf-8-sig").replace("\r\n", "\n"), path.as_posix())
        declared = declared_agents(source)
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = f"it cannot be read as Python ({error})"
        return PythonAgents(unread=(Unread(path=path.as_posix(), line=1, agent=None, reason=reason),))
    files = _Files(path)
    read = [(agent, sources_of(agent, path=source.path, files=files)) for agent in declared]
    return PythonAgents(
        groups=(tuple(sources for _, sources in read if sources is not None),),
        unread=tuple(_unread(source.path, agent) for agent, sources in read if sources is None),
        directories=frozenset(files.used),
        texts={source.path: source.text},
    )


def _unread(path: str, agent: DeclaredAgent) -> Unread:
    line = agent.spot[0]
    reason = agent.unread or f"there is no {agent.directories[0]!r} here or beside it"
    remedy = "" if agent.unread is None else f"; name it as {path}:NAME to have it imported"
    return Unread(path=path, line=line, agent=agent.name or f"{path}:{line}", reason=f"{reason}{remedy}")


class _Files:
    """Reads what a Python file names: relative to where the linter runs, else to the file or what is above it."""

    def __init__(self, path: Path) -> None:
        self._folders = [Path(), *path.parents, *Path(os.path.abspath(path)).parents]
        self._roots = (Path.cwd().resolve(), _project_of(path))
        self.used: set[str] = set()

    def directory(self, path: str) -> AgentSources | None:
        """Return a prompt directory as it is read for itself."""
        found = next((folder / path for folder in self._folders if (folder / path).is_dir()), None)
        if found is None:
            return None
        self.used.add(os.path.realpath(found))
        return read_agent(found)

    def text(self, path: str) -> SourceFile | None:
        """Return a text file of the project. What a stranger's code names elsewhere is not read: it would be shown."""
        named = (folder / path for folder in self._folders)
        found = next((file for file in named if file.is_file() and self._is_ours(file)), None)
        try:
            return None if found is None else _text(found)
        except (OSError, UnicodeDecodeError) as error:
            raise TargetError(f"cannot read {found}: {error}") from error

    def _is_ours(self, file: Path) -> bool:
        real = file.resolve()
        return any(real.is_relative_to(root) for root in self._roots)


def _project_of(path: Path) -> Path:
    """Return the nearest directory around a file that begins a project, else the file's own."""
    folder = path.resolve().parent
    around = (folder, *folder.parents)
    return next((each for each in around if any((each / name).exists() for name in _PROJECT_MARKS)), folder)


def _text_of(path: str) -> str:
    try:
        return _text(Path(path)).text
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"cannot read {path}: {error}") from error


def _text(path: Path) -> SourceFile:
    return SourceFile(path=path.as_posix(), name=path.name, text=path.read_bytes().decode("utf-8-sig"))
