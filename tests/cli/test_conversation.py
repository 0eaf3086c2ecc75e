"""`agentcache conversation`: what a ledger keeps of conversations, and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Cli = Callable[..., Result]


def say(cli: Cli, text: str, conversation: str = "c-42") -> Result:
    return cli("run", "team.py:support", text, "--emulate", "--conversation", conversation, "--keep-text")


@pytest.fixture
def spoken(cli: Cli) -> Cli:
    """The command line in a folder whose ledger has a conversation of two turns."""
    for text in ("hello", "again"):
        assert say(cli, text).exit_code == 0
    return cli


def listed(cli: Cli) -> dict[str, Any]:
    found = json.loads(cli("conversation", "list", "--format", "json").stdout)["conversations"]
    return {one["conversation_id"]: one for one in found}


def texts(cli: Cli, *words: str) -> list[str]:
    messages = json.loads(cli("conversation", "show", *words).stdout)["messages"]
    return [message["content"][-1]["text"] for message in messages]


def test_conversations_are_listed(spoken: Cli) -> None:
    table = spoken("conversation", "list").stdout
    [one] = listed(spoken).values()

    assert [table.split()[at] for at in (0, 5, 6, 7, 8)] == ["conversation", "c-42", "support", "4", "2"]
    assert (one["messages"], one["version"], one["agent"]) == (4, 2, "support")


def test_the_messages_are_shown(spoken: Cli) -> None:
    assert texts(spoken, "c-42") == ["hello", "heard: hello", "again", "heard: again"]


def test_a_fork_goes_on_by_itself(spoken: Cli) -> None:
    assert "c-43: 2 messages" in spoken("conversation", "fork", "c-42", "c-43", "--at", "2").stdout
    say(spoken, "or else", "c-43")

    assert texts(spoken, "c-43") == ["hello", "heard: hello", "or else", "heard: or else"]
    assert texts(spoken, "c-42") == ["hello", "heard: hello", "again", "heard: again"]


def test_an_export_is_a_header_and_a_message_a_line(spoken: Cli) -> None:
    lines = [json.loads(line) for line in spoken("conversation", "export", "c-42").stdout.splitlines()]

    assert {key: lines[0][key] for key in ("id", "agent", "messages")} == {
        "id": "c-42",
        "agent": "support",
        "messages": 4,
    }
    assert lines[0]["head"] == listed(spoken)["c-42"]["head"]
    assert [line["role"] for line in lines[1:]] == ["user", "assistant", "user", "assistant"]


def test_an_export_can_be_imported_elsewhere(spoken: Cli) -> None:
    spoken("conversation", "export", "c-42", "-o", "c.jsonl")

    told = spoken("conversation", "import", "c.jsonl", "--as", "c-7", "--db", "other.db")

    assert told.stdout == "conversation c-7: 4 messages\n"
    assert texts(spoken, "c-7", "--db", "other.db") == texts(spoken, "c-42")


def test_line_ends_of_other_kinds_in_a_message_come_through(cli: Cli) -> None:
    text = "one\u2028two\x85three"
    say(cli, text)
    cli("conversation", "export", "c-42", "-o", "c.jsonl")

    assert cli("conversation", "import", "c.jsonl", "--as", "c-7").exit_code == 0
    assert texts(cli, "c-7") == [text, f"heard: {text}"]


def test_a_changed_export_is_refused(spoken: Cli) -> None:
    spoken("conversation", "export", "c-42", "-o", "c.jsonl")
    Path("c.jsonl").write_text(Path("c.jsonl").read_text().replace("heard: hello", "heard: goodbye"))

    refused = spoken("conversation", "import", "c.jsonl", "--as", "c-7")

    assert refused.exit_code == 2
    assert "the 4 messages are not the 4 that the header names" in refused.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "begins with a header line"),
        ("{}\n", "line 1 is no header of an exported conversation: format"),
        ('{"format":"other","id":"c","agent":"a","head":"p1:","messages":0,"state":{}}\n', "says format 'other'"),
        (
            '{"format":"agentcache-conversation-1","id":"c","agent":"a","head":"p1:","messages":0,"state":{}}\n{"role":1}\n',
            "line 2 of the exported conversation is no message",
        ),
    ],
)
def test_what_is_no_export_is_refused(cli: Cli, text: str, told: str) -> None:
    Path("c.jsonl").write_text(text)

    refused = cli("conversation", "import", "c.jsonl")

    assert refused.exit_code == 2
    assert told in refused.stderr


def test_a_deleted_conversation_is_gone(spoken: Cli) -> None:
    assert spoken("conversation", "delete", "c-42").exit_code == 0

    gone = spoken("conversation", "show", "c-42")
    assert (gone.exit_code, listed(spoken)) == (2, {})
    assert "there is no conversation 'c-42'" in gone.stderr


def test_an_id_that_is_taken_is_refused(spoken: Cli) -> None:
    refused = spoken("conversation", "fork", "c-42", "c-42")

    assert refused.exit_code == 2
    assert "there is a conversation 'c-42' already" in refused.stderr


def test_a_ledger_that_is_not_there_is_not_made(cli: Cli) -> None:
    assert cli("conversation", "list", "--db", "none.db").exit_code == 2
    assert not Path("none.db").exists()
