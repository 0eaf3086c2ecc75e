"""The sections of a system prompt as a request log of the runtime keeps them: which block, which layer, made of what.

An optional key of a line, `sections`; other readers pass over it, and logs of other clients have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.provenance import Provenance, provenance_from_json
from agentcache.prompt.spans import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSection:
    """A section of one request. where: its block, `system[1]`. made_of: `None` for one that no template made."""

    where: str
    section: str
    layer: str
    made_of: Provenance | None = None

    def to_json(self) -> JsonObject:
        """Return the fields by name."""
        made_of = None if self.made_of is None else self.made_of.to_json()
        return {"where": self.where, "section": self.section, "layer": self.layer, "made_of": made_of}


def logged_sections(
    spans: Iterable[Span], sources: Callable[[Iterable[str]], tuple[Provenance, ...]]
) -> tuple[LoggedSection, ...]:
    """Return the sections of a prompt."""
    named = [(span, span.section) for span in spans if span.section is not None]
    made_of = {each.digest: each for each in sources(span.provenance for span, _ in named if span.provenance)}
    return tuple(
        LoggedSection(where=span.where, section=name, layer=span.layer, made_of=made_of.get(span.provenance or ""))
        for span, name in named
    )


def sections_from_json(told: JsonValue) -> tuple[LoggedSection, ...]:
    """Return what a line of a log says of its sections; those that are not understood are left out."""
    return tuple(section for each in (told if isinstance(told, list) else []) if (section := _section(each)))


def _section(told: JsonValue) -> LoggedSection | None:
    if not isinstance(told, dict):
        return None
    made_of = told.get("made_of")
    match told:
        case {"where": str(where), "section": str(section), "layer": str(layer)}:
            try:
                read = None if made_of is None else provenance_from_json(made_of)
            except ValueError:
                return None  # of another version, which is no reason to refuse the log
            return LoggedSection(where=where, section=section, layer=layer, made_of=read)
    return None
