"""Follows values that vary to the places where a prompt shows them."""

from __future__ import annotations

from collections.abc import Mapping

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.origins import Origin, OriginKind, Print
from agentcache.lint.syntax import ParsedTemplate

__all__ = ["Origin", "OriginKind", "Print", "prints_of"]


def prints_of(sources: AgentSources, parsed: Mapping[str, ParsedTemplate]) -> tuple[Print, ...]:
    """Return every place where a value that varies reaches the text of a layer that is sent before the turn's."""
    return ()
