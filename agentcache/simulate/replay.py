"""Replays cases under one policy: what each call is charged, what was written and never read, what was refused.

The charge comes from the emulator's cache, which knows nothing of plans; time is the traffic's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentcache.accounting.usage import Usage
from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.markers import MAX_MARKERS
from agentcache.emulator.prompt_cache import CachePrompt, Lookup, Marker, PromptCache
from agentcache.prompt.plans import Plan
from agentcache.simulate.cases import Case
from agentcache.simulate.policies import RECORDED, ReplayPolicy, policy_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One call under one policy. `usage` is `None` when the API refuses what the policy would send."""

    case: Case
    usage: Usage | None
    plan: Plan | None
    """`None` for the record's own markers."""


@dataclass(slots=True, kw_only=True)
class Replay:
    """One policy's run through the traffic, call by call in the order of time.

    policy: `None` keeps the record's own markers.
    """

    name: str
    policy: ReplayPolicy | None
    settings: CacheSettings = field(default_factory=CacheSettings)
    refused: int = 0
    _cache: PromptCache = field(init=False)
    _unread: UnreadWrites = field(init=False)

    @classmethod
    def of(cls, name: str) -> Replay:
        """Return a fresh replay of the policy with this name. Raises `TargetError` for an unknown one."""
        return cls(name=name, policy=None if name == RECORDED else policy_named(name))

    def __post_init__(self) -> None:
        self._cache = PromptCache(self.settings)
        self._unread = UnreadWrites()

    @property
    def wasted_write_tokens(self) -> int:
        """Tokens written so far that no call has read."""
        return self._unread.tokens

    def bill(self, case: Case) -> Billed:
        """Charge the next call."""
        plan = None if self.policy is None else self.policy.plan(case)
        markers = case.recorded if plan is None else _markers(case, plan)
        if markers is None or not _is_accepted(markers):
            self.refused += 1
            return Billed(case=case, usage=None, plan=plan)
        prompt = CachePrompt(
            positions=case.prompt.positions,
            markers=tuple(markers),
            total_tokens=case.prompt.total_tokens,
            minimum_tokens=case.prompt.minimum_tokens,
        )
        found = self._cache.look_up(prompt, now=case.call.at_s)
        self._cache.commit(found, first_byte_at=case.call.first_token_at_s)
        self._unread.follow(prompt, found)
        return Billed(case=case, usage=_usage(case, found), plan=plan)


@dataclass(slots=True)
class UnreadWrites:
    """Follows written tokens until somebody reads them. A block written again unread was wasted the first time."""

    _waiting: dict[bytes, int] = field(default_factory=dict)
    _lost: int = 0

    @property
    def tokens(self) -> int:
        """Written tokens that nobody has read: those written over and those that still wait."""
        return self._lost + sum(self._waiting.values())

    def follow(self, prompt: CachePrompt, found: Lookup) -> None:
        """Note what one call read and wrote."""
        positions, hit = prompt.positions, found.hit
        read_to = -1 if hit is None else hit
        for index in range(read_to, -1, -1):
            # Whatever was read once was read together with everything before it.
            if self._waiting.pop(positions[index].digest, None) is None:
                break
        written_to = max((marker.position for marker in prompt.markers), default=-1)
        charge = found.charge
        if charge.write_5m_tokens + charge.write_1h_tokens == 0:
            return
        for index in range(read_to + 1, written_to + 1):
            position = positions[index]
            own = position.tokens - (positions[index - 1].tokens if index else 0)
            self._lost += self._waiting.get(position.digest, 0)
            self._waiting[position.digest] = own


def _markers(case: Case, plan: Plan) -> list[Marker] | None:
    markers = []
    for point in plan.kept:
        position = case.position(point.block)
        if position is None:
            return None
        markers.append(Marker(position, point.ttl))
    return markers


def _is_accepted(markers: Sequence[Marker]) -> bool:
    """Tell whether the API takes these markers: at most four, 1h before 5m (spec 2.5)."""
    lifetimes = [marker.ttl for marker in markers]
    return len(markers) <= MAX_MARKERS and lifetimes == sorted(lifetimes)


def _usage(case: Case, found: Lookup) -> Usage:
    charge = found.charge
    output = (case.call.response_usage or {}).get("output_tokens") if case.call.billed_output else None
    return Usage(
        uncached_input_tokens=charge.plain_tokens,
        cache_write_5m_tokens=charge.write_5m_tokens,
        cache_write_1h_tokens=charge.write_1h_tokens,
        cache_read_tokens=charge.read_tokens,
        output_tokens=output if isinstance(output, int) else 0,
    )
