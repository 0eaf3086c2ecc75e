"""Recordings from files: what a runtime recorded is played to it again, and traces to any client."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agentcache import Agent, Prompt, Runtime, Tool, tool
from agentcache.errors import EmulatorError, TargetError, UnexpectedCall, UnusedReply
from agentcache.testing import RecordedReplies, asks_for, emulated, recorded_replies

TRACES = Path(os.environ.get("AGENTCACHE_SHARED", Path(__file__).parents[3] / "shared")) / "traces" / "dev"
needs_traces = pytest.mark.skipif(
    not TRACES.is_dir() and not os.environ.get("CI"), reason=f"the recorded traces are not at {TRACES}"
)


@tool
def look(number: int) -> str:
    """Look something up by its number."""
    return f"{number} is here"


CLERK = Agent(name="clerk", model="claude-sonnet-5-5", prompt=Prompt(static="You are a clerk."), tools=[look])


async def ask(replies: Any, question: str, *, record: Path | None = None) -> str:
    async with (
        emulated(replies) as emulator,
        Runtime("memory:", base_url=emulator.base_url, record_requests=record) as runtime,
    ):
        return (await runtime.run(CLERK, question)).output


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.xz"])
async def test_what_a_runtime_recorded_answers_it_again(tmp_path: Path, ending: str) -> None:
    log = tmp_path / f"requests.{ending}"
    recorded = await ask([asks_for("look", number=7), "It is here."], "Where is 7?", record=log)
    assert await ask(recorded_replies(log), "Where is 7?") == recorded


async def test_a_changed_agent_no_longer_fits_its_recording(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    await ask([asks_for("look", number=7), "It is here."], "Where is 7?", record=log)
    assert await ask(recorded_replies(log, strict=False), "Where is 8?") == "Where is 8?"
    strict = recorded_replies(log)
    with pytest.raises(UnexpectedCall):
        await strict.reply({"messages": [{"role": "user", "content": "Where is 8?"}]})
    with pytest.raises(UnusedReply, match="2 of 2"):
        strict.finish()


def a_trace(name: str) -> dict[str, object]:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": f"Who is {name}?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": f"I am {name}."}]},
    ]
    return {
        "trace_id": name,
        "agents": [{"name": "main"}],
        "threads": [{"id": "0", "agent": "main", "messages": messages}],
        "calls": [{"thread": "0", "agent": "main", "in": 1}],
    }


def written(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


async def test_one_trace_of_a_file_or_all_of_them(tmp_path: Path) -> None:
    file = written(tmp_path / "traces.jsonl", a_trace("Ana"), "", a_trace("Bob"))
    assert await ask(recorded_replies(file, trace="Bob"), "Who is Bob?") == "I am Bob."
    with pytest.raises(UnusedReply, match="1 of 2"):
        await ask(recorded_replies(file), "Who is Bob?")


def test_files_that_are_no_recording_are_refused(tmp_path: Path) -> None:
    traces = written(tmp_path / "traces.jsonl", a_trace("Ana"))
    log = written(tmp_path / "log.jsonl", {"t": 0, "request": {"messages": []}, "response": {"content": []}})
    broken = written(tmp_path / "broken.jsonl", a_trace("Ana"), "{no")
    no_object = written(tmp_path / "list.jsonl", [1])
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(traces.read_bytes())[:-9])
    for path, trace, message in [
        (tmp_path / "missing.jsonl", None, "No such file"),
        (tmp_path / "cut.jsonl.gz", None, "cannot read"),
        (broken, None, "line 2: not JSON"),
        (no_object, None, "line 1: not a JSON object"),
        (traces, "Bob", "has no trace 'Bob'"),
        (log, "Ana", "is a request log"),
    ]:
        with pytest.raises(TargetError, match=message):
            recorded_replies(path, trace=trace)
    with pytest.raises(EmulatorError, match="holds no answered call"):
        recorded_replies(written(tmp_path / "empty.jsonl"))


@needs_traces
async def test_the_runtime_is_led_through_a_recorded_conversation() -> None:
    """Play a conversation of tau-bench: the tools answer as recorded, the user says what was recorded, nothing else."""
    with gzip.open(TRACES / "tau_airline.jsonl.gz", "rt", encoding="utf-8") as lines:
        trace = json.loads(next(lines))
    messages = trace["threads"][0]["messages"]
    agent = Agent(
        name="airline",
        model="claude-sonnet-5-5",
        prompt=Prompt(static="{{ policy }}"),
        variables={"policy": trace["agents"][0]["system"]},
        tools=recorded_tools(trace["agents"][0]["tools"], messages),
    )
    questions = [
        "\n".join(block["text"] for block in message["content"] if block["type"] == "text")
        for message in messages
        if message["role"] == "user" and any(block["type"] == "text" for block in message["content"])
    ]
    async with (
        emulated(RecordedReplies.from_traces([trace])) as emulator,
        Runtime("memory:", base_url=emulator.base_url) as runtime,
    ):
        for question in questions:
            result = await runtime.run(agent, question, conversation="c")
    assert result.output == messages[-1]["content"][0]["text"]


def recorded_tools(definitions: list[dict[str, Any]], messages: list[dict[str, Any]]) -> list[Tool]:
    """Return tools that give their recorded results, each call in its turn."""
    asked = {block["id"]: block for message in messages for block in message["content"] if block["type"] == "tool_use"}
    answers: dict[str, list[str]] = {}
    for message in messages:
        for block in message["content"]:
            if block["type"] == "tool_result":
                answers.setdefault(asked[block["tool_use_id"]]["name"], []).append(block["content"])

    def made(definition: dict[str, Any]) -> Tool:
        async def answer(arguments: object) -> str:
            return answers[definition["name"]].pop(0)

        return Tool(
            name=definition["name"],
            description=definition["description"],
            input_schema=definition["input_schema"],
            function=answer,
        )

    return [made(definition) for definition in definitions]
