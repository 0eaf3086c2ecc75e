"""The linter where a runtime, or an agent, is strict: no call is made with a prompt in which it finds an error.

Decides when an agent is linted (before its first run, once for each agent value) and what is told how often (each
warning once in a runtime's life). What the linter looks at is decided in agent_lint.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.agent_run import AgentRun


@dataclass(frozen=True, slots=True, kw_only=True)
class StrictPrompts:
    """Lints the agents of one runtime. strict: all of them, and not only those that are strict themselves."""

    strict: bool = False
    _told: set[str] = field(default_factory=set)

    def check(self, run: AgentRun, *, at: float) -> None:
        """Lint the agent of a run before anything is sent; tell warnings as `Notice`s of code `prompt_mistake`.

        Raises `MistakesFound` for an error.
        """
        for told in self.refuse(run.agent):
            if told not in self._told:
                self._told.add(told)
                run.notice("prompt_mistake", told, at=at)

    def refuse(self, agent: Agent[OutputT]) -> tuple[str, ...]:
        """Return the warnings, a sentence each. Raises `MistakesFound` for an error."""
        if not (self.strict or agent.strict):
            return ()
        # Start-up time: the linter is loaded by whoever asks for it.
        from agentcache.runtime.agent_lint import as_found, refuse_mistakes

        return tuple(str(as_found(finding)) for finding in refuse_mistakes(agent))
