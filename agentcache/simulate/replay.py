"""Replays cases under one policy: what each call is charged, what was written and never read, what was refused.

The charge comes from the emulator's cache, which knows nothing of plans; time is the traffic's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agentcache.accounting.usage import Usage
from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.prompt_cache import CachePrompt, Lookup, Marker, PromptCache
from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.plans import Plan, wire_order
from agentcache.simulate.cases import Case
from agentcache.simulate.keep_alive import KeepAliveRead
from agentcache.simulate.policies import RECORDED, ReplayPolicy, policy_named

READ_S = 1.0
"""How long a keep-alive read takes, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledRead:
    """One keep-alive read and what it was charged."""

    read: KeepAliveRead
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One call under one policy. `usage` is `None` when the API refuses what the policy would send."""

    case: Case
    usage: Usage | None
    plan: Plan | None
    """`None` for the record's own markers."""
    reads: tuple[BilledRead, ...] = ()
    """The policy's keep-alive reads between the call before and this one, in the order of time."""


_Pattern = tuple[tuple[tuple[Ttl, bool], ...], Ttl | None, int]


@dataclass(slots=True, kw_only=True)
class Replay:
    """One policy's run through the traffic, call by call in the order of time.

    policy: `None` keeps the record's own markers.
    """

    name: str
    policy: ReplayPolicy | None
    settings: CacheSettings = field(default_factory=CacheSettings)
    refused: int = 0
    _is_accepted: dict[_Pattern, bool] = field(default_factory=dict)
    _cache: PromptCache = field(init=False)
    _unread: UnreadWrites = field(init=False)

    @classmethod
    def of(cls, name: str, *, keep_alive: bool = True) -> Replay:
        """Return a fresh replay of the policy with this name, with its keep-alive reads or without.

        Raises `TargetError` for an unknown one.
        """
        return cls(name=name, policy=None if name == RECORDED else policy_named(name, keep_alive=keep_alive))

    def __post_init__(self) -> None:
        self._cache = PromptCache(self.settings)
        self._unread = UnreadWrites()

    @property
    def wasted_write_tokens(self) -> int:
        """Tokens written so far that no call has read."""
        return self._unread.tokens

    def bill(self, case: Case) -> Billed:
        """Charge the next call, and the keep-alive reads before it."""
        due = () if self.policy is None else self.policy.reads_before(case.call.at_s)
        reads = tuple(billed for read in due if (billed := self._bill_read(read)) is not None)
        plan = None if self.policy is None else self.policy.plan(case)
        markers = case.judged_markers(None) if plan is None else self._markers(case, plan)
        if markers is None:
            self.refused += 1
            return Billed(case=case, usage=None, plan=plan, reads=reads)
        prompt = _marked(case, markers)
        found = self._cache.look_up(prompt, now=case.call.at_s)
        self._cache.commit(found, first_byte_at=case.call.first_token_at_s)
        self._unread.follow(prompt, found)
        usage = _usage(found, output_tokens=case.output_tokens)
        return Billed(case=case, usage=usage, plan=plan, reads=reads)

    def _bill_read(self, read: KeepAliveRead) -> BilledRead | None:
        """Charge a keep-alive read; `None` when the API refuses its markers, as it did those of its call."""
        markers = self._markers(read.case, read.plan)
        if markers is None:
            return None
        prompt = _marked(read.case, markers)
        found = self._cache.look_up(prompt, now=read.at_s)
        self._cache.commit(found, first_byte_at=read.at_s + READ_S)
        if found.writes:
            # A read that finds what it keeps alive is nobody's use of it.
            self._unread.follow(prompt, found)
        return BilledRead(read=read, usage=_usage(found, output_tokens=0))

    def _markers(self, case: Case, plan: Plan) -> tuple[Marker, ...] | None:
        """Return a plan's markers by the judge's positions; `None` when the API refuses them.

        On blocks that take markers the judge refuses for their number, order and lifetimes alone, so it is asked once
        for each pattern of these.
        """
        points = sorted(plan.kept, key=wire_order)
        markers = []
        for point in points:
            position = case.position(point.block)
            if position is None or not case.layout.blocks[point.block].markable:
                return None
            markers.append(Marker(position, point.ttl))
        blocks = {point.block for point in points}
        pattern = (tuple((point.ttl, point.automatic) for point in points), plan.automatic, len(blocks))
        if pattern not in self._is_accepted:
            self._is_accepted[pattern] = case.judged_markers(plan) is not None
        return tuple(markers) if self._is_accepted[pattern] else None


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


def _marked(case: Case, markers: tuple[Marker, ...]) -> CachePrompt:
    return CachePrompt(
        positions=case.prompt.positions,
        markers=markers,
        total_tokens=case.prompt.total_tokens,
        minimum_tokens=case.prompt.minimum_tokens,
    )


def _usage(found: Lookup, *, output_tokens: int) -> Usage:
    charge = found.charge
    return Usage(
        uncached_input_tokens=charge.plain_tokens,
        cache_write_5m_tokens=charge.write_5m_tokens,
        cache_write_1h_tokens=charge.write_1h_tokens,
        cache_read_tokens=charge.read_tokens,
        output_tokens=output_tokens,
    )
