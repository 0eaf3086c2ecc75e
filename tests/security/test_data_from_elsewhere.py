"""Logs, conversations, databases and results from elsewhere are data: none is run, and a bomb is one sentence."""

from __future__ import annotations

import ast
import asyncio
import gzip
import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from agentcache import CallError, ReplyMalformed, TargetError
from agentcache.cli import app
from agentcache.prompt.strict_json import MAX_DEPTH, parsed_json
from agentcache.runtime.client import MessagesClient
from agentcache.runtime.conversation_file import from_lines
from agentcache.runtime.mcp_results import result_from
from agentcache.runtime.replies import ReplyBuilder
from agentcache.simulate.traffic import json_object
from agentcache.stores.opening import open_ledger
from tests.runtime.loopback import REQUEST, Answer, Listener, LoopbackApi, start, streamed

PACKAGE = Path(__file__).parents[2] / "agentcache"

# --- nothing is unpickled or evaluated

NEVER_IMPORTED = {"dill", "cloudpickle", "jsonpickle", "marshal", "pickle", "shelve", "yaml"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__", "execfile"}


NAMED = re.compile(rf"\b({'|'.join(sorted(NEVER_IMPORTED | NEVER_CALLED | {'shell'}))})\b")


def forbidden(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names} & NEVER_IMPORTED
        if isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} & NEVER_IMPORTED
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= {node.func.id} & NEVER_CALLED
        if isinstance(node, ast.keyword) and node.arg == "shell" and not _is_false(node.value):
            found.add("shell=")
    return found


def _is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_the_package_unpickles_and_evaluates_nothing():
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    named = {path: text for path, text in texts.items() if NAMED.search(text)}  # parsing all takes seconds
    assert len(texts) > 400
    assert {str(path): found for path, text in named.items() if (found := forbidden(ast.parse(text)))} == {}


@pytest.mark.parametrize(
    "program",
    ["import pickle", "from pickle import loads", "import yaml.loader", "eval('1')", "exec(x)", "run(x, shell=True)"],
)
def test_that_would_be_seen(program):
    assert NAMED.search(program)
    assert forbidden(ast.parse(program))


# --- bombs

DEEP = "[" * 100_000 + "]" * 100_000
BOMBS = {
    "deep": DEEP,
    "deep enough": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "deep objects": '{"a":' * 500 + "1" + "}" * 500,
    "nan": '{"a": NaN}',
    "infinity": '{"a": [1e999]}',
    "long number": '{"a": ' + "9" * 5_000 + "}",
    "no json": "{",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_json_bomb_is_refused_when_it_is_read(bomb):
    with pytest.raises(ValueError):  # noqa: PT011 - its words are Python's
        parsed_json(BOMBS[bomb])
    with pytest.raises(TargetError, match=r"log\.jsonl, line 7"):
        json_object(BOMBS[bomb], where="log.jsonl, line 7")
    with pytest.raises(TargetError):
        from_lines([BOMBS[bomb], BOMBS[bomb]])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
       | st.text(), lambda below: st.lists(below) | st.dictionaries(st.text(), below)))  # fmt: skip
def test_what_is_json_is_read_as_python_reads_it(value):
    assert parsed_json(json.dumps(value)) == value


def test_half_a_character_in_a_log_is_written_out_where_it_is_kept(tmp_path):
    call = {"t": 1.0, "run": "r\ud800", "agent": "\ud800", "response": {"id": "m\ud800", "usage": {"input_tokens": 1}}}
    call["request"] = {"model": "m\ud800", "max_tokens": 1, "messages": [{"role": "user", "content": "\ud800"}]}
    (tmp_path / "log.jsonl").write_text(json.dumps(call))
    db = str(tmp_path / "ledger.db")
    taken = CliRunner().invoke(app, ["import", str(tmp_path / "log.jsonl"), "--db", db])
    assert taken.exit_code == 0, taken.stderr
    assert "r\\\\ud800" in CliRunner().invoke(app, ["export", "--db", db]).stdout


@pytest.mark.parametrize("bomb", BOMBS)
def test_tool_arguments_that_are_a_bomb_end_the_reply_in_a_typed_error(bomb):
    builder = ReplyBuilder()
    block = {"type": "tool_use", "id": "t", "name": "x", "input": {}}
    builder.add(start())
    builder.add({"type": "content_block_start", "index": 0, "content_block": block})
    builder.add(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": BOMBS[bomb]}}
    )
    with pytest.raises(ReplyMalformed):  # noqa: PT012 - one of the two reads them
        builder.add({"type": "content_block_stop", "index": 0})
        builder.message()


@pytest.mark.parametrize("told", [*BOMBS.values(), '{"error": {"type": ["x"], "message": {"a": 1}}}', "[]"])
async def test_an_error_within_a_stream_ends_the_call_in_a_typed_error_whatever_it_says(told):
    answer = Answer(headers=streamed().headers, pieces=[f"event: error\ndata: {told}\n\n".encode()])
    async with (
        LoopbackApi(answer) as api,
        MessagesClient(api_key="k", base_url=api.base_url, max_attempts=1) as client,
    ):
        with pytest.raises(CallError, match="in the middle of the reply"):
            await client.send(REQUEST, observer=Listener())


def test_a_tool_server_s_text_that_is_a_bomb_stays_text():
    told: Any = {"content": [{"type": "text", "text": DEEP}], "structuredContent": {"a": 1}}
    assert DEEP in str(result_from(told).content)


COMMANDS = [
    ("explain", "--log"),
    ("lint", "--log"),
    ("simulate",),
    ("import",),
    ("emulator", "--replies"),
    ("conversation", "import"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("bomb", ["deep", "infinity", "long number"])
def test_a_file_of_bombs_is_one_sentence_to_every_command(tmp_path, monkeypatch, command, bomb):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(BOMBS[bomb].encode()))
    (tmp_path / "log.jsonl").write_text(BOMBS[bomb])
    for name in ("log.jsonl",) if command[0] == "conversation" else ("log.jsonl", "log.jsonl.gz"):
        result = CliRunner().invoke(app, [*command, name])
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == (2 if command == ("import",) else 1)  # which says what it left out
        assert "TRACEBACK" not in result.stderr


# --- databases


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.db"

    async def make() -> None:
        await (await open_ledger(str(path))).close()

    asyncio.run(make())
    return path


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_functions_that_a_foreign_schema_calls_are_not_trusted(ledger):
    async def trusted() -> object:
        opened: Any = await open_ledger(str(ledger))
        try:
            return await opened._look(
                lambda connection: connection.exec_driver_sql("PRAGMA trusted_schema").scalar_one()
            )
        finally:
            await opened.close()

    assert asyncio.run(trusted()) == 0


ROWS = [
    "'no time', 1e999, 'running', NULL",
    "x'00ff', 5, 'nothing known', NULL",
    f"'n', 'text', 'running', '{'x' * 1_000_000}'",
]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("command", ["report", "report --by run", "export", "top --once --since 2020-01-01"])
def test_rows_of_wrong_types_end_in_a_sentence_or_a_table(ledger, row, command):
    changed(ledger, f"INSERT INTO runs (run_id, name, started_at, status, error) VALUES ('r', {row})")
    result = CliRunner().invoke(app, [*command.split(), "--db", str(ledger)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code in {0, 1, 2}
    assert len(result.stderr.splitlines()) <= 1


def test_no_module_of_a_directory_from_elsewhere_is_imported_by_reading_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("json", "agentcache_plugin", "sitecustomize", "log"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('ran')")
    (tmp_path / "log.jsonl").write_text("{}")
    before = set(sys.modules)
    CliRunner().invoke(app, ["explain", "--log", "log.jsonl"])
    assert not [
        name for name in set(sys.modules) - before if str(tmp_path) in str(getattr(sys.modules[name], "__file__", ""))
    ]
