"""What came out: each policy's buckets and cost beside the bound, as `simulate` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache.accounting.bound import BoundCall, input_bound_usd
from agentcache.accounting.pricing import cost_usd, plain_usd
from agentcache.accounting.usage import BilledPart, Usage
from agentcache.prompt.canonical import JsonObject
from agentcache.simulate.cases import Case
from agentcache.simulate.replay import Billed, Replay


@dataclass(slots=True, kw_only=True)
class PolicyOutcome:
    """One policy's sums. `cost_usd` is `None` when a model of the traffic is unpriced; money is US dollars."""

    name: str
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = Decimal(0)
    output_usd: Decimal = Decimal(0)
    refused: int = 0
    wasted_write_tokens: int = 0
    details: list[JsonObject] = field(default_factory=list)

    def add(self, billed: Billed, *, keep_details: bool) -> None:
        """Add one call."""
        self.calls += 1
        usage = billed.usage
        if usage is not None:
            self.usage += usage
            self._add_cost(billed.case, usage)
        if keep_details:
            call = billed.case.call
            self.details.append({"t": call.at_s, "agent": call.agent, **buckets(usage or Usage())})

    def _add_cost(self, case: Case, usage: Usage) -> None:
        cost = cost_usd(BilledPart(model=case.facts.model, usage=usage))
        output = cost_usd(BilledPart(model=case.facts.model, usage=Usage(output_tokens=usage.output_tokens)))
        if cost is None or output is None or self.cost_usd is None:
            self.cost_usd = None
            return
        self.cost_usd += cost
        self.output_usd += output

    def ratio_to(self, bound_usd: Decimal | None) -> float | None:
        """Return input cost divided by the input part of the bound; `None` when either is unknown or zero."""
        if self.cost_usd is None or bound_usd is None or self.refused:
            return None
        floor = bound_usd - self.output_usd
        return float((self.cost_usd - self.output_usd) / floor) if floor > 0 else None

    def to_json(self, bound_usd: Decimal | None, *, with_details: bool) -> JsonObject:
        """Return the policy's object of the simulate JSON (DESIGN section 7)."""
        ratio = self.ratio_to(bound_usd)
        body: JsonObject = {
            "name": self.name,
            "calls": self.calls,
            **buckets(self.usage),
            "cost_usd": None if self.cost_usd is None else plain_usd(self.cost_usd),
            "ratio_to_bound": None if ratio is None else round(ratio, 6),
            "refused": self.refused,
            "wasted_write_tokens": self.wasted_write_tokens,
        }
        if with_details:
            body["calls_detail"] = list(self.details)
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All policies on one traffic. `bound_usd` includes what the answers cost; `None` when a model is unpriced."""

    bound_usd: Decimal | None
    policies: tuple[PolicyOutcome, ...]

    def to_json(self, *, per_call: bool = False) -> JsonObject:
        """Return the simulate JSON (DESIGN section 7)."""
        return {
            "bound_usd": None if self.bound_usd is None else plain_usd(self.bound_usd),
            "policies": [policy.to_json(self.bound_usd, with_details=per_call) for policy in self.policies],
        }


def buckets(usage: Usage) -> JsonObject:
    """Return the five buckets under the report's names."""
    return {
        "uncached_input_tokens": usage.uncached_input_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }


@dataclass(slots=True, kw_only=True)
class Simulation:
    """Bills traffic under several policies at once, one call after the other, in the order of time."""

    replays: Sequence[Replay]
    keep_details: bool = False
    _outcomes: list[PolicyOutcome] = field(init=False)
    _bound_calls: list[BoundCall] = field(default_factory=list)
    _unpriced: bool = False

    def __post_init__(self) -> None:
        self._outcomes = [PolicyOutcome(name=replay.name) for replay in self.replays]

    def run(self, cases: Iterable[Case]) -> Iterator[Sequence[Billed]]:
        """Bill every case under every policy; yield each call's bills, so that a caller can show how far it is."""
        for case in cases:
            bound_call = case.bound_call()
            if bound_call is None:
                self._unpriced = True
            else:
                self._bound_calls.append(bound_call)
            billed = [replay.bill(case) for replay in self.replays]
            for outcome, one in zip(self._outcomes, billed, strict=True):
                outcome.add(one, keep_details=self.keep_details)
            yield billed

    def outcome(self) -> Outcome:
        """Return the sums of everything billed so far, and the bound of it."""
        for outcome, replay in zip(self._outcomes, self.replays, strict=True):
            outcome.refused, outcome.wasted_write_tokens = replay.refused, replay.wasted_write_tokens
        bound = None if self._unpriced else input_bound_usd(self._bound_calls)
        if bound is not None and self._outcomes:
            bound += self._outcomes[0].output_usd
        return Outcome(bound_usd=bound, policies=tuple(self._outcomes))
