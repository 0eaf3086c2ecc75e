"""What came out: each policy's buckets and cost beside the bound, as `simulate` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agentcache.accounting.bound import InputBound
from agentcache.accounting.pricing import plain_usd
from agentcache.accounting.usage import Usage
from agentcache.prompt.canonical import JsonObject
from agentcache.simulate.cases import Case
from agentcache.simulate.replay import Billed, Replay

_PRICED_TOKENS = 10**6
"""Prices are dollars per million tokens."""


@dataclass(slots=True, kw_only=True)
class PolicyOutcome:
    """One policy's sums. `cost_usd` is `None` when a model of the traffic is unpriced; money is US dollars.

    Calls that the API refuses are counted in `calls` and in `refused`, and cost nothing.
    """

    name: str
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = Decimal(0)
    refused: int = 0
    wasted_write_tokens: int = 0
    keep_alive_reads: int = 0
    """Reads that kept prompts alive: in the buckets and the cost, not in `calls`."""
    details: list[JsonObject] = field(default_factory=list)

    def add(self, billed: Billed, *, keep_details: bool) -> None:
        """Add one call and the keep-alive reads before it."""
        self.calls += 1
        usage = billed.usage or Usage()
        self._charge(billed.case, usage)
        for each in billed.reads:
            self.keep_alive_reads += 1
            self._charge(each.read.case, each.usage)
        if keep_details:
            call = billed.case.call
            self.details.append({"t": call.at_s, "agent": call.agent, **buckets(usage)})

    def _charge(self, case: Case, usage: Usage) -> None:
        self.usage += usage
        cost = case.cost_usd(usage)
        self.cost_usd = None if cost is None or self.cost_usd is None else self.cost_usd + cost

    def to_json(self, *, ratio: float | None, with_details: bool) -> JsonObject:
        """Return the policy's object of the simulate JSON (docs/formats.md)."""
        body: JsonObject = {
            "name": self.name,
            "calls": self.calls,
            **buckets(self.usage),
            "cost_usd": None if self.cost_usd is None else plain_usd(self.cost_usd),
            "ratio_to_bound": None if ratio is None else round(ratio, 6),
            "refused": self.refused,
            "wasted_write_tokens": self.wasted_write_tokens,
            "keep_alive_reads": self.keep_alive_reads,
        }
        if with_details:
            body["calls_detail"] = list(self.details)
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All policies on one traffic.

    bound_usd: the least for the input, and what the answers cost, which every policy pays alike. output_usd: the
    latter alone; 0 where no answer's length is recorded. Both are `None` when a model is unpriced.
    """

    bound_usd: Decimal | None
    output_usd: Decimal | None
    policies: tuple[PolicyOutcome, ...]

    def ratio_to_bound(self, policy: PolicyOutcome) -> float | None:
        """Return a policy's input cost divided by the bound of the input.

        `None` when either is unknown, when the bound is zero, and when the API refused some of the policy's calls:
        the bound is that of all calls.
        """
        if self.bound_usd is None or self.output_usd is None or policy.cost_usd is None or policy.refused:
            return None
        floor = self.bound_usd - self.output_usd
        return float((policy.cost_usd - self.output_usd) / floor) if floor > 0 else None

    def to_json(self, *, per_call: bool = False) -> JsonObject:
        """Return the simulate JSON (docs/formats.md)."""
        return {
            "bound_usd": None if self.bound_usd is None else plain_usd(self.bound_usd),
            "policies": [
                policy.to_json(ratio=self.ratio_to_bound(policy), with_details=per_call) for policy in self.policies
            ],
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
    unpriced_models: set[str] = field(default_factory=set)
    """Models of the traffic whose price is unknown: with them, so are costs and the bound."""
    _outcomes: list[PolicyOutcome] = field(init=False)
    _bound: InputBound = field(default_factory=InputBound)
    _output_usd: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        self._outcomes = [PolicyOutcome(name=replay.name) for replay in self.replays]

    def run(self, cases: Iterable[Case]) -> Iterator[Sequence[Billed]]:
        """Bill every case under every policy; yield each call's bills, so that a caller can show how far it is."""
        for case in cases:
            self._add_to_bound(case)
            billed = [replay.bill(case) for replay in self.replays]
            for outcome, one in zip(self._outcomes, billed, strict=True):
                outcome.add(one, keep_details=self.keep_details)
            yield billed

    def _add_to_bound(self, case: Case) -> None:
        call = case.bound_call()
        if call is None:
            self.unpriced_models.add(case.facts.model)
            return
        self._bound.add(call)
        self._output_usd += case.output_tokens * call.prices.output_usd / _PRICED_TOKENS

    def outcome(self) -> Outcome:
        """Return the sums of everything billed so far, and the bound of it."""
        for outcome, replay in zip(self._outcomes, self.replays, strict=True):
            outcome.refused, outcome.wasted_write_tokens = replay.refused, replay.wasted_write_tokens
        output_usd = None if self.unpriced_models else self._output_usd
        bound_usd = None if output_usd is None else self._bound.usd + output_usd
        return Outcome(bound_usd=bound_usd, output_usd=output_usd, policies=tuple(self._outcomes))
