"""The policies that traffic can be replayed under. A policy sees a case and what it marked before, never what comes.

`layers`, `automatic` and `off` are the planner's own. `recorded` keeps the record's markers. The `fixed-…` policies
are what other frameworks do at their best: last tool, end of system, moving tail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, get_args

from agentcache.errors import TargetError
from agentcache.prompt.breakpoints import plan
from agentcache.prompt.layout import Layout
from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.plans import Breakpoint, Plan, Policy
from agentcache.prompt.reuse import Reuse
from agentcache.prompt.reuse_history import ReuseHistory
from agentcache.simulate.cases import Case
from agentcache.simulate.keep_alive import KeepAliveRead, SilentPrompts


class ReplayPolicy(Protocol):
    """Chooses breakpoints for one case after another, in the order of time."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    def plan(self, case: Case) -> Plan:
        """Return the plan for this call."""
        ...

    def reads_before(self, at_s: float) -> Iterable[KeepAliveRead]:
        """Return the keep-alive reads that the policy makes before `at_s`, in the order of time."""
        ...


@dataclass(slots=True)
class Planner:
    """A policy of the planner. It remembers which prefixes it marked, as the runtime does."""

    name: Policy
    _written: set[str] = field(default_factory=set)

    def plan(self, case: Case) -> Plan:
        """Return the planner's plan, given what was marked before."""
        chosen = plan(case.layout, case.facts, Reuse(written=self._written), policy=self.name)
        self._written.update(point.prefix_digest for point in chosen.kept)
        return chosen

    def reads_before(self, at_s: float) -> Iterable[KeepAliveRead]:
        """Return none: without gaps there is nothing to weigh."""
        return ()


@dataclass(slots=True)
class Learner:
    """The planner's `auto`, learning from the traffic as it comes. keep_alive: whether it reads what falls silent."""

    name: Policy = "auto"
    keep_alive: bool = True
    _history: ReuseHistory = field(default_factory=ReuseHistory)
    _silent: SilentPrompts = field(init=False)

    def __post_init__(self) -> None:
        self._silent = SilentPrompts(self._history)

    def plan(self, case: Case) -> Plan:
        """Return the plan that should cost least, given the calls so far."""
        reuse = self._history.before_call(case.layout, agent=case.call.agent, at_s=case.call.at_s)
        chosen = plan(case.layout, case.facts, reuse, policy=self.name)
        kept = [(point.block, point.ttl) for point in chosen.kept]
        self._history.call_sent(case.layout, kept, agent=case.call.agent, at_s=case.call.at_s)
        if self.keep_alive:
            self._silent.call_sent(case, chosen)
        return chosen

    def reads_before(self, at_s: float) -> Iterable[KeepAliveRead]:
        """Return the reads that should pay; to be taken one after the other, and all of them before the next plan."""
        return self._silent.reads_before(at_s)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Marks the last tool, the end of the system prompt and the tail on every call, needed or not."""

    name: str
    prefix_ttl: Ttl
    tail_ttl: Ttl

    def plan(self, case: Case) -> Plan:
        """Return the same three breakpoints as always."""
        layout = case.layout
        kept = []
        for level in ("tools", "system", "messages"):
            at = _last_markable(layout, level)
            if at is not None:
                kept.append(_breakpoint(layout, at, self.tail_ttl if level == "messages" else self.prefix_ttl))
        return Plan(policy="layers", kept=tuple(kept), refused=(), automatic=None)

    def reads_before(self, at_s: float) -> Iterable[KeepAliveRead]:
        """Return none."""
        return ()


RECORDED = "recorded"


def policy_named(name: str, *, keep_alive: bool = True) -> ReplayPolicy:
    """Return a fresh policy of this name, with its keep-alive reads or without.

    Raises `TargetError` for a name that there is none of.
    """
    fixed: dict[str, tuple[Ttl, Ttl]] = {
        "fixed-5m": ("5m", "5m"),
        "fixed-1h-prefix": ("1h", "5m"),
        "fixed-1h": ("1h", "1h"),
    }
    if name in fixed:
        return Fixed(name, *fixed[name])
    if name == "auto":
        return Learner(keep_alive=keep_alive)
    planned = next((policy for policy in get_args(Policy) if policy == name), None)
    if planned is not None:
        return Planner(planned)
    known = ", ".join(policy_names())
    raise TargetError(f"there is no policy {name!r}; there are {known}")


def policy_names() -> tuple[str, ...]:
    """Return every policy that `simulate` knows, in the order in which it shows them."""
    return ("off", "automatic", "fixed-5m", "fixed-1h-prefix", "fixed-1h", "layers", "auto", RECORDED)


def _last_markable(layout: Layout, level: str) -> int | None:
    return next(
        (
            index
            for index in range(len(layout.blocks) - 1, -1, -1)
            if layout.blocks[index].level == level and layout.blocks[index].markable
        ),
        None,
    )


def _breakpoint(layout: Layout, index: int, ttl: Ttl) -> Breakpoint:
    block = layout.blocks[index]
    return Breakpoint(
        where=block.where,
        block=index,
        ttl=ttl,
        prefix_tokens=block.prefix_tokens,
        prefix_digest=block.prefix_digest,
        reason="always",
        origin="policy",
    )
