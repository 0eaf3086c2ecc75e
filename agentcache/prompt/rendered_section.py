"""What rendering makes and a layout is made of; apart from both, so that reading a ledger loads no template engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.sections import Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedSection:
    """The text of one section for one call: canonical (`canonical_text`), never empty."""

    name: str
    stability: Stability
    text: str
    breakpoint: Ttl | None
    """The author's explicit mark behind this section; `None` leaves it to the planner."""
    parting: bool = False
    """Whether other agents send the same bytes up to here, and others behind it."""
    provenance: str | None = field(default=None, compare=False)
    """Digest of what the text is made of, which `Renderer.provenance` has; `None` for text from no template."""
