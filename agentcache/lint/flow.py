"""Follows values that vary to the places where a prompt shows them, by abstract interpretation of the templates.

What is only prose, a comment, raw text, an unused `set` or macro is never shown, so nothing is said of it. Every
section is given a limited number of steps, so that no template takes long; what was found until then counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from agentcache.lint.agent_sources import AgentSources, LayerFile
from agentcache.lint.flow_expressions import TooMuch
from agentcache.lint.flow_names import Names
from agentcache.lint.flow_noting import Note
from agentcache.lint.flow_walk import Walk
from agentcache.lint.origins import Origin, OriginKind, Print
from agentcache.lint.syntax import ParsedTemplate

__all__ = ["Origin", "OriginKind", "Print", "prints_of"]


def prints_of(sources: AgentSources, parsed: Mapping[str, ParsedTemplate]) -> tuple[Print, ...]:
    """Return every place where a value that varies reaches the text of a section, in order of sections and text.

    What the section's own layer may hold is among them; whether it is a mistake is for the rules to say.
    """
    names = Names(sources)
    return tuple(found for file in sources.layers for found in _prints_in(file, sources, parsed, names))


def _prints_in(
    file: LayerFile, sources: AgentSources, parsed: Mapping[str, ParsedTemplate], names: Names
) -> list[Print]:
    walk = Walk(sources, parsed, names)
    with suppress(TooMuch, RecursionError):  # what was noted until then is true
        walk.walk(parsed[file.name])
    seen: dict[Print, None] = {}
    for note in walk.notes.prints:
        seen.setdefault(_print(note, file))
    return list(seen)


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
