"""A changed file, variable, function, schema or body of code never returns an old result."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.memo import ToolMemo
from agentcache.runtime.memo_declaration import Dependency, Memo
from agentcache.runtime.tool_results import ToolResult
from agentcache.runtime.tools import Tool, tool

RATE = 2


def rounded(value: int) -> int:
    return value


class Scale:
    step = 1

    def scaled(self, value: int) -> int:
        return value * self.step


@tool(deterministic=True)
async def price(value: int) -> int:
    """Price something."""
    return helped(value) * RATE


def helped(value: int) -> int:
    return rounded(Scale().scaled(value))


def depending(*depends: Dependency) -> Tool:
    def read(path: str) -> str:
        """Read a file."""
        return path

    return tool(read, memo=Memo(depends=depends), version="1")


class Asking:
    """Asks a memo, and numbers what is executed."""

    def __init__(self, memo: ToolMemo) -> None:
        self._memo, self._numbers = memo, count(1)
        self.while_executed: Callable[[], object] = str

    async def __call__(self, declared: Tool, **arguments: object) -> tuple[str, str]:
        async def call() -> ToolResult:
            self.while_executed()
            return ToolResult(content=f"answer {next(self._numbers)}")

        given: JsonObject = dict(arguments)  # type: ignore[arg-type]  # tests pass JSON
        answer = await self._memo.get_or_call(declared, given, call)
        assert isinstance(answer.result.content, str)
        return answer.result.content, answer.source


@pytest.fixture
def environment() -> dict[str, str]:
    return {"REGION": "north"}


@pytest.fixture
def asking(environment: dict[str, str]) -> Asking:
    return Asking(ToolMemo(clock=lambda: 0.0, environment=environment))


async def test_a_changed_file_is_another_key_whatever_its_times_say(asking: Asking, tmp_path: Path):
    file = tmp_path / "a.txt"
    path, read = str(file), depending(Memo.file("{path}"))
    assert await asking(read, path=path) == ("answer 1", "executed")
    assert await asking(read, path=path) == ("answer 1", "memory")
    file.write_text("one")
    stat = file.stat()
    assert await asking(read, path=path) == ("answer 2", "executed")
    file.write_text("two")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert await asking(read, path=path) == ("answer 3", "executed")
    file.write_text("one")
    assert await asking(read, path=path) == ("answer 2", "memory")


async def test_a_file_that_changes_during_the_call_keeps_its_result_from_being_kept(asking: Asking, tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text("before")
    read = depending(Memo.file("{path}"))
    asking.while_executed = lambda: file.write_text("after")
    assert await asking(read, path=str(file)) == ("answer 1", "executed")
    file.write_text("before")
    asking.while_executed = str
    assert await asking(read, path=str(file)) == ("answer 2", "executed")


async def test_a_file_that_cannot_be_read_is_never_answered_from_the_memo(asking: Asking, tmp_path: Path):
    read = depending(Memo.file("{path}"))
    for number in (1, 2):
        assert await asking(read, path=str(tmp_path)) == (f"answer {number}", "executed")


async def test_an_environment_variable_is_part_of_the_key(asking: Asking, environment: dict[str, str]):
    read = depending(Memo.env("REGION"))
    assert await asking(read, path="x") == ("answer 1", "executed")
    environment["REGION"] = "south"
    assert await asking(read, path="x") == ("answer 2", "executed")
    del environment["REGION"]
    assert await asking(read, path="x") == ("answer 3", "executed")
    environment["REGION"] = "north"
    assert await asking(read, path="x") == ("answer 1", "memory")


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_function_of_arguments_is_part_of_the_key(asking: Asking, is_async: bool):
    revisions = {"x": 1, "y": 1}

    def revision(path: str) -> int:
        return revisions[path]

    async def later(path: str) -> int:
        return revisions[path]

    read = depending(later if is_async else revision)
    await asking(read, path="x")
    await asking(read, path="y")
    revisions["x"] = 2
    assert await asking(read, path="x") == ("answer 3", "executed")
    assert await asking(read, path="y") == ("answer 2", "memory")


async def test_a_dependency_that_fails_lets_the_call_through(asking: Asking, caplog: pytest.LogCaptureFixture):
    read = depending(lambda path: {}[path])
    for number in (1, 2):
        assert await asking(read, path="x") == (f"answer {number}", "executed")
    assert ["no key can be made (KeyError" in text for text in caplog.messages] == [True]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("rounded", lambda value: value + 1),
        ("RATE", 3),
        ("Scale", type("Scale", (), {"step": 2, "scaled": Scale.scaled, "__module__": __name__})),
        ("helped", lambda value: value),
    ],
)
def test_what_a_function_uses_of_its_module_is_part_of_its_identity(
    monkeypatch: pytest.MonkeyPatch, name: str, changed: object
):
    before = tool(price.original, deterministic=True).identity()
    assert before == price.identity()
    monkeypatch.setitem(globals(), name, changed)
    assert tool(price.original, deterministic=True).identity() != before
    fixed = tool(price.original, deterministic=True, version="1")
    monkeypatch.undo()
    assert fixed.identity() == tool(price.original, deterministic=True, version="1").identity()


def test_the_schema_and_the_description_are_part_of_the_identity():
    def declared(**changes: object) -> str:
        plain: dict[str, object] = {"name": "t", "description": "Do.", "input_schema": {"type": "object"}}
        return Tool(**{**plain, **changes}, function=str, deterministic=True, version="1").identity()  # type: ignore[arg-type]  # a test's own words

    schema: JsonObject = {"type": "object", "properties": {"x": {"type": "integer"}}}
    made = [declared(), declared(input_schema=schema), declared(description="Do it."), declared(name="u")]
    assert len(set(made)) == 4
