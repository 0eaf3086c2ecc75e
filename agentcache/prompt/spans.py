"""A prompt as a few runs of blocks, each with its layer, length and digest: what the ledger keeps of its text.

Each tool and each section is a run of its own. Messages are cut only where something depends on it: where a breakpoint
or an earlier write ends, where the newest question begins, and where the conversation went on differently from its last
call. So a row stays as short as tools, sections and breakpoints are few, however long the conversation is. Digests,
places and counts only, never text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from agentcache.prompt.blocks import Block
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.layout import Layout, Level

TOOLS, SETTINGS, HISTORY, TURN = "tools", "settings", "history", "turn"
"""Layers beside the declared ones: tool definitions, what the API renders from settings, earlier messages, and the
newest user message, in which the turn layer stands."""

_SHORT = 19
"""Characters of a shortened digest: its scheme and 64 bits, enough to tell one account's prefixes apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of blocks of one prompt.

    A run of layer `settings` has no tokens: its digest stands for what the API renders from the settings of the call at
    the level that `where` names (tool choice, thinking, effort, output format).
    """

    layer: str
    """`tools`, `static`, `semi_static`, `session`, `history`, `turn` or `settings`."""
    section: str | None
    """The section's name; `None` outside sections."""
    where: str
    """Place of the first block: `tools[0]`, `system[1]`, `messages[3].content[0]`."""
    tokens: int
    """Estimated; the last run counts what asks for the answer, too."""
    digest: str
    """Shortened digest of the whole prefix that ends with the run."""
    parted: bool = False
    """Whether the last call of the conversation, as this process knows it, went on differently from here."""
    provenance: str | None = None
    """Digest of what a section's text is made of (`provenance.py`); `None` where no template made it, and in a run from
    before this was kept."""

    def to_json(self) -> JsonValue:
        """Return the fields as a list, which takes less room than their names would."""
        told: list[JsonValue] = [self.layer, self.section, self.where, self.tokens, self.digest, self.parted]
        return told if self.provenance is None else [*told, self.provenance]


def span_from_json(told: JsonValue) -> Span:
    """Return the span that `Span.to_json` was given. Raises `ValueError` for anything else."""
    match told:
        case [str(layer), None | str() as section, str(where), int(tokens), str(digest), bool(parted), *more]:
            span = Span(layer=layer, section=section, where=where, tokens=tokens, digest=digest, parted=parted)
            match more:
                case []:
                    return span
                case [str(provenance)]:
                    return replace(span, provenance=provenance)
    raise ValueError(f"{told!r} is no run of a prompt: [layer, section, where, tokens, digest, parted, provenance?]")


def short_digest(digest: str) -> str:
    """Return a digest as spans have it."""
    return digest[:_SHORT]


def spans_of(layout: Layout, *, cuts: Collection[str], previous: Layout | None = None) -> tuple[Span, ...]:
    """Return the runs of a prompt in wire order.

    cuts: digests of prefixes behind which messages are cut. previous: the last layout of the conversation.
    """
    parting = None if previous is None else _parting(layout, previous)
    starts = layout.sources.starts
    ahead = [block for block in layout.blocks[: layout.messages_start] if block.tokens]
    made_of = layout.provenance
    spans = [_ahead_span(block, parting) for block in ahead if block.level == "tools"]
    spans.append(_settings_span("system", starts["system"][0]))
    spans += [
        _ahead_span(block, parting, made_of.get(block.section or "")) for block in ahead if block.level == "system"
    ]
    spans.append(_settings_span("messages", starts["messages"][0]))
    return (*spans, *_message_spans(layout, cuts, parting))


def _ahead_span(block: Block, parting: str | None, provenance: str | None = None) -> Span:
    return Span(
        layer=TOOLS if block.level == "tools" else block.stability.value,
        section=block.section,
        where=block.where,
        tokens=block.tokens,
        digest=short_digest(block.prefix_digest),
        parted=block.prefix_digest == parting,
        provenance=provenance,
    )


def _settings_span(level: Level, digest: str) -> Span:
    return Span(layer=SETTINGS, section=None, where=level, tokens=0, digest=short_digest(digest))


def _message_spans(layout: Layout, cuts: Collection[str], parting: str | None) -> list[Span]:
    newest = _newest_question(layout)
    runs: list[tuple[str, Block, Block]] = []
    closed = True
    for place, block in enumerate(layout.blocks[layout.messages_start :], start=layout.messages_start):
        if not block.tokens:
            continue  # the API leaves it out of the prompt
        layer = TURN if place >= newest else HISTORY
        if closed or layer != runs[-1][0] or block.prefix_digest == parting:
            runs.append((layer, block, block))
        else:
            runs[-1] = (layer, runs[-1][1], block)
        closed = block.prefix_digest in cuts
    spans = [_run_span(layer, first, last, parting) for layer, first, last in runs]
    return [*spans[:-1], replace(spans[-1], tokens=spans[-1].tokens + layout.closing_tokens)] if spans else []


def _run_span(layer: str, first: Block, last: Block, parting: str | None) -> Span:
    return Span(
        layer=layer,
        section=None,
        where=first.where,
        tokens=last.prefix_tokens - first.prefix_tokens + first.tokens,
        digest=short_digest(last.prefix_digest),
        parted=first.prefix_digest == parting,
    )


def _newest_question(layout: Layout) -> int:
    """Return the index of the first block of the newest user message; the number of blocks when there is none."""
    blocks = layout.blocks
    for place in range(len(blocks) - 1, layout.messages_start - 1, -1):
        if blocks[place].role == "user" and blocks[place].content_index == 0:
            return place
    return len(blocks)


def _parting(layout: Layout, previous: Layout) -> str | None:
    """Return the digest of the first prefix that `previous` lacks; `None` where the prompt only goes on from it."""
    end = len(previous.blocks) - 1
    if 0 <= end < len(layout.blocks) and layout.blocks[end].prefix_digest == previous.blocks[end].prefix_digest:
        return None  # nearly always, and then a long conversation is not walked through
    before = {block.prefix_digest for block in previous.blocks}
    first = next((block.prefix_digest for block in layout.blocks if block.prefix_digest not in before), None)
    if not previous.blocks or any(block.prefix_digest == previous.blocks[-1].prefix_digest for block in layout.blocks):
        return None
    return first
