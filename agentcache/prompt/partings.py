"""Where prompts part inside tools and system: at a block that two of them continue differently. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from agentcache.prompt.layout import Layout


@dataclass(slots=True, kw_only=True)
class Partings:
    """Remembers what stood behind each block of tools and system; `room` blocks, the longest unseen go first."""

    room: int
    _behind: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _parted: set[str] = field(default_factory=set)

    def learn(self, layout: Layout) -> None:
        """Learn from one prompt."""
        for index, block in enumerate(layout.blocks[: layout.messages_start]):
            behind = layout.blocks[index + 1].prefix_digest if index + 1 < layout.messages_start else ""
            if self._behind.setdefault(block.prefix_digest, behind) != behind:
                self._parted.add(block.prefix_digest)
            self._behind.move_to_end(block.prefix_digest)
        while len(self._behind) > self.room:
            forgotten, _ = self._behind.popitem(last=False)
            self._parted.discard(forgotten)

    def __contains__(self, prefix_digest: str) -> bool:
        """Tell whether prompts part behind the block that ends this prefix."""
        return prefix_digest in self._parted
