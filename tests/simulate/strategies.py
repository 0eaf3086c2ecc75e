"""Random request logs: a few conversations that grow, branch and share system prompts, with markers of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import strategies as st

from agentcache.prompt.canonical import JsonValue
from agentcache.simulate.cases import Case, CaseReader
from agentcache.simulate.reading import SharedObjects
from agentcache.simulate.request_logs import log_call
from tests.simulate.recordings import Body, assistant, line, mark, prose, request, text, user

WAITS = st.sampled_from([0.0, 0.5, 20.0, 280.0, 300.0, 1000.0, 3590.0, 5000.0])
TEXTS = [prose(count, word) for word in ("ant", "bee") for count in (5, 700, 1500)]
RESULTS = [text(f"part {number}") for number in range(25)]


@st.composite
def contents(draw: st.DrawFn) -> list[Body]:
    """Draw the content of a user message: texts, sometimes more of them than a look-back is long."""
    blocks = [text(content) for content in draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=2))]
    return [*blocks, *(RESULTS if draw(st.integers(0, 5)) == 0 else ())]


def marked(draw: st.DrawFn, body: Body) -> Body:
    """Put up to five markers on a request, in any order of lifetimes: some of it the API refuses."""
    blocks = [block for message in _objects(body["messages"]) for block in _objects(message["content"])]
    blocks += _objects(body.get("system") or [])
    for place in draw(st.lists(st.integers(0, len(blocks) - 1), max_size=5)):
        blocks[place]["cache_control"] = mark(draw(st.sampled_from(["5m", "5m", "1h"])))
    if draw(st.integers(0, 3)) == 0:
        body["cache_control"] = mark()
    return body


def _objects(value: JsonValue) -> list[Body]:
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, dict)]


@st.composite
def logs(draw: st.DrawFn) -> list[Body]:
    """Draw a request log of a few conversations that grow, branch and share system prompts."""
    lines: list[Body] = []
    talks: list[list[Body]] = []
    at_s = 0.0
    for _ in range(draw(st.integers(1, 7))):
        goes_on = bool(talks) and draw(st.booleans())
        earlier = draw(st.sampled_from(talks)) if goes_on else []
        asked = [*earlier, user(*draw(contents()))]
        talks.append([*asked, assistant("so")])
        system = draw(st.sampled_from([None, *TEXTS]))
        fields: Body = {} if system is None else {"system": [text(system)]}
        told = {"input_tokens": draw(st.integers(1, 9000)), "cache_read_input_tokens": draw(st.integers(0, 9000))}
        model = draw(st.sampled_from(["claude-sonnet-4-6", "claude-sonnet-5-5"]))
        body = marked(draw, json.loads(json.dumps(request(*asked, **fields, model=model))))
        at_s += draw(WAITS)
        lines.append(line(at_s, body, response={"usage": {**told, "output_tokens": 50}}))
    return lines


def cases(lines: Sequence[Body], *, totals_recorded: bool = False) -> list[Case]:
    shared = SharedObjects()
    calls = []
    for number, each in enumerate(json.loads(json.dumps(lines)), start=1):
        each["request"] = shared.request(each["request"])
        calls.append(log_call(each, where=f"line {number}"))
    return list(CaseReader(totals_recorded=totals_recorded).cases(calls))
