"""Every question about the cache that no source settles, as a named field with the specification's default.

The rules that sources do settle stand in `positions` and `prompt_cache` and have no switch here. Section numbers are
those of the project's prompt-caching specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Platform = Literal["claude_api", "aws", "foundry", "bedrock", "google_cloud"]

_WORKSPACE_PLATFORMS = frozenset({"claude_api", "aws", "foundry"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """How the emulated cache behaves where the documentation leaves it open."""

    platform: Platform = "claude_api"
    """Decides isolation (10, K10) and whether runs of tool blocks share a look-back position (2.3.3)."""

    collapse_tool_runs: bool | None = None
    """Runs of `tool_use` and of `tool_result` count as one position; `None` means: on the Claude API only."""

    test_inside_runs: bool = False
    """Whether the walk tests prefixes that end inside a run, or only at its end (2.3: unsaid)."""

    render_ahead_models: frozenset[str] = frozenset()
    """Models that render thinking and effort ahead of the tools, so that a change loses everything (1.2, 16)."""

    tool_prompt_level: Literal["tools", "messages"] | None = None
    """Where the hidden tool-use prompt counts: at the start of the tools, or of the messages. `None`: `messages` on
    Bedrock, where recorded calls show it behind a marked system prompt, `tools` elsewhere, where records do not say."""

    image_switch: bool = True
    """Whether the presence of any image is a messages-level switch of its own (1.2)."""

    beta_headers_in_key: bool = False
    """Whether the set of `anthropic-beta` values is part of the key (1.2: some matter, which is unknown)."""

    inference_geo_in_key: bool = False
    """Whether `inference_geo` is part of the key (1.2: unknown)."""

    refresh_ancestors: bool = True
    """Whether a hit also renews the older entries on its path (2.3.8, M)."""

    rewrite_expired_below_hit: bool = True
    """Whether a marker below the hit whose own entry has expired writes it again, free (2.3: unsaid)."""

    one_hour_hit_upgrades: bool = False
    """Whether a 1h marker that hits a 5m entry makes it a 1h entry (2.3: assume it stays 5m)."""

    extra_lifetime_s: float = 0.0
    """How long an entry outlives its lifetime, in seconds (5.1: deletion is prompt, not immediate)."""

    hit_probability: float = 1.0
    """Chance that a live entry is found (6: routing can miss; never promised)."""

    nested_markers_count: bool = True
    """Whether a marker on a block inside a `tool_result` counts toward the four (2.4); it never writes an entry."""

    minimum_tokens: Mapping[str, int] = field(default_factory=dict)
    """Minimum prefix per model id where it differs from the facts (X9: Bedrock's own; 4: unwritten ones)."""

    def collapses_runs(self) -> bool:
        """Return whether runs of tool blocks share one look-back position."""
        return self.platform == "claude_api" if self.collapse_tool_runs is None else self.collapse_tool_runs

    def counts_tool_prompt_first(self) -> bool:
        """Return whether the hidden tool-use prompt counts with the tools rather than with the messages."""
        level = self.tool_prompt_level or ("messages" if self.platform == "bedrock" else "tools")
        return level == "tools"

    def isolates_workspaces(self) -> bool:
        """Return whether workspaces of one organisation keep separate caches on this platform."""
        return self.platform in _WORKSPACE_PLATFORMS
