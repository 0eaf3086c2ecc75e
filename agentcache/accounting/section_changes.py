"""Where in which template the sections of two calls part: what a miss's place is in the author's own files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agentcache.accounting.misses import Cause, Miss
from agentcache.prompt.provenance import Provenance, SectionChange, first_change
from agentcache.prompt.spans import Span

EXPLAINED_BEFORE_S = 3600.0 + 300.0
"""How far before a call lies what may explain it: the longest lifetime, and a margin for calls that took their time."""


def provenance_of(misses: Iterable[Miss]) -> set[str]:
    """Return the digests of the provenance that `section_change` needs for these misses."""
    pairs = [pair for miss in misses if (pair := _pair(miss))]
    return {digest for pair in pairs for digest in pair}


def requests_of(misses: Iterable[Miss]) -> set[str]:
    """Return the calls whose requests say from what to what a section changed, where their text was kept."""
    pairs = [miss for miss in misses if miss.cause is Cause.MOVED and miss.span.section is not None]
    return {call.call_id for miss in pairs for call in (miss.call, miss.earlier)}


def section_change(miss: Miss, provenance: Mapping[str, Provenance]) -> SectionChange | None:
    """Return where the section that moved parts from what the call before sent; `None` where that is not known.

    Not known are tools, settings and messages, sections that no template made or that the call before did not have,
    and calls from before provenance was kept.
    """
    pair = _pair(miss)
    if pair is None:
        return None
    before, now = (provenance.get(digest) for digest in pair)
    return None if before is None or now is None else first_change(before, now)


def earlier_span(miss: Miss) -> Span | None:
    """Return the same section in the prompt of the call before."""
    spans = miss.earlier.prompt_spans or ()
    return next((span for span in spans if miss.span.section and span.section == miss.span.section), None)


def _pair(miss: Miss) -> tuple[str, str] | None:
    before = earlier_span(miss)
    if miss.cause is not Cause.MOVED or before is None or before.provenance is None or miss.span.provenance is None:
        return None
    return before.provenance, miss.span.provenance
