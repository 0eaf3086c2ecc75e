"""Hypothesis strategies for prompts and for conversations that grow, and an independent judge of the look-back.

The judge reads requests as the API would: it flattens and hashes the JSON itself and shares nothing with the package
but the rule that a look-back covers 20 positions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from agentcache.prompt.model_facts import ModelFacts, facts_for
from agentcache.prompt.rendered_section import RenderedSection
from agentcache.prompt.reuse import Outlook, Reuse
from agentcache.prompt.sections import Stability

IN_SYSTEM = (Stability.STATIC, Stability.SEMI_STATIC, Stability.SESSION)

words = st.integers(0, 60).map(lambda count: "word " * count + "end")
marks = st.sampled_from([None, None, None, None, "5m", "1h"])


def facts_with_minimum(tokens: int) -> ModelFacts:
    """Return the facts of a model that keeps all thinking, with another minimum."""
    return replace(facts_for("claude-opus-5-5"), minimum_prefix_tokens=tokens)


model_facts = st.sampled_from([0, 0, 350, 600, 4096]).map(facts_with_minimum)


def _tool(name, description, deferred, mark):
    tool: dict[str, object] = {
        "name": name,
        "description": description,
        "input_schema": {"type": "object", "properties": {}},
    }
    if deferred:
        return {**tool, "defer_loading": True}
    return tool if mark is None else {**tool, "cache_control": {"type": "ephemeral", "ttl": mark}}


@st.composite
def tool_lists(draw, *, marked=marks):
    """Draw up to four tool definitions, some deferred, some marked by their author."""
    count = draw(st.integers(0, 4))
    deferred = st.sampled_from([False, False, False, True])
    return [_tool(f"tool_{place}", draw(words), draw(deferred), draw(marked)) for place in range(count)]


@st.composite
def section_lists(draw, *, marked=marks):
    """Draw rendered sections in layer order, some marked by their author."""
    sections = []
    for stability in IN_SYSTEM:
        for place in range(draw(st.integers(0, 2))):
            name = f"{stability}_{place}"
            text = f"{name} {draw(words)}"
            sections.append(
                RenderedSection(
                    name=name,
                    stability=stability,
                    text=text,
                    breakpoint=draw(marked),
                    parting=draw(st.sampled_from([False, False, False, True])),
                )
            )
    return sections


@st.composite
def outlooks(draw):
    """Draw any expectation, certainties included."""
    soon = draw(st.floats(0, 1))
    return Outlook(soon=soon, later=(1 - soon) * draw(st.floats(0, 1)), basis="drawn")


@st.composite
def reuses(draw, layout):
    """Draw what may be claimed of the calls around one, true or not, of other prompts and of unmarkable blocks too."""
    digests = st.sampled_from([*(block.prefix_digest for block in layout.blocks), "p1:another prompt"])
    places = st.integers(0, len(layout.blocks) - 1) | st.integers(0, layout.messages_start)
    return Reuse(
        written=draw(st.frozensets(digests, max_size=4)),
        live=draw(st.dictionaries(digests, st.sampled_from(["5m", "1h"]), max_size=4)),
        tail_continues=draw(st.sampled_from([True, True, True, False])),
        prefix_recurs=draw(st.booleans()),
        tail=draw(outlooks()),
        shared=draw(st.dictionaries(places, outlooks(), max_size=4)),
        loose_blocks=draw(st.integers(0, 5)),
    )


@st.composite
def turns(draw, number):
    """Draw one turn: an assistant message of any shape and the user message that answers it."""
    kinds = draw(
        st.lists(st.sampled_from(["thinking", "text", "tool_use", "tool_use"]), max_size=draw(st.sampled_from([3, 45])))
    )
    said: list[dict[str, object]] = []
    results: list[dict[str, object]] = []
    for place, kind in enumerate([*kinds, "text"]):
        label = f"{number}-{place}"
        if kind == "thinking":
            said.append({"type": "thinking", "thinking": label, "signature": "s"})
        elif kind == "text":
            said.append({"type": "text", "text": f"{label} {draw(words)}"})
        else:
            said.append({"type": "tool_use", "id": label, "name": "tool_0", "input": {"b": label, "a": 1}})
            results.append({"type": "tool_result", "tool_use_id": label, "content": draw(words)})
    asked = draw(st.sampled_from([0, 0, 1, 25])) or (0 if results else 1)
    results += [{"type": "text", "text": f"{number} question {place}"} for place in range(asked)]
    return [{"role": "assistant", "content": said}, {"role": "user", "content": results}]


@st.composite
def conversations(draw):
    """Draw the messages of a conversation as they stand at each of its calls; earlier messages are shared objects."""
    opening = draw(st.sampled_from([1, 1, 3, 30]))
    first = {"role": "user", "content": [{"type": "text", "text": f"hello {place}"} for place in range(opening)]}
    messages = [first if opening > 1 else {"role": "user", "content": "hello"}]
    calls = [list(messages)]
    for number in range(draw(st.integers(1, 5))):
        messages = [*messages, *draw(turns(number))]
        calls.append(list(messages))
    return calls


@dataclass
class Judge:
    """The cache of the API for one model, with nothing but writes, look-back and the order of markers."""

    collapse: bool = True
    entries: set[str] = field(default_factory=set)

    def send(self, request):
        """Return index of the last block read (-1 for none) and of the last block marked, and write at the markers."""
        blocks = flat_blocks(request)
        hashes: list[str] = []
        positions: list[tuple[int, object]] = []
        at = -1
        for level, role, block in blocks:
            kind = block.get("type")
            run = (kind, level) if self.collapse and kind in {"tool_use", "tool_result"} else object()
            at += not (positions and positions[-1][1] == run)
            positions.append((at, run))
            bare = {key: value for key, value in block.items() if key != "cache_control"}
            hashes.append(f"{hashes[-1] if hashes else ''}|{hash((level, role, json.dumps(bare)))}")
        marked = [place for place, (_, _, block) in enumerate(blocks) if "cache_control" in block]
        if "cache_control" in request:
            marked.append(max(place for place, (_, _, block) in enumerate(blocks) if can_carry(block)))
        read = max((self._walk_back(hashes, positions, mark) for mark in marked), default=-1)
        self.deepest = max((place for place, value in enumerate(hashes) if value in self.entries), default=-1)
        self.entries.update(hashes[mark] for mark in marked)
        return read, max(marked, default=-1)

    def _walk_back(self, hashes, positions, mark):
        for place in range(mark, -1, -1):
            if positions[mark][0] - positions[place][0] >= 20:
                return -1
            if hashes[place] in self.entries:
                return place
        return -1


def flat_blocks(request):
    """Return (level, role, block) of everything that the API renders, in its order."""
    tools = [tool for tool in request.get("tools", ()) if not tool.get("defer_loading")]
    blocks = [("tools", None, tool) for tool in tools]
    blocks += [("system", None, block) for block in request.get("system", ())]
    return blocks + [
        ("messages", message["role"], block) for message in request["messages"] for block in message["content"]
    ]


def can_carry(block):
    """Tell whether the API accepts a marker on a rendered block."""
    return block.get("type") not in {"thinking", "redacted_thinking"} and block.get("text") != ""


def markers(request):
    """Return the lifetimes of all markers in the order in which the API reads them, the automatic one last."""
    marked = [block["cache_control"] for _, _, block in flat_blocks(request) if "cache_control" in block]
    if "cache_control" in request:
        marked.append(request["cache_control"])
    return [mark.get("ttl", "5m") for mark in marked]


def without_markers(value):
    """Return a request as the prompt that it renders to: no markers."""
    if isinstance(value, dict):
        return {key: without_markers(item) for key, item in value.items() if key != "cache_control"}
    return [without_markers(item) for item in value] if isinstance(value, list) else value
