"""The plan of one request: its breakpoints, kept and refused, each with its place, lifetime and reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import Ttl

Policy: TypeAlias = Literal["auto", "layers", "automatic", "off"]
"""Where breakpoints go: where they should pay, one a layer and a moving tail, where the API wants them, nowhere."""
Origin: TypeAlias = Literal["author", "policy", "anchor"]
Refusal: TypeAlias = Literal["under_minimum", "over_four", "cannot_pay", "does_not_pay", "duplicate", "policy_off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakpoint:
    """A breakpoint that was asked for. `prefix_tokens` is an estimate."""

    where: str
    block: int
    """Index into `layout.blocks`."""
    ttl: Ttl
    prefix_tokens: int
    prefix_digest: str
    reason: str
    origin: Origin
    automatic: bool = False
    """Whether the API places it (top-level `cache_control`) and the block itself carries none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedBreakpoint(Breakpoint):
    """A breakpoint that was asked for and not kept."""

    refusal: Refusal
    detail: str
    """The reason in words, with what took its place where something did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The breakpoints of one request, in wire order."""

    policy: Policy
    kept: tuple[Breakpoint, ...]
    refused: tuple[RefusedBreakpoint, ...]
    automatic: Ttl | None
    """Lifetime of the top-level marker; `None` when there is none."""

    @property
    def asked(self) -> tuple[Breakpoint, ...]:
        """Everything that was asked for, kept or refused, in wire order."""
        return tuple(sorted((*self.kept, *self.refused), key=wire_order))

    def to_json(self) -> JsonObject:
        """Return the plan as the ledger keeps it: digests, places and counts, no prompt text."""
        return {
            "policy": self.policy,
            "automatic": self.automatic,
            "asked": [point.where for point in self.asked],
            "kept": [_json(point) for point in self.kept],
            "refused": [{**_json(point), "refusal": point.refusal, "detail": point.detail} for point in self.refused],
        }


def wire_order(point: Breakpoint) -> int:
    """Sort key: the order in which breakpoints stand on the wire."""
    return point.block


def _json(point: Breakpoint) -> JsonObject:
    return {
        "where": point.where,
        "ttl": point.ttl,
        "tokens": point.prefix_tokens,
        "digest": point.prefix_digest,
        "reason": point.reason,
        "origin": point.origin,
    }
