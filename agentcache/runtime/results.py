"""What a finished run hands back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Generic

from typing_extensions import TypeVar

from agentcache.accounting.usage import Usage

ResultT_co = TypeVar("ResultT_co", default=object, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(Generic[ResultT_co]):
    """The output of a run and what it used, everything nested in it included.

    output: the agent's or workflow's; run_id: the run's in the ledger; usage: tokens by bucket; turns: model calls.
    `cost_usd` is `None` when a model of the run has no known price. `durable_id` names a durable run at the top: asked
    for by it, the run goes on after its process died, and returns this result once it has ended.
    """

    output: ResultT_co
    run_id: str
    usage: Usage
    cost_usd: Decimal | None
    turns: int
    durable_id: str | None = None
