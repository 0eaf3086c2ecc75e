"""Tools and system prompt of each agent as its last run laid them out: what is the same again is not read again.

A run without a history would otherwise count, digest and chain the same ten thousand words as the run before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agentcache.prompt.layout import Layout


def head_of(layout: Layout) -> Layout:
    """Return the layout of the same tools and system prompt without messages."""
    start, sources = layout.messages_start, layout.sources
    return replace(
        layout,
        messages=(),
        blocks=layout.blocks[:start],
        author_marks=tuple(mark for mark in layout.author_marks if mark < start),
        sources=replace(sources, values={**sources.values, "messages": ()}, pieces={**sources.pieces, "messages": ()}),
    )


@dataclass(slots=True)
class PromptHeads:
    """The newest head by agent. A wrong one costs nothing: `lay_out` takes over only what is the same."""

    room: int = 256
    _heads: dict[str, Layout] = field(default_factory=dict)

    def of(self, agent: str) -> Layout | None:
        """Return the head that the agent of this name had last."""
        return self._heads.get(agent)

    def keep(self, agent: str, layout: Layout) -> None:
        """Remember the head of a layout; the agents that came first go when there are more than `room`."""
        known = self._heads.get(agent)
        start = layout.messages_start
        if known is not None and len(known.blocks) == start and known.blocks == layout.blocks[:start]:
            return
        self._heads.pop(agent, None)
        self._heads[agent] = head_of(layout)
        if len(self._heads) > self.room:
            del self._heads[next(iter(self._heads))]
