"""Rules about `cache_control`: where the API refuses a marker, and where one does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Finding, Place
from agentcache.lint.json_places import JsonNode
from agentcache.lint.rules.found import found
from agentcache.lint.rules.rule import Rule
from agentcache.lint.tools_json import ToolMarker, ToolsText, ToolText
from agentcache.prompt.model_facts import TTL_SECONDS
from agentcache.prompt.sections import Stability

MOST_MARKERS = 4
"""Markers that one request may carry, automatic ones included."""


def _invalid_markers(examination: Examination) -> Iterator[Finding]:
    tools = examination.tools
    if not isinstance(tools, ToolsText):
        return
    good: list[ToolMarker] = []
    for tool in tools.tools:
        for marker in tool.markers:
            if marker.value.kind == "literal" and marker.value.scalar is None:
                continue  # null is no marker
            problem = _problem(tool, marker, tools)
            if problem is None:
                good.append(marker)
            else:
                place, message, fix = problem
                yield found("PC049", examination, place, message, fix=fix, also=_also(place, marker))
    out_of_order = tuple(_lifetimes(examination, good, tools))
    # Whoever mends the order looks at every marker; one that is too many is told after that.
    yield from out_of_order or _too_many(examination, good)


def _problem(tool: ToolText, marker: ToolMarker, tools: ToolsText) -> tuple[Place, str, str | None] | None:
    """Return place, message and fix of what is wrong with a marker by itself, `None` if nothing is."""
    if not marker.on_tool:
        message = (
            f"this marker stands inside {marker.inside} of tool {tool.name}, where it is part of the schema: the API "
            "refuses it or sends it to the model, and nothing is cached by it"
        )
        return marker.place, message, f"move cache_control beside the name of {tool.name}"
    if tool.deferred:
        message = f"tool {tool.name} has defer_loading and a marker: the API refuses both on one tool"
        return marker.place, message, "put the marker on the last tool that is not deferred"
    wrong = _wrong_value(marker.value)
    if wrong is None:
        return None
    node, message = wrong
    place = tools.lines.place(node.start, node.end)
    return place, f"{message}: the API refuses the request", 'write {"type": "ephemeral"}, with "ttl": "5m" or "1h"'


def _wrong_value(value: JsonNode) -> tuple[JsonNode, str] | None:
    if value.kind == "template":
        return None
    if value.kind != "object":
        return value, "cache_control is an object with a type, and this is none"
    kind, ttl = value.get("type"), value.get("ttl")
    if kind is None:
        return value, "this cache_control has no type"
    if kind.kind != "template" and kind.text != "ephemeral":
        return kind, f"{_written(kind)} is no type of cache_control"
    if ttl is not None and ttl.kind not in {"template"} and ttl.text not in TTL_SECONDS and ttl.scalar is not None:
        return ttl, f"{_written(ttl)} is no lifetime of a cache entry"
    other = next((member for member in value.members if member.name not in {"type", "ttl"}), None)
    return None if other is None else (other.key, f"cache_control has no key {other.name}")


def _written(node: JsonNode) -> str:
    return f'"{node.text}"' if node.kind == "string" else f"{node.scalar}" if node.scalar is not None else node.kind


def _lifetimes(examination: Examination, markers: Sequence[ToolMarker], tools: ToolsText) -> Iterator[Finding]:
    short: ToolMarker | None = None
    for marker in markers:
        ttl = marker.value.get("ttl")
        if ttl is None or ttl.text != "1h":
            short = short or marker
        elif short is not None:
            place = tools.lines.place(ttl.start, ttl.end)
            yield found(
                "PC049",
                examination,
                place,
                f"this marker of 1h comes after one of 5m on line {short.place.line}: the API refuses the "
                f"request, since "
                "the longer lifetime has to come first in tools, system and messages",
                fix='let markers with "ttl": "1h" come first, or give both the same lifetime',
                also=(*_also(place, marker), short.place),
            )
            return


def _too_many(examination: Examination, markers: Sequence[ToolMarker]) -> Iterator[Finding]:
    layers = {
        section.layer for section in examination.layers if section.layer is not Stability.TURN and section.text.strip()
    }
    total = len(markers) + len(layers)
    if total <= MOST_MARKERS or not markers:
        return
    own = f"and one behind each of {len(layers)} layers " if layers else ""
    yield found(
        "PC049",
        examination,
        markers[0].place,
        f"{len(markers)} markers on tools {own}make {total}, and a request may carry {MOST_MARKERS}: the API "
        f"refuses it",
        fix="keep the marker on the last tool, or none: the one behind the static layer covers the tools too",
        also=tuple(place for marker in markers for place in (marker.place, marker.key))[1:],
    )


def _also(place: Place, marker: ToolMarker) -> tuple[Place, ...]:
    return tuple(other for other in (marker.place, marker.key) if other.line != place.line)


_DOCS = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"

RULES = (
    Rule(
        code="PC043",
        what="A large prompt without any marker. Layers of a prompt directory always end in one, so this shows "
        "in request "
        "logs only.",
        why="Caching is asked for: without a marker nothing is written and every call pays in full.",
        bad='"system": "…20,000 tokens of text…"',
        good='"system": [{"type": "text", "text": "…", "cache_control": {"type": "ephemeral"}}]',
        references=(_DOCS, "https://github.com/wso2/product-integrator/pull/272"),
        check=None,
    ),
    Rule(
        code="PC044",
        what="A marker on a block that differs in each request. In templates the values that vary are found themselves "
        "(PC001 to PC011, PC057); where a marker stands on one shows in request logs.",
        why="Each call writes an entry that nobody ever reads, at 1.25 times the price of input or more.",
        bad='{"type": "text", "text": "Question: …", "cache_control": {"type": "ephemeral"}}',
        good="The marker on the last block that is the same in every request.\n",
        references=(_DOCS, "https://github.com/vellum-ai/vellum-assistant/pull/18024"),
        check=None,
    ),
    Rule(
        code="PC045",
        what="Markers that are missing in a call, or stand earlier than in the one before. Shows in request logs.",
        why="An entry is read at a marker, or up to 20 positions in front of one: what was written behind is "
        "not found.",
        bad="One code path places markers, another one sends the same prompt without.\n",
        good="One code path places markers, and a test counts them.\n",
        references=(_DOCS, "https://github.com/rossoctl/context-guru/pull/36"),
        check=None,
    ),
    Rule(
        code="PC046",
        what="Only the head is marked, and the growing history is paid in full with each turn. Shows in request logs.",
        why="The hit rate looks well while uncached input grows with every turn.",
        bad="One marker, on the system prompt.\n",
        good="Automatic caching, or a marker that moves to the newest turn.\n",
        references=(_DOCS, "https://github.com/wso2/product-integrator/pull/272"),
        check=None,
    ),
    Rule(
        code="PC047",
        what="More than 20 positions added since the last entry that was written. Shows in request logs.",
        why="The look-back ends after 20 positions: though every byte is the same, all is written anew.",
        bad="A turn of 30 tool calls with one marker behind it.\n",
        good="A marker every 15 positions.\n",
        references=(_DOCS, "https://github.com/redpanda-data/ai-sdk-go/issues/205"),
        check=None,
    ),
    Rule(
        code="PC049",
        what="Finds markers that the API refuses or passes over: more than four with those of the layers, one "
        "of 1h after "
        "one of 5m, one inside a schema, one on a deferred tool, another type or lifetime than there is.",
        why="The API answers 400, or the marker is text like any other and nothing is cached by it.",
        bad='"input_schema": {"type": "object", "cache_control": {"type": "ephemeral"}}',
        good='"input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}',
        references=(_DOCS, "https://github.com/headroomlabs-ai/headroom/issues/2939"),
        check=_invalid_markers,
    ),
)
