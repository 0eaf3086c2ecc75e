"""What can be declared about kept results, and what is refused when a tool is declared."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agentcache.errors import SettingsError, ToolDeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.memo_declaration import Memo, tags_of
from agentcache.runtime.tools import Tool, ToolOptions, tool


def read(path: str, lines: int = 10) -> str:
    """Read a file."""
    return path * lines


async def late(path: str) -> str:
    return path


def tags(declared: Tool, **arguments: object) -> tuple[str, ...]:
    assert declared.memo_rules is not None
    return tags_of(declared.memo_rules.tags, arguments)


def test_determinism_and_a_memo_say_the_same():
    short = tool(read, deterministic=True, ttl="1h", tags=["b", "a", "a"])
    long = tool(read, memo=Memo(ttl=3600, tags=["a", "b"]))
    assert short.memo_rules == long.memo_rules
    assert (long.deterministic, long.ttl_s, long.version) == (True, 3600.0, short.version)


def test_tags_may_name_arguments():
    found = tool(read, deterministic=True, tags=["file:{path}", "first {lines} of {path}", "{{}}"])
    assert tags(found, path="a b", lines=3) == ("file:a b", "first 3 of a b", "{}")


def test_tags_may_be_a_function_of_arguments():
    found = tool(read, memo=Memo(tags=lambda path: [path.lower(), "file"]))
    assert tags(found, path="A", lines=1) == ("a", "file")


def test_a_tool_that_invalidates_has_side_effects():
    assert tool(read, invalidates=["file:{path}"]).side_effects
    assert tool(read, invalidates=lambda path: [path]).dropped_by({"path": "x"}) == ("x",)
    assert not tool(read).side_effects


SCHEMA: JsonObject = {"type": "object", "properties": {"path": {"type": "string"}}}


def test_a_tool_with_a_schema_of_its_own_has_the_arguments_of_its_schema():
    raw = Tool(
        name="raw", description="Read.", input_schema=SCHEMA, function=str, memo=Memo(tags=["file:{path}"]), version="1"
    )
    assert tags(raw, path="x") == ("file:x",)
    with pytest.raises(ToolDeclarationError, match="looks at 'line'"):
        Tool(name="raw", description="Read.", input_schema=SCHEMA, function=str, invalidates=["{line}"])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"deterministic": True, "side_effects": True}, "has side effects, so its results cannot be kept"),
        ({"memo": Memo(), "invalidates": ["x"]}, "has side effects, so its results cannot be kept"),
        ({"memo": Memo(), "ttl": "1h"}, r"say them in it: Memo\(ttl="),
        ({"memo": "1h"}, r"write memo=Memo\(\.\.\.\)"),
        ({"memo": Memo(tags="x")}, r"write tags=\['x'\]"),
        ({"memo": Memo(tags=["{pth}"])}, r"tags \('\{pth\}'\) looks at 'pth'.*it takes: lines, path"),
        ({"memo": Memo(tags=["{path.parent}"])}, "names of arguments only"),
        ({"memo": Memo(tags=["{path!r}"])}, "names of arguments only"),
        ({"memo": Memo(tags=["{"])}, "is no template"),
        ({"memo": Memo(tags=late)}, "tags is an async function"),
        ({"memo": Memo(key=lambda pth: pth)}, "the memo's key looks at 'pth'"),
        ({"memo": Memo(key=late)}, "the memo's key is async"),
        ({"memo": Memo(key=lambda *path: path)}, "takes 'path' not by its name"),
        ({"memo": Memo(depends=[Memo.file("{pth}")])}, "depends .* looks at 'pth'"),
        ({"memo": Memo(depends=cast("Any", ["a.txt"]))}, r"depends holds 'a\.txt'; write Memo\.file"),
        ({"invalidates": "x"}, r"write invalidates=\['x'\]"),
        ({"invalidates": ["{pth}"]}, "invalidates .* looks at 'pth'"),
        ({"invalidates": late}, "invalidates is an async function"),
    ],
)
def test_what_could_never_work_is_refused(options: ToolOptions, complaint: str):
    with pytest.raises(ToolDeclarationError, match=rf"test_memo_declarations\.py:\d+ read: .*{complaint}"):
        tool(read, **options)


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (lambda: Memo(ttl="soon"), "'soon' is no length of time"),
        (lambda: Memo(scope=cast("Any", "world")), "the scope is 'world'; it is one of run, conversation, shared"),
        (lambda: Memo(max_bytes=0), "max_bytes is 0"),
        (lambda: Memo(depends=cast("Any", Memo.file("x"))), "write a list"),
    ],
)
def test_a_memo_that_means_nothing_is_refused(made, complaint: str):
    with pytest.raises(SettingsError, match=complaint):
        made()
