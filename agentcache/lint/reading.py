"""Finds prompt directories below the paths given and reads them: the one file of this room that touches the world.

Decides which files belong to which agent, as `prompt/directory.py` does for a run, but forgives more: what a run
refuses (a stray template, a template that does not parse) is for the linter to name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from agentcache.errors import TargetError
from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.agent_toml import Declaration, read_declaration
from agentcache.prompt.directory import stray_link
from agentcache.prompt.sections import Stability

_PathLike: TypeAlias = str | os.PathLike[str]
_SUFFIX = ".j2"
_TEMPLATES = (_SUFFIX, ".jinja", ".jinja2")
_HOLDING_TEMPLATES = (".json", ".md", ".txt", ".yaml", ".yml")
"""Files whose text is read as a template where one is named: Jinja passes over all that is none, so places hold."""
_PASSED_OVER = {"node_modules", "__pycache__", "venv", "site-packages"}
_EXACT = re.compile(r"(static|semi_static|session|turn)([._-]?\d\w*)?\.j2")


def read_agents(
    paths: Iterable[_PathLike], *, pass_over: Callable[[str], bool] = lambda path: False
) -> list[AgentSources]:
    """Return every agent whose prompt directory is among the paths or below them, each once, in order of paths.

    A directory that holds a layer file (`static*.j2`, `semi_static*.j2`, `session*.j2`, `turn*.j2`) is a prompt
    directory; below it only those count that name a layer exactly or have an agent.toml, since what else is there is
    for including. A single template may be given too: a layer file is read with its directory's declaration, any other
    one counts as static text, and so does any text that holds Jinja (YAML, Markdown). `tools.json` and `agent.toml`
    stand for their directory. Hidden directories and installed packages are passed over; links are followed, but never
    around in a circle.

    pass_over: tells of a layer file's path whether it is not wanted. An agent with no other layer file is not read,
    so that nothing in its directory can be wrong.

    Raises `TargetError` for a path that is not there, a file that cannot be read or is no UTF-8, and an agent.toml
    that cannot be used.
    """
    agents: dict[str, AgentSources] = {}
    for path in map(Path, paths):
        for root, only in _targets(path):
            key = os.path.realpath(root / only) if only else os.path.realpath(root)
            if key not in agents and not all(pass_over((root / name).as_posix()) for name in _sections(root, only)):
                agents[key] = read_agent(root, only=only)
    return list(agents.values())


def read_agent(root: Path, *, only: str | None = None) -> AgentSources:
    """Return the agent of one directory; `only` names the one template that is wanted of it."""
    files = {name: _file(root, name) for name in _template_names(root)} if only is None else {only: _file(root, only)}
    sections = sorted((name for name in files if _layer(name) or name == only), key=_natural)
    layers = [
        LayerFile(path=files[name].path, name=name, text=files[name].text, layer=_layer(name) or Stability.STATIC)
        for name in sections
    ]
    declaration = _optional(root, "agent.toml")
    declared = Declaration() if declaration is None else read_declaration(declaration)
    return AgentSources(
        agent=root.resolve().name if only is None else only.removesuffix(_SUFFIX),
        model=declared.model,
        layers=tuple(sorted(layers, key=lambda file: file.layer.rank)),
        includes=_shared(root) | {name: file for name, file in _includes(root, files).items() if name not in sections},
        tools=_optional(root, "tools.json") if only is None else None,
        declaration=declaration,
        variables=declared.variables,
        types=declared.types,
        offered=declared.offered,
        complete=declaration is not None,
    )


def _sections(root: Path, only: str | None) -> list[str]:
    """Return the names of an agent's layer files."""
    if only is not None:
        return [only]
    return [entry.name for entry in _entries(root) if entry.name.endswith(_SUFFIX) and _layer(entry.name)]


def _includes(root: Path, files: Mapping[str, SourceFile]) -> dict[str, SourceFile]:
    suffixes = tuple({_SUFFIX, *(Path(name).suffix for name in files if name.endswith(_TEMPLATES))})
    return {name: files.get(name) or _file(root, name) for name in _template_names(root, suffixes=suffixes)}


def _targets(path: Path) -> Iterator[tuple[Path, str | None]]:
    if path.is_dir():
        yield from _directories(path, frozenset(), inside=False)
    elif not os.path.lexists(path):
        raise TargetError(f"{path} does not exist; give a prompt directory, one above some, a template or a file.py")
    elif path.name in {"tools.json", "agent.toml"}:
        yield path.parent, None
    elif path.name.endswith((*_TEMPLATES, *_HOLDING_TEMPLATES)):
        yield path.parent, path.name
    else:
        known = ", ".join((*_TEMPLATES, *_HOLDING_TEMPLATES))
        raise TargetError(f"{path} is neither a directory nor a template; templates end in one of {known}")


def _directories(folder: Path, above: frozenset[str], *, inside: bool) -> Iterator[tuple[Path, str | None]]:
    real = os.path.realpath(folder)
    if real in above:
        return  # a link that leads back to a directory around it
    entries = _entries(folder)
    names = {entry.name for entry in entries}
    layers = {name for name in names if name.endswith(_SUFFIX) and _layer(name)}
    if layers and (not inside or "agent.toml" in names or any(map(_EXACT.fullmatch, layers))):
        yield folder, None
        inside = True
    for entry in entries:
        if entry.name not in _PASSED_OVER and entry.is_dir():
            yield from _directories(entry, above | {real}, inside=inside)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise TargetError(f"cannot read directory {folder}: {error.strerror}") from error


def _layer(name: str) -> Stability | None:
    if "/" in name:
        return None
    return next((layer for layer in Stability if name.startswith(layer.value)), None)


def _natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Order names as people count: `static_2` before `static_10`, `static` before both."""
    parts = re.findall(r"([^0-9]*)([0-9]*)", name.removesuffix(_SUFFIX))
    return [(text, int(number or -1)) for text, number in parts], name


def _template_names(
    folder: Path, prefix: str = "", above: frozenset[str] = frozenset(), suffixes: tuple[str, ...] = (_SUFFIX,)
) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            if entry.name not in _PASSED_OVER:
                yield from _template_names(entry, f"{prefix}{entry.name}/", above | {real}, suffixes)
        elif entry.name.endswith(suffixes):
            yield prefix + entry.name


def _shared(root: Path) -> dict[str, SourceFile]:
    here = Path(os.path.abspath(root))  # not resolved: a link to a directory stands where it stands
    files: dict[str, SourceFile] = {}
    for up, above in ((root / ".." / "..", here.parent.parent), (root / "..", here.parent)):
        if (above / "shared").is_dir():
            base = above if root.is_absolute() else Path(os.path.normpath(up))
            names = _template_names(above / "shared", "shared/")
            files |= {name: _file(base, name) for name in names}
    return files


def _optional(root: Path, name: str) -> SourceFile | None:
    return _file(root, name) if os.path.lexists(root / name) else None


def _file(root: Path, name: str) -> SourceFile:
    path = root / name
    if not path.is_file():
        raise TargetError(f"cannot read {path}: it is no file, or a link that leads nowhere")
    if (stray := stray_link(path)) is not None:
        raise TargetError(f"cannot read {path}: {stray}")
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors write a byte order mark, which is no text
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TargetError(f"{path} is no UTF-8 text (byte {error.start}); save it as UTF-8") from error
    return SourceFile(path=path.as_posix(), name=name, text=text)
