"""What the planner and the judge see of a call, whatever was looked at before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings

from agentcache.simulate.cases import CaseReader
from tests.simulate.recordings import (
    LONG,
    SHORT,
    Body,
    assistant,
    cases_of,
    line,
    mark,
    request,
    text,
    user,
    write_lines,
)
from tests.simulate.strategies import cases, logs

LOOK: Body = {"name": "look", "input_schema": {"type": "object"}, "description": SHORT}


@settings(max_examples=40, deadline=None)
@given(lines=logs())
def test_a_reader_that_remembers_sees_what_a_fresh_one_sees(lines: Sequence[Body]) -> None:
    for remembered in cases(lines):
        own = replace(remembered.call, request=json.loads(json.dumps(remembered.call.request)))
        (fresh,) = CaseReader().cases([own])
        assert remembered.prompt == fresh.prompt
        assert remembered.placed.places == fresh.placed.places
        assert remembered.layout == fresh.layout
        assert remembered.bare == fresh.bare
        assert remembered.bound_call() == fresh.bound_call()


def test_markers_are_taken_off_wherever_they_stand(tmp_path: Path) -> None:
    nested: Body = {"type": "tool_result", "tool_use_id": "t1", "content": [text("found", "5m")]}
    called: Body = {"type": "tool_use", "id": "t1", "name": "look", "input": {"cache_control": "my own word"}}
    body = request(
        user(text(LONG, "1h")),
        assistant(called),
        user(nested, text(SHORT, "5m")),
        system=[text(SHORT, "1h")],
        tools=[{**LOOK, "cache_control": mark("1h")}],
        cache_control=mark(),
    )
    (case,) = cases_of(write_lines(tmp_path / "log.jsonl", [line(0, body)]))
    assert case.bare == request(
        user(LONG),
        assistant(called),
        user({**nested, "content": [text("found")]}, SHORT),
        system=[text(SHORT)],
        tools=[LOOK],
    )
    assert case.call.request == body


def test_every_block_of_the_layout_has_its_position_at_the_judge(tmp_path: Path) -> None:
    deferred: Body = {**LOOK, "name": "later", "defer_loading": True}
    note: Body = {**user("note"), "role": "system", "clear_at": "next_user_message"}
    body = request(user(LONG), note, system=[text(SHORT)], tools=[LOOK, deferred], model="claude-opus-5")
    (case,) = cases_of(write_lines(tmp_path / "log.jsonl", [line(0, body)]))
    positions = {block.where: case.position(index) for index, block in enumerate(case.layout.blocks)}
    assert positions == {
        "tools[0]": 0,
        "system[0]": 1,
        "messages[0].content[0]": 2,
        "messages[1].content[0]": None,
    }
    assert [case.prompt.positions[at].tokens for at in (0, 1, 2)] == [
        block.prefix_tokens for block in case.layout.blocks if positions[block.where] is not None
    ]


def test_recorded_totals_stretch_every_position_in_proportion(tmp_path: Path) -> None:
    body = request(user(LONG), assistant("so"), user("on"), system=LONG)
    estimated = cases_of(write_lines(tmp_path / "plain.jsonl", [line(0, body)]))[0]
    total = 2 * estimated.prompt.total_tokens
    told: Body = {"usage": {"input_tokens": 1, "cache_creation_input_tokens": total - 1}}
    log = write_lines(tmp_path / "log.jsonl", [line(0, body, response=told), line(1, body)])
    stretched, without = cases_of(log, totals_recorded=True)

    assert stretched.prompt.total_tokens == total
    assert [position.tokens for position in stretched.prompt.positions] == [
        2 * position.tokens for position in estimated.prompt.positions
    ]
    assert without.prompt == estimated.prompt
    bound = stretched.bound_call()
    assert bound is not None
    assert (bound.stretch, bound.total_tokens) == (Fraction(2), estimated.prompt.total_tokens)
