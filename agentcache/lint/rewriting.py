"""An agent's sources with other texts in them: what linting again after a fix looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from posixpath import dirname
from typing import TypeVar

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.prompt.sections import Stability

_File = TypeVar("_File", bound=SourceFile)


def texts_of(agents: Iterable[AgentSources]) -> dict[str, str]:
    """Return path -> text of every file of the agents."""
    return {file.path: file.text for agent in agents for file in _files(agent)}


def rewritten(agent: AgentSources, texts: Mapping[str, str]) -> AgentSources:
    """Return the agent with the texts of `texts` (path -> text); itself when none differs.

    A path that no file has is a new section, when it stands beside the agent's sections and is named after a layer.
    """
    known = {file.path for file in _files(agent)}
    folders = {folder for file in agent.layers if (folder := folder_of(file)) is not None}
    new = [
        _section(path, texts[path]) for path in sorted(texts) if path not in known and _prefix(dirname(path)) in folders
    ]
    layers = [_with_text(file, texts) for file in agent.layers]
    layers += [file for file in new if file is not None]
    if not any(file is not None for file in new) and all(
        texts.get(file.path, file.text) == file.text for file in _files(agent)
    ):
        return agent
    return replace(
        agent,
        layers=tuple(sorted(layers, key=lambda file: file.layer.rank)),
        includes={name: _with_text(file, texts) for name, file in agent.includes.items()},
        tools=None if agent.tools is None else _with_text(agent.tools, texts),
        declaration=None if agent.declaration is None else _with_text(agent.declaration, texts),
    )


def folder_of(file: LayerFile) -> str | None:
    """Return what stands before the name in a section's path, `None` for a section that is no file."""
    return file.path.removesuffix(file.name) if file.path.endswith(file.name) and file.name.endswith(".j2") else None


def _prefix(folder: str) -> str:
    return f"{folder}/" if folder and folder != "/" else folder


def _files(agent: AgentSources) -> list[SourceFile]:
    others = [file for file in (agent.tools, agent.declaration) if file is not None]
    return [*agent.layers, *agent.includes.values(), *others]


def _with_text(file: _File, texts: Mapping[str, str]) -> _File:
    text = texts.get(file.path, file.text)
    return file if text == file.text else replace(file, text=text)


def _section(path: str, text: str) -> LayerFile | None:
    name = path.rpartition("/")[2]
    layer = next((layer for layer in Stability if name.startswith(layer.value)), None)
    return None if layer is None else LayerFile(path=path, name=name, text=text, layer=layer)
