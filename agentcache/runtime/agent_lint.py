"""An agent as the linter sees it, and the linter's rules where an agent is declared or run under `strict=True`.

Decides what of an agent is linted. Its runtime sends values in one order and one form (`plain_values.py`,
`canonical_text`), gives templates no clock and no choice at random, and refuses a variable of a less stable layer when
the agent is declared. So what is handed to the linter has no types, offers nothing and is tidied: rules on sets,
default representations, unknown globals and white space have nothing to find in it, and no false alarm to give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from agentcache.errors import FoundMistake, MistakesFound
from agentcache.lint.agent_sources import LayerFile, SourceFile
from agentcache.lint.finding import Finding
from agentcache.lint.located_text import InlineSection, InlineSource, LocatedText
from agentcache.lint.own_agents import OwnSources, lint_own
from agentcache.lint.suppressions import judge
from agentcache.prompt.canonical import JsonValue, canonical_text
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.sections import Section, Stability
from agentcache.runtime.written_texts import find_written

if TYPE_CHECKING:
    from agentcache.runtime.agent import Agent, OutputT

Finder: TypeAlias = Callable[[str], LocatedText | None]
"""Finds where a text that was declared in Python is written."""


def nowhere(text: str) -> LocatedText | None:
    """Find no text."""
    return None


def agent_sources(agent: Agent[object], *, find: Finder = nowhere) -> OwnSources:
    """Return what is linted of an agent.

    Sections from files are called by these, others by the place that `find` tells, or by agent and section. Raises
    `SettingsError` for a variable without a plain value.
    """
    return OwnSources(
        agent=agent.name,
        model=agent.model,
        layers=tuple(_layer(agent, section, find) for section in agent.prompt.sections),
        includes={name: _include(agent, name, text, find) for name, text in agent.prompt.includes.items()},
        tools=_tools(agent),
        variables=_variables(agent),
        refreshed=callable(agent.semi_static),
        complete=False,  # what nobody gives is refused when the agent is declared, or done without
    )


def findings_in(agents: Iterable[Agent[object]]) -> tuple[Finding, ...]:
    """Return what the rules find in agents, which are linted together, at places in the author's files.

    What a comment in a template ignores (`{# agentcache: ignore PC010 reason #}`) is left out.
    """
    agents = list(agents)
    if not _judged([agent_sources(agent) for agent in agents]):
        return ()
    return _judged([agent_sources(agent, find=find_written) for agent in agents])  # only now, since it takes time


def _judged(sources: Sequence[OwnSources]) -> tuple[Finding, ...]:
    files = [file for agent in sources for file in (*agent.layers, *agent.includes.values())]
    texts = {file.path: file.text for file in files if not isinstance(file, InlineSection | InlineSource)}
    return judge(lint_own(sources), texts, {}).findings


@lru_cache(maxsize=256)
def mistakes_in(agent: Agent[object]) -> tuple[Finding, ...]:
    """Return what the rules find in one agent alone; each agent value is linted once."""
    return findings_in([agent])


def refuse_mistakes(agent: Agent[OutputT]) -> tuple[Finding, ...]:
    """Lint an agent that is declared or run under `strict=True`; return what is no error.

    Raises `MistakesFound` with every finding when one of them is an error.
    """
    findings = mistakes_in(cast("Agent[object]", agent))
    if any(finding.severity == "error" for finding in findings):
        raise mistakes_found(findings, what=f"agent {agent.name!r}")
    return findings


def mistakes_found(findings: Sequence[Finding], *, what: str) -> MistakesFound:
    """Return the error that lists findings; `what` was linted."""
    found = tuple(map(as_found, findings))
    count = f"{len(found)} mistakes" if len(found) > 1 else "a mistake"
    return MistakesFound("\n".join([f"{what}: {count} in its prompt", *map(str, found)]), found=found)


def as_found(finding: Finding) -> FoundMistake:
    """Return a finding as errors and notices carry it."""
    return FoundMistake(
        code=finding.code,
        name=finding.name,
        severity=finding.severity,
        path=finding.place.path,
        line=finding.place.line,
        message=finding.message,
        fix=finding.fix,
    )


def _layer(agent: Agent[object], section: Section, find: Finder) -> LayerFile:
    layer = section.stability or Stability.STATIC
    if section.source is not None and section.source.endswith(".j2"):
        text = _tidied(section.template)
        return LayerFile(path=section.source, name=Path(section.source).name, text=text, layer=layer)
    written = find(section.template)
    if written is None:
        label = section.label if section.source else f"{agent.name}, section {section.name}"
        return LayerFile(path=label, name=section.name, text=_tidied(section.template), layer=layer)
    tidied = written.tidied()
    return InlineSection(path=written.label, name=section.name, text=tidied.text, layer=layer, written=tidied)


def _include(agent: Agent[object], name: str, text: str, find: Finder) -> SourceFile:
    written = None if name.endswith(".j2") else find(text)
    if written is None:
        return SourceFile(path=_included_path(agent, name), name=name, text=_tidied(text))
    tidied = written.tidied()
    return InlineSource(path=written.label, name=name, text=tidied.text, written=tidied)


def _included_path(agent: Agent[object], name: str) -> str:
    """Return where an included template was read: in or beside the directory of a section, or that one's."""
    folders = {Path(section.source).parent: None for section in agent.prompt.sections if section.source}
    near = [around / name for folder in folders for around in (folder, folder.parent, folder.parent.parent)]
    return next((path.as_posix() for path in near if path.is_file()), name)


def _tidied(text: str) -> str:
    """Return a template as the runtime sends its text, line for line."""
    return "\n".join(canonical_text(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def _tools(agent: Agent[object]) -> SourceFile | None:
    """Return the tools as they are sent; those that are deferred stand in no prefix."""
    sent = [each for each in agent.definitions if each.get("defer_loading") is not True]
    if not sent:
        return None
    text = json.dumps(sent, ensure_ascii=False, indent=2)
    return SourceFile(path=f"{agent.name}, tools", name="tools.json", text=f"{text}\n")


def _variables(agent: Agent[object]) -> Mapping[Stability, Mapping[str, JsonValue]]:
    """Return the variables that the agent gives, and those that its prompt declares, with examples if there are.

    What a run brings and nobody declares is left out: its name then tells what it is.
    """
    own = {Stability.STATIC: plain_variables(agent.variables)}
    if not callable(agent.semi_static):
        own[Stability.SEMI_STATIC] = plain_variables(agent.semi_static or {})
    given = {name for values in own.values() for name in values}
    found: dict[Stability, dict[str, JsonValue]] = {}
    for layer in Stability:
        names = set(agent.prompt.declared[layer])
        if layer is Stability.SEMI_STATIC:
            names |= agent.needs[layer]
        told = {name: agent.prompt.examples[layer].get(name) for name in sorted(names - given)}
        found[layer] = {**told, **own.get(layer, {})}
    return found
