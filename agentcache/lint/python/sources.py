"""What the linter looks at of an agent that a Python file declares: its `AgentSources`.

Decides how what the file says becomes templates and variables. A value that is computed (`{"today": date.today()}`)
becomes a `set` in front of the templates that use it, so that its volatility flows into them as any other does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from agentcache.errors import TemplateError
from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.located_text import InlineSection, InlineSource, LocatedText
from agentcache.lint.own_agents import OwnSources
from agentcache.lint.python.agents import DeclaredAgent, DeclaredSection, Variable
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sandbox import template_environment
from agentcache.prompt.sections import Section, Stability
from agentcache.prompt.template_uses import Scans


class Files(Protocol):
    """Reads what a Python file names. Both return `None` for what is not there."""

    def directory(self, path: str) -> AgentSources | None:
        """Return a prompt directory as it is read for itself."""
        ...

    def text(self, path: str) -> SourceFile | None:
        """Return a text file."""
        ...


def sources_of(agent: DeclaredAgent, *, path: str, files: Files) -> OwnSources | None:
    """Return what is linted of an agent that the Python file at `path` declares; `None` where that is nothing.

    A variable that nobody gives is of the first of the layers session and turn that uses it, as in a run.
    """
    read = [found for each in agent.directories if (found := files.directory(each)) is not None]
    layers = [layer for found in read for layer in found.layers]
    layers += [layer for section in agent.sections if (layer := _layer(section, files)) is not None]
    if not layers:
        return None
    whole = len(read) == len(agent.directories)
    includes: dict[str, SourceFile] = {name: file for found in read for name, file in found.includes.items()}
    includes |= {name: _include(name, text) for name, text in agent.includes.items()}
    given = [variable for variables in agent.variables.values() for variable in variables]
    ordered = _named_apart(sorted(layers, key=lambda layer: layer.layer.rank), taken=includes)
    prepared = tuple(_prepared(layer, given) for layer in ordered)
    return OwnSources(
        agent=agent.name or f"{path}:{agent.spot[0]}",
        model=agent.model if agent.whole and whole else None,
        layers=prepared,
        includes=includes,
        tools=agent.tools,
        variables=_with_used(_variables(agent, read), prepared, includes),
        complete=False,
        refreshed=agent.refreshed,
    )


def _layer(section: DeclaredSection, files: Files) -> LayerFile | None:
    if isinstance(section.template, LocatedText):
        written = section.template.tidied()
        name = section.name or section.layer.value
        return InlineSection(path=written.label, name=name, text=written.text, layer=section.layer, written=written)
    file = files.text(section.template.path)
    name = section.name or section.layer.value
    return None if file is None else LayerFile(path=file.path, name=name, text=file.text, layer=section.layer)


def _include(name: str, text: LocatedText) -> InlineSource:
    written = text.tidied()
    return InlineSource(path=written.label, name=name, text=written.text, written=written)


def _named_apart(layers: Sequence[LayerFile], *, taken: Mapping[str, object]) -> list[LayerFile]:
    """Return the sections with a name each."""
    seen = set(taken)
    named: list[LayerFile] = []
    for layer in layers:
        free = (
            name for at in range(len(layers) + 1) if (name := f"{layer.name}_{at}" if at else layer.name) not in seen
        )
        name = next(free, layer.name)
        seen.add(name)
        named.append(layer if name == layer.name else replace(layer, name=name))
    return named


def _prepared(layer: LayerFile, variables: Sequence[Variable]) -> LayerFile:
    """Return a section with the computed variables that it uses set in front of it."""
    used = [each for each in variables if each.computed and re.search(rf"\b{re.escape(each.name)}\b", layer.text)]
    if not used:
        return layer
    written = layer.written if isinstance(layer, InlineSection) else LocatedText.of_file(layer.path, layer.text)
    whole = written
    for variable in reversed(used):
        whole = _set(variable, written) + whole
    path = f"{written.label}+{','.join(variable.name for variable in used)}"
    return InlineSection(path=path, name=layer.name, text=whole.text, layer=layer.layer, written=whole)


def _set(variable: Variable, template: LocatedText) -> LocatedText:
    """Return the `set` of a variable; its place is that of the value, where that is in the same file."""
    if variable.computed is None:
        return template.part(0, 0)
    expression = variable.computed.text.removeprefix("{{ ").removesuffix(" }}")
    there = variable.computed if variable.computed.path == template.path else template
    return replace(there.filled(f"{{% set {variable.name} = {expression} %}}"), prints_python=True)


def _variables(agent: DeclaredAgent, read: Sequence[AgentSources]) -> dict[Stability, dict[str, JsonValue]]:
    found: dict[Stability, dict[str, JsonValue]] = {layer: {} for layer in Stability}
    for sources in read:
        for layer, values in sources.variables.items():
            found[layer].update(values)
    for layer, given in agent.variables.items():
        for values in found.values():
            for variable in given:
                values.pop(variable.name, None)
        found[layer].update({variable.name: variable.value for variable in given})
    return found


def _with_used(
    variables: Mapping[Stability, Mapping[str, JsonValue]],
    layers: Sequence[LayerFile],
    includes: Mapping[str, SourceFile],
) -> Mapping[Stability, Mapping[str, JsonValue]]:
    """Return the variables with those that a less stable layer brings and a more stable one uses too.

    What is used in the layer that brings it alone stays undeclared: its name then tells what it is, and nobody has said
    that it holds still.
    """
    texts = {name: file.text for name, file in includes.items()}
    scans = Scans(template_environment(texts), texts, sections=())
    users: dict[str, set[Stability]] = {}
    try:
        for layer in layers:
            for use in scans.of_section(Section(name=layer.name, template=layer.text)):
                users.setdefault(use.name, set()).add(layer.layer)
    except TemplateError:
        return variables  # what does not parse, or includes what is not there, is told by the rules
    found = {layer: dict(variables.get(layer, {})) for layer in Stability}
    given = {name for names in found.values() for name in names}
    for name, used in users.items():
        brought = used & {Stability.SESSION, Stability.TURN}
        if name not in given and brought and used - {max(used, key=lambda layer: layer.rank)}:
            found[min(brought, key=lambda layer: layer.rank)][name] = None
    return found
