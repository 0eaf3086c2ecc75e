"""How far back the API looks for an earlier write, in positions of a layout.

From a breakpoint the API tests its own position and those before it, 20 in all, for an entry that an earlier request
wrote; a run of tool_use or of tool_result is one position (spec 2.3, the Claude API; the layout counts the runs). It
finds earlier writes only, never merely equal content.
"""

from __future__ import annotations

from collections.abc import Collection

from agentcache.prompt.layout import Layout
from agentcache.prompt.sections import Stability

WINDOW_POSITIONS = 20
"""Positions that one breakpoint tests, its own included."""

REACH_POSITIONS = WINDOW_POSITIONS - 1
"""The most positions that may lie between an earlier write and the breakpoint that is to find it."""


def in_reach(layout: Layout, written: int, breakpoint_at: int) -> bool:
    """Tell whether a breakpoint on block `breakpoint_at` finds an entry that ends on block `written`."""
    if breakpoint_at < written:
        return False
    return layout.blocks[breakpoint_at].position - layout.blocks[written].position <= REACH_POSITIONS


def deepest_written(layout: Layout, written: Collection[str], *, minimum_tokens: int = 0) -> int | None:
    """Return the index of the last block whose prefix is in `written` and could be; `None` when there is none.

    Nothing was ever written on a block that takes no marker, nor for a prefix under `minimum_tokens`.
    """
    if not written:
        return None
    for index in range(len(layout.blocks) - 1, -1, -1):
        block = layout.blocks[index]
        if block.prefix_tokens < minimum_tokens:
            return None
        if block.prefix_digest in written and block.markable:
            return index
    return None


def furthest_in_reach(layout: Layout, written: int, *, until: int) -> int:
    """Return the last markable block, `until` at most, from which an entry on block `written` is still found."""
    for index in range(until, written, -1):
        if layout.blocks[index].markable and in_reach(layout, written, index):
            return index
    return written


def layer_ends(layout: Layout) -> dict[Stability, int]:
    """Return the index of the last markable block of each layer of tools and system, last layer first."""
    ends: dict[Stability, int] = {}
    last: Stability | None = None
    for index in range(layout.messages_start - 1, -1, -1):
        block = layout.blocks[index]
        if block.markable and block.stability is not last:
            last = block.stability
            ends.setdefault(last, index)
    return ends


def shared_ends(layout: Layout) -> dict[str, int]:
    """Return where prefixes end that several agents or conversations may share: the block's index by its name.

    Where a team's prompts part is known when it is declared; else the end of the tools is taken for it. Then comes
    each layer. A block at which two of them end has the later name alone, so that a prefix is counted once.
    """
    ahead = [(index, block) for index, block in enumerate(layout.blocks[: layout.messages_start]) if block.markable]
    ends = {"shared sections" if block.section else "shared tools": index for index, block in ahead if block.parting}
    tools = [index for index, block in ahead if block.level == "tools"]
    if tools and not ends:
        ends["tools"] = tools[-1]
    ends.update({layer.value: index for layer, index in layer_ends(layout).items()})
    named = {index: name for name, index in ends.items()}
    return {name: index for index, name in named.items()}
