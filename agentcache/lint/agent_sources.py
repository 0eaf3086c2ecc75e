"""What is linted: everything that an author wrote for one agent, as text, with the paths that findings name.

Values only. They come from a prompt directory (reading.py), from an `Agent` in Python (runtime/agent_lint.py), or from
a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file as it was read, line ends included. name: what templates include it by; path: what findings call it."""

    path: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFile(SourceFile):
    """A section's template."""

    layer: Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What the author's template environment offers beyond plain Jinja (`[environment]` of agent.toml)."""

    globals: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSources:
    """One agent's prompt.

    agent: its name, for messages. model: `None` where nothing says which.
    layers: the section templates in the order in which they are sent.
    includes: template name -> file, for include, import and extends.
    tools: the tools as a JSON text of Messages tool definitions; `None` where there are none.
    variables: layer -> name -> example value; a variable without one has `None`.
    types: variable -> type where the value does not tell it (`set`, `frozenset`, `dict:unordered`, `datetime`,
        `object`, `list[object]`).
    complete: whether `variables` names every variable that there is; otherwise an unknown one is no mistake.
    """

    agent: str
    model: str | None = None
    layers: tuple[LayerFile, ...] = ()
    includes: Mapping[str, SourceFile] = field(default_factory=dict)
    tools: SourceFile | None = None
    declaration: SourceFile | None = None
    """agent.toml as it was read."""
    variables: Mapping[Stability, Mapping[str, JsonValue]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    offered: Offered = Offered()
    complete: bool = True
