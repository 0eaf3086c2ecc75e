"""Draw the layout of an agent's request, as `agentcache show --format json` tells it, as an SVG.

    agentcache show agents/review.py:reviewer --format json | python docs/making/layout_picture.py > docs/layout.svg

Blocks stand in the order in which they are sent, a row each, bars to the scale of their tokens; a line below a row is
a breakpoint. Colours follow the reader's scheme, on a background of the picture's own, so that it reads on any page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape
from typing import TypedDict

WIDTH, MARGIN = 860, 24
ROW, GAP, HEAD = 28, 34, 64
NAME_AT, BAR_AT, BAR_LONGEST, TOKENS_AT = 112, 318, 270, 652

STYLE = """
    text { font: 13px ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
    .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 12px }
    .title { font-size: 15px; font-weight: 600 }
    .dim { fill: #59636e }
    .page { fill: #ffffff; stroke: #d1d9e0 }
    .mark { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 5 3 }
    .flag { fill: #bc4c00; font-weight: 500 }
    .static { fill: #1a7f37 } .semi_static { fill: #0969da } .session { fill: #9a6700 } .turn { fill: #8250df }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .dim { fill: #9198a1 }
      .page { fill: #0d1117; stroke: #3d444d }
      .mark { stroke: #f0883e }
      .flag { fill: #f0883e }
      .static { fill: #3fb950 } .semi_static { fill: #58a6ff } .session { fill: #d29922 } .turn { fill: #ab7df8 }
    }
"""


class Block(TypedDict):
    """One block of the request."""

    where: str
    kind: str
    section: str | None
    stability: str
    tokens: int
    prefix_tokens: int


class Mark(TypedDict):
    """One breakpoint that was kept."""

    where: str
    ttl: str
    tokens: int
    reason: str


class Plan(TypedDict):
    """The breakpoints of the request."""

    kept: list[Mark]


class Prefix(TypedDict):
    """What tools and system prompt cost in one call, in dollars."""

    tokens: int
    first_usd: str
    warm_usd: str
    uncached_usd: str


class View(TypedDict):
    """One agent's first request."""

    agent: str
    model: str
    minimum_prefix_tokens: int
    blocks: list[Block]
    plan: Plan
    prefix: Prefix


def drawn(shown: str) -> str:
    """Return the SVG of the first agent in what `agentcache show --format json` prints."""
    return picture(json.loads(shown)["agents"][0])


def picture(view: View) -> str:
    """Return the SVG of one agent's first request."""
    height, drawn = _rows(view["blocks"], {mark["where"]: mark for mark in view["plan"]["kept"]})
    cost = view["prefix"]
    prices = (
        f"${_dollars(cost['first_usd'])} in the first call, "
        f"${_dollars(cost['warm_usd'])} in each that reads them, ${_dollars(cost['uncached_usd'])} without caching."
    )
    bottom = height + 58
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" width="{WIDTH}" height="{bottom}" '
        'role="img" aria-labelledby="title">',
        f'  <title id="title">The request of the agent {escape(view["agent"])}, block by block, with its breakpoints'
        "</title>",
        f"  <style>{STYLE}  </style>",
        f'  <rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{bottom - 1}" rx="8"/>',
        _text(MARGIN, 30, f"{view['agent']}, first call", "title"),
        _text(
            MARGIN, 50, f"{view['model']}, which caches prefixes of {view['minimum_prefix_tokens']:,} tokens on", "dim"
        ),
        _text(TOKENS_AT, 50, "tokens", "dim", end=True),
        *drawn,
        _text(MARGIN, bottom - 38, f"Tools and system prompt, {cost['tokens']:,} tokens:"),
        _text(MARGIN, bottom - 18, prices),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _rows(blocks: Sequence[Block], marks: dict[str, Mark]) -> tuple[int, list[str]]:
    """Return where the rows end, and their drawings."""
    longest = max(block["tokens"] for block in blocks)
    drawn: list[str] = []
    top = HEAD
    layer = ""
    for block in blocks:
        middle = top + ROW // 2
        name = {"tools": "tools", "system": "", "messages": "message"}[block["where"].split("[")[0]]
        if (label := name or block["stability"]) != layer:
            layer = label
            drawn.append(_text(MARGIN, middle + 4, label.replace("_", "-"), block["stability"]))
        drawn += _row(block, middle, longest)
        top += ROW
        if block["where"] in marks:
            drawn += _mark(marks[block["where"]], top + 20)
            top += GAP
    return top, drawn


def _row(block: Block, middle: int, longest: int) -> Iterator[str]:
    yield _text(NAME_AT, middle + 4, block["where"], "mono")
    yield _text(BAR_AT - 12, middle + 4, block["section"] or block["kind"], "dim", end=True)
    width = max(2, round(BAR_LONGEST * block["tokens"] / longest))
    yield (f'  <rect class="{block["stability"]}" x="{BAR_AT}" y="{middle - 9}" width="{width}" height="18" rx="2"/>')
    yield _text(TOKENS_AT, middle + 4, f"{block['tokens']:,}", "mono", end=True)


def _mark(mark: Mark, at: int) -> Iterator[str]:
    yield f'  <line class="mark" x1="{MARGIN}" y1="{at}" x2="{WIDTH - MARGIN}" y2="{at}"/>'
    reason = f"breakpoint, {mark['ttl']}: {mark['reason'].split(':')[0]}, {mark['tokens']:,} tokens so far"
    yield _text(WIDTH - MARGIN, at - 6, reason, "flag", end=True)


def _text(x: int, y: int, text: str, kind: str = "", *, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    named = f' class="{kind}"' if kind else ""
    return f'  <text x="{x}" y="{y}"{named}{anchor}>{escape(text)}</text>'


def _dollars(dollars: str) -> str:
    return f"{Decimal(dollars):.5f}"


if __name__ == "__main__":
    sys.stdout.write(drawn(sys.stdin.read()))
