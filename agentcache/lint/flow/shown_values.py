"""Follows values that vary to the places where a prompt shows them, by abstract interpretation of the templates.

What is only prose, a comment, raw text, an unused `set` or macro is never shown, so nothing is said of it. Every
section is given a limited number of steps, so that no template takes long; what was found until then counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentcache.lint.agent_sources import AgentSources, LayerFile
from agentcache.lint.flow.expressions import TooMuch
from agentcache.lint.flow.names import Names
from agentcache.lint.flow.noting import Note
from agentcache.lint.flow.walk import Walk
from agentcache.lint.origins import Origin, OriginKind, Print
from agentcache.lint.syntax import ParsedTemplate

__all__ = ["Flow", "Origin", "OriginKind", "Print", "flow_of", "prints_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What reaches the text. unfinished: sections that make more work than any prompt does; they were left half-way."""

    prints: tuple[Print, ...] = ()
    unfinished: tuple[LayerFile, ...] = ()


def prints_of(sources: AgentSources, parsed: Mapping[str, ParsedTemplate]) -> tuple[Print, ...]:
    """Return every place where a value that varies reaches the text of a section, in order of sections and text.

    What the section's own layer may hold is among them; whether it is a mistake is for the rules to say.
    """
    return flow_of(sources, parsed).prints


def flow_of(sources: AgentSources, parsed: Mapping[str, ParsedTemplate]) -> Flow:
    """Return the prints, and the sections in which not all could be followed."""
    names = Names(sources)
    prints: list[Print] = []
    unfinished: list[LayerFile] = []
    for file in sources.layers:
        walk = Walk(sources, parsed, names)
        try:
            walk.walk(parsed[file.name])
        except (TooMuch, RecursionError):
            unfinished.append(file)  # what was noted until then is true
        prints += dict.fromkeys(_print(note, file) for note in walk.notes.prints)
    return Flow(prints=tuple(prints), unfinished=tuple(unfinished))


def _print(note: Note, file: LayerFile) -> Print:
    return Print(
        place=note.place,
        layer=file.layer,
        section=file.name,
        origins=note.origins,
        role=note.role,
        expression=note.expression,
        through=note.through,
    )
