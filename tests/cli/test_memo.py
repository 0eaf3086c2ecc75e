"""`agentcache memo` on a real SQLite memo and a real ledger."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import Result

from agentcache.accounting.usage import RunRecord, ToolCallRecord
from agentcache.cli import memo as command
from agentcache.cli.memo_tables import entries_table
from agentcache.cli.printing import text_of
from agentcache.stores.memo_entries import MemoEntry
from agentcache.stores.memo_opening import open_memo
from agentcache.stores.opening import open_ledger

Cli = Callable[..., Result]

# Ages are shown in hours; a hundredth above a whole one leaves a slow run of the suite most of an hour.
NOW, HOUR_S = time.time(), 3_600.0
FRESH = MemoEntry(
    key="p1:a",
    tool="read_file",
    arguments='{"path":"a.py"}',
    content="print()",
    size=7,
    stored_at=NOW - 60.01 * HOUR_S,
    tags=("file:a.py", "files"),
    took_s=0.5,
)
ENTRIES = [
    FRESH,
    replace(FRESH, key="p1:b", arguments='{"path":"b.py"}', tags=("files",), stored_at=NOW - 60, size=1_000),
    replace(
        FRESH,
        key="p1:c",
        tool="price",
        arguments="{}",
        tags=("files",),
        expires_at=NOW - 1,
        stored_at=NOW - 25.01 * HOUR_S,
    ),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A memo with two files and an expired price."""
    path = str(tmp_path / "memo.db")
    asyncio.run(keep(path, ENTRIES))
    return path


async def keep(url: str, entries: Sequence[MemoEntry]) -> None:
    store = open_memo(url)
    for entry in entries:
        await store.put(entry)
    await store.close()


async def write_calls(path: Path) -> None:
    """Write a ledger with an execution and an answer from that memo."""
    ledger = await open_ledger(str(path))
    await ledger.start_run(RunRecord(run_id="run_1", parent_run_id=None, name="x", agent="clerk", started_at=1.0))
    executed = ToolCallRecord(
        tool_call_id="tool_1",
        run_id="run_1",
        agent="clerk",
        call_id="call_1",
        tool="read_file",
        started_at=1.0,
        ended_at=1.5,
        outcome="ok",
        memo_tier="executed",
        memo_saved_s=0.0,
        result_bytes=7,
        result_tokens=20,
        result_digest="p1:aa",
    )
    await ledger.add_tool_call(executed)
    kept = replace(executed, tool_call_id="tool_2", started_at=9.0, ended_at=9.0, memo_hit=True, memo_tier="sqlite")
    await ledger.add_tool_call(replace(kept, memo_saved_s=0.5))
    await ledger.close()


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def keys(cli: Cli, url: str, *words: str) -> list[str]:
    return [entry["key"] for entry in told(cli("memo", "list", "--memo-url", url, "--json", *words))["entries"]]


def test_list_tells_of_each_result_but_not_what_it_says(cli: Cli, url: str) -> None:
    first, *rest = told(cli("memo", "list", "--memo-url", url, "--json"))["entries"]

    assert first == {
        "key": "p1:a",
        "tool": "read_file",
        "arguments": {"path": "a.py"},
        "tags": ["file:a.py", "files"],
        "tenant": "",
        "version": "",
        "bytes": 7,
        "stored_at": FRESH.stored_at,
        "expires_at": None,
        "ttl_left_s": None,
        "took_s": 0.5,
    }
    assert [entry["key"] for entry in rest] == ["p1:c", "p1:b"]
    assert rest[0]["ttl_left_s"] < 0


def test_list_may_be_narrowed_to_a_tool_and_a_tag(cli: Cli, url: str) -> None:
    assert keys(cli, url, "--tool", "price") == ["p1:c"]
    assert keys(cli, url, "--tag", "file:a.py") == ["p1:a"]
    assert keys(cli, url, "--tag", "files", "--tool", "read_file") == ["p1:a", "p1:b"]


def test_list_as_a_table_cuts_arguments_to_the_width(cli: Cli, tmp_path: Path) -> None:
    url = str(tmp_path / "wide.db")
    asyncio.run(keep(url, [replace(FRESH, key="p1:d", arguments=json.dumps({"path": "x" * 500})), *ENTRIES]))

    lines = cli("memo", "list", "--memo-url", url).stdout.splitlines()

    assert lines[0].split() == ["tool", "arguments", "age", "ttl", "left", "bytes", "tags"]
    assert any('{"path":"a.py"}' in line and "2d 12h" in line and "file:a.py files" in line for line in lines)
    assert any("expired" in line and line.startswith("price") for line in lines)
    assert any("xxx…" in line for line in lines)
    assert max(map(len, lines)) <= 100


def test_names_in_the_table_are_text_and_not_markup() -> None:
    text = text_of(
        entries_table([replace(FRESH, tool="[bold]x[/]", tags=("[red]",), arguments='["[b]"]')], NOW, width=100)
    )

    assert all(word in text for word in ("[bold]x[/]", "[red]", '["[b]"]'))


@pytest.mark.parametrize(
    ("words", "gone", "left"),
    [
        (["--tag", "file:a.py"], "1 result", ["p1:c", "p1:b"]),
        (["--tag", "files"], "3 results", []),
        (["--tag", "files", "--tool", "price"], "1 result", ["p1:a", "p1:b"]),
        (["--tool", "read_file"], "2 results", ["p1:c"]),
        (["--tag", "nothing"], "0 results", ["p1:a", "p1:c", "p1:b"]),
        (["--tag", "file:a.py", "--tag", "nothing"], "1 result", ["p1:c", "p1:b"]),
    ],
)
def test_invalidate_forgets_what_is_meant_and_nothing_else(
    cli: Cli, url: str, words: list[str], gone: str, left: list[str]
) -> None:
    result = cli("memo", "invalidate", "--memo-url", url, *words)

    assert (result.exit_code, result.stdout) == (0, f"forgot {gone}\n")
    assert keys(cli, url) == left


def test_invalidate_wants_to_know_what(cli: Cli, url: str) -> None:
    result = cli("memo", "invalidate", "--memo-url", url)

    assert result.exit_code == 2
    assert result.stderr.startswith("agentcache: say what to forget with --tag or --tool")
    assert len(keys(cli, url)) == 3


def test_clear_forgets_everything(cli: Cli, url: str) -> None:
    result = cli("memo", "clear", "--memo-url", url, "--yes")

    assert (result.exit_code, result.stdout) == (0, "forgot 3 results\n")
    assert keys(cli, url) == []


@pytest.mark.parametrize(("answer", "left"), [("n\n", 3), ("y\n", 0)])
def test_on_a_terminal_clear_asks_first(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    asked: list[str] = []

    def confirm(question: str, *, abort: bool, err: bool) -> None:
        asked.append(question)
        if answer == "n\n":
            raise typer.Abort

    monkeypatch.setattr(command, "_on_a_terminal", lambda: True)
    monkeypatch.setattr(typer, "confirm", confirm)
    cli("memo", "clear", "--memo-url", url)

    assert asked == ["Forget 3 results?"]
    assert len(keys(cli, url)) == left


def test_stats_tell_of_the_ledger_and_of_the_memo(cli: Cli, url: str, tmp_path: Path) -> None:
    asyncio.run(write_calls(tmp_path / "ledger.db"))
    body = told(cli("memo", "stats", "--memo-url", url, "--db", str(tmp_path / "ledger.db"), "--json"))

    (row,) = body["calls"]["rows"]
    assert (row["tool"], row["agent"], row["executed"], row["hits"]["sqlite"]) == ("read_file", "clerk", 1, 1)
    assert (row["saved_s"], row["identical_tokens"]) == (0.5, 20)
    tools = body["kept"].pop("tools")
    assert body["kept"] == {"entries": 3, "bytes": 1_014, "expired": 1, "oldest_at": FRESH.stored_at}
    assert [(tool["tool"], tool["entries"], tool["bytes"], tool["expired"]) for tool in tools] == [
        ("price", 1, 7, 1),
        ("read_file", 2, 1_007, 0),
    ]


def test_stats_as_tables(cli: Cli, url: str, tmp_path: Path) -> None:
    asyncio.run(write_calls(tmp_path / "ledger.db"))
    text = cli("memo", "stats", "--memo-url", url, "--db", str(tmp_path / "ledger.db")).stdout

    assert "from memo: 1 sqlite." in text
    assert ["price", "1", "7", "1", "1d", "1h"] in [line.split() for line in text.splitlines()]
    assert ["total", "3", "1,014", "1", "2d", "12h"] in [line.split() for line in text.splitlines()]


def test_stats_say_what_there_is(cli: Cli, url: str, tmp_path: Path) -> None:
    assert told(cli("memo", "stats", "--memo-url", url, "--json"))["calls"] is None

    asyncio.run(write_calls(tmp_path / "ledger.db"))
    body = told(cli("memo", "stats", "--db", str(tmp_path / "ledger.db"), "--json", "--since", "1970-01-01T00:00:05Z"))
    assert body["kept"] is None
    assert body["calls"]["total"]["calls"] == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["list"], "no memo is named that outlives its process; give --memo-url"),
        (["list", "--memo-url", "memory:"], "no memo is named that outlives its process"),
        (["clear", "--yes", "--memo-url", "none.db"], "there is no memo at none.db"),
        (["stats", "--memo-url", "none.db"], "there is no memo at none.db"),
        (["stats"], "there is no ledger at .agentcache/ledger.db"),
        (["stats", "--db", "none.db"], "there is no ledger at none.db"),
        (["list", "--memo-url", "ftp://x"], "ftp"),
    ],
)
def test_what_is_not_there_is_one_sentence(cli: Cli, words: list[str], complaint: str, tmp_path: Path) -> None:
    result = cli("memo", *words)

    assert result.exit_code == 2
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "none.db").exists()


def test_the_environment_names_the_memo(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTCACHE_MEMO_URL", url)

    assert len(told(cli("memo", "list", "--json"))["entries"]) == 3


def test_listing_needs_no_sdk(url: str) -> None:
    code = (
        "import sys\nfrom agentcache.cli import app\n"
        f"app(['memo', 'list', '--memo-url', {url!r}], standalone_mode=False)\n"
        "assert 'anthropic' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert "read_file" in done.stdout


SHOP = '''
from agentcache import Agent, Prompt, tool


@tool(deterministic=True, tags=["prices"], version="1")
async def price(article: str) -> str:
    """Look a price up."""
    return f"{article}: 4 €"


clerk = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static="You sell."), tools=[price])


def emulated_replies(request):
    last = request["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        return last["content"]
    return [{"type": "tool_use", "name": "price", "input": {"article": "tea"}}]
'''


def test_what_one_run_kept_the_next_one_finds_until_it_is_invalidated(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTCACHE_MEMO_URL", "memo.db")
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    for _ in range(2):
        assert cli("run", "shop.py:clerk", "tea?", "--emulate").stdout.startswith("tea: 4 €\n")
    assert [entry["arguments"] for entry in told(cli("memo", "list", "--json"))["entries"]] == [{"article": "tea"}]
    assert cli("memo", "invalidate", "--tag", "prices").stdout == "forgot 1 result\n"
    assert cli("run", "shop.py:clerk", "tea?", "--emulate").exit_code == 0

    (row,) = told(cli("memo", "stats", "--json"))["calls"]["rows"]

    assert (row["calls"], row["executed"], row["hits"]["sqlite"]) == (3, 2, 1)
    assert row["identical_tokens"] > 0
    assert row["repeated"] == 1
