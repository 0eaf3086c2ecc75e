"""Rules about tools, as far as their definitions show it: texts and schemas that change while the tool stays the same.

What order a list of tools has is no matter while it stands still; that several agents order the same tools differently
is found in sharing.py, and that one agent does so from call to call shows in traffic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding
from agentcache.lint.json_places import JsonNode
from agentcache.lint.live_values import live_kind, live_value
from agentcache.lint.losses import in_words, loss_behind
from agentcache.lint.rules.found import found
from agentcache.lint.rules.rule import Rule
from agentcache.lint.tool_words import Speakers, speakers, volatile_words
from agentcache.lint.tools_json import ToolEnum, ToolsText, ToolText, ToolWords


def _volatile_text(examination: Examination) -> Iterator[Finding]:
    known = speakers(examination.sources.variables)
    for tools, tool in _tools(examination):
        for words in tool.words:
            yield from _volatile(examination, tools, tool, words, known)


def _volatile(
    examination: Examination, tools: ToolsText, tool: ToolText, words: ToolWords, known: Speakers
) -> Iterator[Finding]:
    volatile = volatile_words(words.text, known)
    if volatile is not None:
        loss = loss_behind(examination, "tools")
        said = words.text[volatile.start : volatile.end].strip(" .([")
        place = tools.lines.place_in_string(words.node, volatile.start, volatile.end)
        if words.node.kind == "template":
            place = words.place
        yield found(
            "PC022",
            examination,
            place,
            f'"{said}" in the {words.role} of {_named(tool)} is {volatile.kind}: tools come first, so the whole prompt '
            f"is written anew when it changes{in_words(loss)}",
            confidence=Confidence.CERTAIN if volatile.proven else Confidence.LIKELY,
            loss=loss,
        )
    elif words.role == "name" and (match := _STAMPED_NAME.search(words.text)):
        loss = loss_behind(examination, "tools")
        yield found(
            "PC022",
            examination,
            tools.lines.place_in_string(words.node, match.start(), match.end()),
            f'the name "{words.text}" ends in "{match[0]}", which is another one next time: tools come first, so the '
            f"whole prompt is written anew{in_words(loss)}",
            confidence=Confidence.LIKELY,
            loss=loss,
        )


def _live_schema(examination: Examination) -> Iterator[Finding]:
    known = speakers(examination.sources.variables)
    for tools, tool in _tools(examination):
        for enum in tool.enums:
            yield from _live(examination, tools, tool, enum)
        spoken = {words.node.start for words in tool.words}
        for node in _templates(tool.node):
            expression = str(node.scalar)
            if node.start not in spoken and volatile_words(expression, known) is not None:
                loss = loss_behind(examination, "tools")
                yield found(
                    "PC023",
                    examination,
                    tools.lines.place(node.start, node.end),
                    f"{expression} makes the schema of {_named(tool)} another one for other values: tools come "
                    f"first, so "
                    f"the whole prompt is written anew{in_words(loss)}",
                    loss=loss,
                )


def _live(examination: Examination, tools: ToolsText, tool: ToolText, enum: ToolEnum) -> Iterator[Finding]:
    scalars = [
        value.scalar
        for value in enum.values
        if isinstance(value.scalar, (str, int, float))
        and not isinstance(value.scalar, bool)
        and value.kind != "template"
    ]
    if enum.key == "enum":
        kind = live_kind(scalars, enum.property_name, enum.description)
    else:
        kind = next((live for text in scalars if isinstance(text, str) and (live := live_value(text))), None)
    if kind is None:
        return
    loss = loss_behind(examination, "tools")
    several = [tools.lines.place(value.start, value.end) for value in enum.values]
    what = f"the {enum.key} of {enum.property_name or 'a value'}"
    also = tuple(place for place in several[1:] if place.line != enum.place.line)
    yield found(
        "PC023",
        examination,
        enum.place,
        f"{what} in {_named(tool)} holds {kind}, which come from live data: with the next list the schema is "
        f"another one, "
        f"and the whole prompt is written anew{in_words(loss)}",
        confidence=Confidence.LIKELY,
        fix="take a plain string with a pattern, let the handler check it, and list what there is in a message",
        also=also,
        loss=loss,
    )


def _templates(node: JsonNode) -> Iterator[JsonNode]:
    if node.kind == "template":
        yield node
    for member in node.members:
        yield from _templates(member.value)
    for item in node.items:
        yield from _templates(item)


def _tools(examination: Examination) -> Iterator[tuple[ToolsText, ToolText]]:
    tools = examination.tools
    if isinstance(tools, ToolsText):
        for tool in tools.tools:
            yield tools, tool


def _named(tool: ToolText) -> str:
    return f"tool {tool.name}" if tool.name else "a tool without a name"


_STAMPED_NAME = re.compile(
    r"[-_](?:v?20\d\d[-_]?[01]\d[-_]?[0-3]\d(?:[-_t]?\d{4,6})?|\d{5,}|(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,})$"
)
_TOOLS_DOCS = "https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-use-with-prompt-caching"
_DIAGNOSTICS = "https://platform.claude.com/docs/en/build-with-claude/cache-diagnostics"

RULES = (
    Rule(
        code="PC019",
        what="The same tools in another order: from call to call, which shows in request logs, or in two agents "
        "that share "
        "their static text, which shows when they are linted together.",
        why="Tools are rendered in front of everything. Another order is another prefix from the first byte on, "
        "and tools, "
        "system prompt and history are written anew.",
        bad='"tools": list(set(tools))',
        good='"tools": sorted(tools, key=lambda tool: tool["name"])',
        references=(_TOOLS_DOCS, "https://github.com/openclaw/openclaw/pull/58037"),
        check=None,
    ),
    Rule(
        code="PC020",
        what="A tool that comes or goes: from call to call, which shows in request logs, or between two agents "
        "that share "
        "their static text, which shows when they are linted together.",
        why="Tools are rendered in front of everything. Another set is another prefix from the first byte on; sets of "
        "tools that depend on the user share nothing between users.",
        bad="if user.is_admin:\n    tools.append(delete_order)\n",
        good="Give the tool to all, and let its handler refuse; or declare it with `defer_loading`.\n",
        references=(_TOOLS_DOCS, "https://github.com/anthropics/claude-code/issues/92033"),
        check=None,
    ),
    Rule(
        code="PC021",
        what="The same schema with its keys in another order: from call to call, which shows in request logs, "
        "or in two "
        "agents that share their static text, which shows when they are linted together.",
        why="The cache compares bytes and not parsed JSON. Maps of some languages, and JSON columns of some "
        "databases, give "
        "their keys back in another order.",
        bad='{"type": "object", "properties": …} here, {"properties": …, "type": "object"} there',
        good="Serialise each schema once and send the same bytes.\n",
        references=(_DIAGNOSTICS, "https://github.com/maximhq/bifrost/issues/3362"),
        check=None,
    ),
    Rule(
        code="PC022",
        what="Finds what changes in a tool's name or in any description of it: template expressions, stamps, ids of a "
        "session, paths, processes and hosts of one machine, counts of calls, remaining quotas, whoever is served. An "
        "example date, a limit or a constant path is none.",
        why="Tools are rendered in front of everything: one changed character in a description rewrites tools, "
        "system prompt "
        "and history.",
        bad='"description": "Search the index. Called 14 times in this session."',
        good='"description": "Search the index."',
        references=(
            _TOOLS_DOCS,
            "https://github.com/OpenDigitalProductFactory/opendigitalproductfactory/pull/4251",
        ),
        check=_volatile_text,
    ),
    Rule(
        code="PC023",
        what="Finds values in schemas that come from live data: enumerations of tickets, people, files, "
        "branches, moments, "
        "and template expressions.",
        why="Tools are rendered in front of everything. A schema that is built from what there is at the moment "
        "is another "
        "one in the next session, and nothing is shared between two users.",
        bad='"ticket": {"type": "string", "enum": ["T-88211", "T-88214"]}',
        good='"ticket": {"type": "string", "pattern": "^T-[0-9]+$"}',
        references=(_DIAGNOSTICS, _TOOLS_DOCS),
        check=_live_schema,
    ),
    Rule(
        code="PC024",
        what="The server's web search or web fetch tool switched on or off between calls of one conversation. Shows in "
        "request logs.",
        why="Switching it rewrites the system prompt and the history behind it, though the other tools stay.",
        bad="tools = [*tools, web_search] if wants_search(question) else tools",
        good="Declare the tool with every call and say in the user turn when to use it.\n",
        references=(_TOOLS_DOCS,),
        check=None,
    ),
)
