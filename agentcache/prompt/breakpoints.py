"""Where the cache breakpoints of one request go, with which lifetime, and why; and which were refused, and why.

Input is a layout, the facts of its model and what is known of reuse; output is a plan. Pure and deterministic, and
nothing is written here: wire.py is the only writer of `cache_control`.

What a plan promises
- never more than four breakpoints, the automatic one and the author's own included;
- only on blocks that can carry one, and only where the prefix reaches the model's minimum (both by estimate);
- 1h before 5m: whatever stands before a kept 1h breakpoint is raised to 1h;
- an author's mark is kept under every policy but `off`, or stands among the refused with its reason; more than four of
  them, or one on a block that takes none, is `BreakpointError`. The policy's own give way to the author's;
- nothing is written that no later call could read: without `tail_continues` nothing behind the system prompt, and
  without `prefix_recurs` either, nothing at all;
- the look-back invariant: let W be the longest prefix in `reuse.written` that this layout contains. Whenever the
  author's marks leave a slot, some kept breakpoint stands on W's last block or at most 19 positions behind it, so the
  API's look-back of 20 positions finds W if it still lives. A turn may add any number of positions behind W in one
  go: the breakpoint that finds W need not be the tail. And if the conversation continues, the tail is kept as well,
  or, with a single free slot, the last block within reach of W in its place. So the W of the next call is this call's
  tail or its stand-in, the next call finds that one, and so on for as long as the conversation grows. Not covered are
  entries that the API has dropped and conversations whose earlier messages were changed: no marker helps there.
  `auto` alone may leave the tail unwritten because it should not pay; W is then the longest prefix in `reuse.live`.

Policies: `auto` marks what should pay in expectation, each with the lifetime that should cost least, given what is
known of reuse; `layers` marks the end of each layer and the moving tail; `automatic` leaves the tail to the API's own
top-level marker and adds an anchor only where the look-back needs one; `off` sends no marker at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from agentcache.errors import BreakpointError, SettingsError
from agentcache.prompt.blocks import Block
from agentcache.prompt.layout import Layout
from agentcache.prompt.lookback import (
    REACH_POSITIONS,
    deepest_written,
    furthest_in_reach,
    in_reach,
    layer_ends,
    shared_ends,
)
from agentcache.prompt.model_facts import ModelFacts, Ttl
from agentcache.prompt.payoff import Rates, choose_tail, layer_pays, layer_ttl
from agentcache.prompt.plans import Breakpoint, Origin, Plan, Policy, Refusal, RefusedBreakpoint, wire_order
from agentcache.prompt.reuse import NOTHING_KNOWN, PREFIX_PRIOR, Reuse

MAX_BREAKPOINTS = 4
"""Markers that one request may carry, the automatic one included (spec 2.2)."""


def plan(layout: Layout, facts: ModelFacts, reuse: Reuse = NOTHING_KNOWN, *, policy: Policy = "layers") -> Plan:
    """Return the breakpoints for `layout`.

    Raises `BreakpointError` for more than four author's marks or one on a block that takes none, and `SettingsError`
    for an unknown policy.
    """
    if policy not in get_args(Policy):
        raise SettingsError(f"cache policy {policy!r} is unknown; take one of {', '.join(get_args(Policy))}")
    draft = _Draft(layout=layout, minimum_tokens=facts.minimum_prefix_tokens)
    authors = [_author_point(layout, index) for index in layout.author_marks]
    if policy == "off":
        for point in authors:
            draft.refuse(point, "policy_off", "the policy `off` sends no marker")
        return draft.plan(policy)
    _check_authors(layout, authors)
    draft.kept.extend([point for point in authors if draft.admits(point)])
    layers = _shared_ends(layout, draft, reuse, policy)
    tail = _tail(layout, draft, reuse, automatic=policy == "automatic")
    found = deepest_written(layout, reuse.written, minimum_tokens=draft.minimum_tokens)
    if policy == "auto":
        layers, tail = _weighed(draft, facts, reuse, layers, tail)
        if tail is None:
            # Where nothing new is written, a marker on an entry that has run out would write it once more.
            found = deepest_written(layout, reuse.live, minimum_tokens=draft.minimum_tokens)
    _keep_reachable(draft, found, layers, tail)
    if policy == "auto" and tail is not None:
        _keep_before_loose_end(draft, tail, reuse)
    _keep_layers(draft, found, layers, reuse)
    return draft.plan(policy)


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A plan in the making."""

    layout: Layout
    minimum_tokens: int
    kept: list[Breakpoint] = field(default_factory=list)
    refused: list[RefusedBreakpoint] = field(default_factory=list)

    @property
    def free_slots(self) -> int:
        return MAX_BREAKPOINTS - len(self.kept)

    def keeps(self, block: int) -> bool:
        return any(point.block == block for point in self.kept)

    def admits(self, point: Breakpoint) -> bool:
        """Tell whether `point` can be kept as far as it alone is concerned; refuse it when not."""
        if point.prefix_tokens < self.minimum_tokens:
            have, need = point.prefix_tokens, self.minimum_tokens
            self.refuse(point, "under_minimum", f"about {have} tokens, where the model caches {need} and more")
            return False
        if self.keeps(point.block):
            self.refuse(point, "duplicate", "this block carries a breakpoint already")
            return False
        return True

    def refuse(self, point: Breakpoint, refusal: Refusal, detail: str) -> None:
        self.refused.append(
            RefusedBreakpoint(
                where=point.where,
                block=point.block,
                ttl=point.ttl,
                prefix_tokens=point.prefix_tokens,
                prefix_digest=point.prefix_digest,
                reason=point.reason,
                origin=point.origin,
                automatic=point.automatic,
                refusal=refusal,
                detail=detail,
            )
        )

    def plan(self, policy: Policy) -> Plan:
        kept = _raised(sorted(self.kept, key=wire_order))
        return Plan(
            policy=policy,
            kept=tuple(kept),
            refused=tuple(sorted(self.refused, key=wire_order)),
            automatic=next((point.ttl for point in kept if point.automatic), None),
        )


def _author_point(layout: Layout, index: int) -> Breakpoint:
    block = layout.blocks[index]
    marked = f"section {block.section!r}" if block.section else "this block"
    return _point(layout, index, f"the author marked {marked}", origin="author", ttl=block.mark or "5m")


def _check_authors(layout: Layout, authors: Sequence[Breakpoint]) -> None:
    for point in authors:
        block = layout.blocks[point.block]
        if not block.markable:
            raise BreakpointError(
                f"{point.where} is marked, but {_unmarkable(block)} takes no breakpoint; mark another"
            )
    if len(authors) > MAX_BREAKPOINTS:
        places = ", ".join(point.where for point in authors)
        raise BreakpointError(
            f"{len(authors)} blocks are marked ({places}) but a request carries at most {MAX_BREAKPOINTS} breakpoints; "
            "take marks off prefixes that a later mark covers"
        )


def _unmarkable(block: Block) -> str:
    if block.kind == "text":
        return "a text that is empty or shown for one turn only"
    return f"a {block.kind} block"


def _shared_ends(layout: Layout, draft: _Draft, reuse: Reuse, policy: Policy) -> list[Breakpoint]:
    """Return the ends of prefixes that others may share, most stable first, as far as they could be kept."""
    if policy == "automatic":
        return []
    ends: dict[int, str] = {}
    if policy == "auto":
        ends = dict.fromkeys(reuse.shared, "where prompts part")
        ends.update({index: f"end of the {name}" for name, index in shared_ends(layout).items()})
    ends.update({index: f"end of the {layer} layer" for layer, index in layer_ends(layout).items()})
    in_front = [index for index in sorted(ends) if index < layout.messages_start and layout.blocks[index].markable]
    points = [_point(layout, index, ends[index]) for index in in_front]
    possible = [point for point in points if draft.admits(point)]
    if reuse.tail_continues or reuse.prefix_recurs:
        return possible
    for point in possible:
        draft.refuse(point, "cannot_pay", "no other call will use these tools and this system prompt")
    return []


def _tail(layout: Layout, draft: _Draft, reuse: Reuse, *, automatic: bool) -> Breakpoint | None:
    """Return the last markable block of the messages, if a breakpoint on it could be kept."""
    for index in range(len(layout.blocks) - 1, layout.messages_start - 1, -1):
        if layout.blocks[index].markable:
            break
    else:
        return None
    reason = "moving tail, left to the API" if automatic else "moving tail of the messages"
    point = _point(layout, index, reason, automatic=automatic)
    if not draft.admits(point):
        return None
    if not reuse.tail_continues:
        draft.refuse(point, "cannot_pay", "no other call will extend these messages")
        return None
    return point


def _weighed(
    draft: _Draft, facts: ModelFacts, reuse: Reuse, layers: Sequence[Breakpoint], tail: Breakpoint | None
) -> tuple[list[Breakpoint], Breakpoint | None]:
    """Return layers and tail with the lifetimes that should cost least; refuse those that should not pay."""
    layout = draft.layout
    rates = Rates.of(facts, prompt_tokens=layout.total_tokens)
    outlooks = [reuse.shared.get(point.block, PREFIX_PRIOR) for point in layers]
    if tail is not None:
        # What outlives a silence of more than five minutes without this call's doing: prefixes that others ask for,
        # and what an earlier call wrote for the hour.
        kept_warm = [outlook.soon * point.prefix_tokens for outlook, point in zip(outlooks, layers, strict=True)]
        kept_warm.append(_live_tokens(draft, {digest for digest, ttl in reuse.live.items() if ttl == "1h"}))
        choice = choose_tail(
            new_tokens=tail.prefix_tokens - _live_tokens(draft, reuse.live),
            own_tokens=tail.prefix_tokens - round(max(kept_warm)),
            outlook=reuse.tail,
            rates=rates,
        )
        if choice.ttl is None:
            draft.refuse(tail, "does_not_pay", choice.reason)
            tail = None
        else:
            tail = replace(tail, ttl=choice.ttl, reason=f"{tail.reason}: {choice.reason}")
    kept = []
    for outlook, point in zip(outlooks, layers, strict=True):
        if tail is None and point.prefix_digest not in reuse.live and not layer_pays(outlook, rates):
            draft.refuse(point, "does_not_pay", f"{outlook.soon:.0%} chance of a read within 5m ({outlook.basis})")
        else:
            ttl = layer_ttl(outlook, rates)
            kept.append(point if point.ttl == ttl else replace(point, ttl=ttl))
    return kept, tail


def _live_tokens(draft: _Draft, live: Collection[str]) -> int:
    """Return how much of the prompt can be read from entries with these digests."""
    deepest = deepest_written(draft.layout, live, minimum_tokens=draft.minimum_tokens)
    return 0 if deepest is None else draft.layout.blocks[deepest].prefix_tokens


def _keep_before_loose_end(draft: _Draft, tail: Breakpoint, reuse: Reuse) -> None:
    """Where the last prompts lost their last blocks to the next ones, keep a breakpoint in front of such an end."""
    layout = draft.layout
    if reuse.loose_blocks == 0 or draft.free_slots == 0:
        return
    for index in range(tail.block - reuse.loose_blocks, layout.messages_start - 1, -1):
        if layout.blocks[index].markable:
            reason = f"other prompts share all but the last {reuse.loose_blocks} blocks"
            point = _point(layout, index, reason, ttl=tail.ttl)
            if not draft.keeps(index) and draft.admits(point):
                draft.kept.append(point)
            return


def _keep_reachable(draft: _Draft, found: int | None, layers: Sequence[Breakpoint], tail: Breakpoint | None) -> None:
    """Keep the tail, and what it takes beside it that the longest earlier write is found: the look-back invariant."""
    layout = draft.layout
    if draft.free_slots == 0:
        if tail is not None:
            draft.refuse(tail, "over_four", "the author's marks take all four")
        return
    near = [*draft.kept, tail] if tail is not None else draft.kept
    if found is None or any(in_reach(layout, found, point.block) for point in near):
        anchor = None
    else:
        anchor = next((point for point in layers if point.block == found), _anchor(layout, found))
    if anchor is not None and tail is not None and draft.free_slots == 1:
        reached = furthest_in_reach(layout, anchor.block, until=tail.block)
        reason = f"in place of the tail: the last block that finds the earlier write on {anchor.where}"
        anchor = replace(_anchor(layout, reached), reason=reason)
        draft.refuse(tail, "over_four", f"the one free slot goes to {anchor.where}, which finds the earlier write")
        tail = None
    draft.kept.extend(point for point in (anchor, tail) if point is not None)


def _keep_layers(draft: _Draft, found: int | None, layers: Sequence[Breakpoint], reuse: Reuse) -> None:
    """Keep ends of layers in the slots that are left: least valuable is what a deeper earlier write covers."""

    def is_covered(point: Breakpoint) -> bool:
        return found is not None and point.block < found and point.prefix_digest in reuse.written

    # The sort is stable, so among equals the more stable layer comes first.
    by_value = sorted((point for point in layers if not draft.keeps(point.block)), key=is_covered)
    kept, given_up = by_value[: draft.free_slots], by_value[draft.free_slots :]
    draft.kept.extend(kept)
    for point in given_up:
        taken = ", ".join(other.where for other in sorted(draft.kept, key=wire_order))
        covered = "; an earlier write that reaches further covers it" if is_covered(point) else ""
        draft.refuse(point, "over_four", f"worth less than {taken}{covered}")


def _anchor(layout: Layout, index: int) -> Breakpoint:
    reason = f"anchor on an earlier write that nothing else reaches within {REACH_POSITIONS} positions"
    return _point(layout, index, reason, origin="anchor")


def _point(
    layout: Layout,
    index: int,
    reason: str,
    *,
    origin: Origin = "policy",
    ttl: Ttl = "5m",
    automatic: bool = False,
) -> Breakpoint:
    block = layout.blocks[index]
    return Breakpoint(
        where=block.where,
        block=index,
        ttl=ttl,
        prefix_tokens=block.prefix_tokens,
        prefix_digest=block.prefix_digest,
        reason=reason,
        origin=origin,
        automatic=automatic,
    )


def _raised(kept: Sequence[Breakpoint]) -> list[Breakpoint]:
    """Return the breakpoints with 1h before 5m, as the API demands: earlier ones are raised to 1h."""
    last_long = max((place for place, point in enumerate(kept) if point.ttl == "1h"), default=0)
    return [
        replace(point, ttl="1h", reason=f"{point.reason}; raised to 1h, since {kept[last_long].where} behind it is 1h")
        if place < last_long and point.ttl == "5m"
        else point
        for place, point in enumerate(kept)
    ]
