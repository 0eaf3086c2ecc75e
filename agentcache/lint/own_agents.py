"""What the linter says of agents of ours: nothing of what their runtime makes impossible.

A semi-static function is asked once in a refresh window and has one answer for all runs in it. So whatever its values
are called (`news`, `today`), in the semi-static layer they differ from window to window and no oftener. And its planner
marks no prefix under the model's minimum, so a short prompt costs what it costs and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.finding import Finding
from agentcache.lint.linting import lint
from agentcache.lint.located_text import InlineSection, inline_texts, placed
from agentcache.lint.suppressions import judge
from agentcache.prompt.sections import Stability

_BY_NAME = frozenset(f"PC{number:03}" for number in range(1, 10))
"""Codes of what a value is by its name: clock, date, id, person, host, repository, counter, live data."""

_NEVER = frozenset({"PC048"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSources(AgentSources):
    """An agent's prompt that our runtime sends. refreshed: a function gives its semi-static values."""

    refreshed: bool = False


def lint_own(agents: Sequence[OwnSources]) -> tuple[Finding, ...]:
    """Return what the rules find in agents, linted together, at places in the files that their authors wrote.

    What a comment in a template ignores (`{# agentcache: ignore PC010 reason #}`) is left out where the template stands
    in a Python file; comments in files of their own are left to whoever has their texts.
    """
    inline = inline_texts(agents)
    held = {
        layer.path
        for agent in agents
        for layer in agent.layers
        if agent.refreshed and layer.layer is Stability.SEMI_STATIC and not _prints_python(layer)
    }
    found = [
        each
        for each in lint(agents)
        if each.code not in _NEVER and (each.code not in _BY_NAME or each.place.path not in held)
    ]
    return placed(judge(found, {path: text.text for path, text in inline.items()}, {}).findings, inline)


def _prints_python(layer: object) -> bool:
    return isinstance(layer, InlineSection) and layer.written.prints_python
