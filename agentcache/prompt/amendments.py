"""Semi-static text that changed while a conversation runs: told behind the messages, or the prefix rewritten.

Decides what changed, how an amendment reads and which way should cost less from here on. Knows tokens, rates and
chances; what the model allows and what still lives in the cache is told.

An amendment is a mid-conversation system message (spec 10). It leaves the prefix as it is: the conversation reads its
cache, but carries the amendment, and the text that it replaces, from now on. A rewrite keeps the prompt short and
writes everything behind the changed section anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.payoff import Rates
from agentcache.prompt.reuse import Outlook
from agentcache.prompt.token_estimate import block_tokens, message_tokens

Way: TypeAlias = Literal["append", "rewrite", "keep"]

MOST_FURTHER_CALLS = 50.0
"""However lively a conversation is, no sum counts on more calls than this."""

UNCACHED = Rates(write_5m=1.0, write_1h=1.0, read=1.0)
"""What a token costs where nothing is cached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionChange:
    """A section whose text is not what the conversation was told last; an empty `text` takes it away."""

    name: str
    text: str


def changed_sections(told: Mapping[str, str], now: Mapping[str, str]) -> tuple[SectionChange, ...]:
    """Return what differs between the texts in force and those rendered now, by section name; in the order of `now`."""
    changed = [SectionChange(name=name, text=text) for name, text in now.items() if told.get(name, "") != text]
    gone = [SectionChange(name=name, text="") for name, text in told.items() if text and name not in now]
    return (*changed, *gone)


def amendment(changes: Sequence[SectionChange]) -> JsonObject:
    """Return the system message that tells the model of these changes, one text block each.

    It goes behind a user message, and an assistant message or nothing may follow it (spec 10).
    """
    return {"role": "system", "content": [{"type": "text", "text": _told(change)} for change in changes]}


def amendment_tokens(message: JsonObject, facts: ModelFacts) -> int:
    """Return the estimated tokens that an amendment adds to the prompt."""
    content = message["content"]
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return message_tokens("system", facts) + sum(block_tokens(block, facts) for block in blocks)


def is_amendment(message: JsonObject) -> bool:
    """Tell whether a message of a conversation is one: nothing else in it has the role `system`."""
    return message.get("role") == "system"


def texts_told(messages: Iterable[JsonObject]) -> dict[str, str]:
    """Return the texts that the amendments among these messages brought, by section; an empty one took it away."""
    told: dict[str, str] = {}
    for message in filter(is_amendment, messages):
        content = message["content"]
        for block in content if isinstance(content, list) else []:
            found = _TOLD.fullmatch(str(block.get("text"))) if isinstance(block, dict) else None
            if found is not None:
                told[found["name"]] = found["text"] or ""
    return told


def _told(change: SectionChange) -> str:
    if not change.text:
        return f"[section {change.name} removed]"
    return f"[section {change.name} changed]\n{change.text}"


_TOLD = re.compile(r"\[section (?P<name>.+?) (?:removed|changed)\](?:\n(?P<text>.*))?", re.DOTALL)
"""What `_told` wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One way to go on, in tokens: the prompt up to what the last call sent, and how much of it can be read now."""

    prefix_tokens: int
    live_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SemiStaticChoice:
    """Which way was taken for which sections, and the sum behind it.

    Costs are in uncached tokens, over this call and `further_calls` expected ones. They stand there too when the model
    left one way only (`reason` says so), and are `None` when the prefix moves in any case.
    """

    way: Way
    sections: tuple[str, ...]
    reason: str
    append_cost_tokens: int | None = None
    rewrite_cost_tokens: int | None = None
    further_calls: float | None = None

    def to_json(self) -> JsonObject:
        """Return the choice as the ledger keeps it beside the plan."""
        return {
            "choice": self.way,
            "sections": list(self.sections),
            "reason": self.reason,
            "append_cost_tokens": self.append_cost_tokens,
            "rewrite_cost_tokens": self.rewrite_cost_tokens,
            "further_calls": self.further_calls,
        }


def cheaper_way(
    *, append: Side, rewrite: Side, outlook: Outlook, rates: Rates, sections: Sequence[str]
) -> SemiStaticChoice:
    """Return the way that should cost less from here on; of two that cost the same, the one that keeps the prefix.

    `outlook` is that of one call: a conversation that goes on with probability p has p / (1 - p) calls to come.
    """
    calls = further_calls(outlook)
    costs = {
        "append": round(_cost(append, outlook, rates, calls)),
        "rewrite": round(_cost(rewrite, outlook, rates, calls)),
    }
    way: Way = "append" if costs["append"] <= costs["rewrite"] else "rewrite"
    return SemiStaticChoice(
        way=way,
        sections=tuple(sections),
        reason=(
            f"expected to cost in tokens: append {costs['append']:,}, rewrite {costs['rewrite']:,}, over this call and "
            f"{calls:.1f} more ({outlook.basis})"
        ),
        append_cost_tokens=costs["append"],
        rewrite_cost_tokens=costs["rewrite"],
        further_calls=round(calls, 2),
    )


def further_calls(outlook: Outlook) -> float:
    """Return how many more calls a conversation should have, when each is followed by another with the same chance."""
    goes_on = outlook.soon + outlook.later
    return MOST_FURTHER_CALLS if goes_on >= 1.0 else min(MOST_FURTHER_CALLS, goes_on / (1.0 - goes_on))


def _cost(side: Side, outlook: Outlook, rates: Rates, calls: float) -> float:
    now = rates.read * side.live_tokens + rates.write_5m * (side.prefix_tokens - side.live_tokens)
    goes_on = outlook.soon + outlook.later
    # A later call reads the prompt, or writes it anew when it comes after the entry has run out.
    later = (outlook.soon * rates.read + outlook.later * rates.write_5m) / goes_on if goes_on else 0.0
    return now + calls * later * side.prefix_tokens
