"""What rules look at: one agent's prompt, and all that is found out about it, each thing once.

Decides nothing itself; each property says which module does.
"""

from __future__ import annotations

from functools import cached_property

from agentcache.lint.agent_sources import AgentSources
from agentcache.prompt.model_facts import ModelFacts, facts_for


class Examination:
    """One agent's prompt under examination."""

    def __init__(self, sources: AgentSources) -> None:
        self.sources = sources

    @cached_property
    def facts(self) -> ModelFacts | None:
        """The facts of the agent's model, `None` where nothing says which it is."""
        return None if self.sources.model is None else facts_for(self.sources.model)
