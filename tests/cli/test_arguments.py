from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Literal

import pytest

from agentcache.cli.arguments import agent_input, pairs, workflow_arguments
from agentcache.errors import TargetError


def _read(function: Callable[..., object], *texts: str) -> list[object]:
    return workflow_arguments(function, texts, "flow")


def test_pairs_keep_everything_after_the_first_equals_sign() -> None:
    assert pairs(["customer=Ana", "query=a=b", "empty="], "--session") == {
        "customer": "Ana",
        "query": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize("text", ["customer", "=Ana", "two words=1"])
def test_a_pair_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match=re.escape(f"--session {text!r} is not of the form name=value")):
        pairs([text], "--session")


def test_an_agent_takes_exactly_one_input() -> None:
    assert agent_input(["where is it?"], "support") == "where is it?"
    with pytest.raises(TargetError, match="takes one INPUT, but 2 were given; quote"):
        agent_input(["where", "is"], "support")


def test_texts_become_what_the_annotations_say() -> None:
    async def flow(
        run: object,
        path: Path,
        count: int,
        share: float,
        deep: bool,
        day: date,
        word: str,
        free,
        level: Literal["a", "b"],
    ) -> None: ...

    arguments = _read(flow, "src", "3", "0.5", "true", "2026-11-22", "7", "8", "b")

    assert arguments == [Path("src"), 3, 0.5, True, date(2026, 11, 22), "7", "8", "b"]


def test_other_types_are_read_as_json() -> None:
    async def flow(run: object, names: list[str], sizes: dict[str, int]) -> None: ...

    assert _read(flow, '["a", "b"]', '{"a": 1}') == [["a", "b"], {"a": 1}]


def test_a_union_with_text_takes_the_text() -> None:
    async def flow(run: object, note: str | None = None) -> None: ...

    assert _read(flow, "hello") == ["hello"]
    assert _read(flow) == []


def test_a_starred_parameter_takes_the_rest() -> None:
    async def flow(run: object, first: str, *numbers: int) -> None: ...

    assert _read(flow, "a", "1", "2") == ["a", 1, 2]
    assert _read(flow, "a") == ["a"]


def test_too_few_and_too_many_inputs_say_what_the_workflow_takes() -> None:
    async def flow(run: object, path: str, depth: int = 1) -> None: ...

    with pytest.raises(TargetError, match=re.escape("takes PATH [DEPTH], but 0 INPUTs were given")):
        _read(flow)
    with pytest.raises(TargetError, match=re.escape("takes PATH [DEPTH], but 3 INPUTs were given")):
        _read(flow, "a", "1", "b")


def test_a_text_that_does_not_fit_names_the_parameter() -> None:
    async def flow(run: object, depth: int) -> None: ...

    with pytest.raises(TargetError, match=re.escape("workflow 'flow': 'deep' is no int for DEPTH")):
        _read(flow, "deep")


def test_a_required_keyword_only_parameter_cannot_be_given_here() -> None:
    async def flow(run: object, *, depth: int) -> None: ...

    with pytest.raises(TargetError, match="keyword-only 'depth'"):
        _read(flow)


def test_a_type_that_no_text_has_is_refused() -> None:
    class Socket: ...

    async def flow(run: object, socket: Socket) -> None: ...

    flow.__annotations__["socket"] = Socket
    with pytest.raises(TargetError, match="socket is a Socket, which no text can be read as"):
        _read(flow, "x")
