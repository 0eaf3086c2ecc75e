"""Performs items of other processes' durable runs: an ask that came over a queue becomes an agent's run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from pydantic import TypeAdapter

from agentcache.errors import SettingsError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.agent import Agent
from agentcache.runtime.recorded_steps import RecordedSteps
from agentcache.workflow.asking import Asked, declaration
from agentcache.workflow.durable_runs import Body, as_json
from agentcache.workflow.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The agents that a process serves. `top` gives the run above a new one, with a meter of its own."""

    agents: tuple[Agent[object], ...]
    top: Callable[[], Run]

    def body(self, spec: JsonObject) -> Body:
        """Return how an ask is performed; raises `SettingsError` for an agent that is not served as it is declared."""
        agent = next((each for each in self.agents if declaration(each) == spec.get("declaration")), None)
        if agent is None:
            raise SettingsError(f"agent {spec.get('agent')!r} is not served here as it was declared when it was asked")
        served = agent

        async def body(steps: RecordedSteps, told: JsonObject) -> JsonValue:
            run = replace(self.top(), run_id=cast("str | None", told["parent_run_id"]))
            what = Asked.from_json(told, served)
            child = await run.perform_ask(what, run_id=str(told["run_id"]), steps=steps)
            return {"output": as_json(TypeAdapter(served.output), child.output, served.name)}

        return body
