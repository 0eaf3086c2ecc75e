"""What all players share: they read a job, play its scenarios, and say what became of each. Standard library only.

A player is a script `play_<peer>.py` that runs in the peer's own environment:

    python play_<peer>.py JOB.json

The job is `{"player": …, "settings": …, "scenarios": [...]}` (see `scenarios.py`); the last line on stdout is
`{"versions": {...}, "played": [{"scenario", "error"}]}`. A peer sees tools that answer as they were recorded, and
the users' turns one after another; between turns the users' pauses pass on the emulator's clock.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
import threading
from argparse import ArgumentParser
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

MAX_TOKENS = 4096
"""Of one answer, for every peer."""

API_KEY = "none-needed-here"


class Conversation(Protocol):
    """One user's conversation, with the peer's own way of keeping its history."""

    async def say(self, text: str) -> None:
        """Give the user's words to the peer's agent loop and wait until it has answered."""
        ...


Opened = Callable[[int], Conversation]
"""Opens conversation number 0, 1, … of one agent."""

StartAgent = Callable[["Scenario", str], AbstractAsyncContextManager[Opened]]
"""Takes a scenario and the name of the peer's settings."""


class Scenario:
    """One scenario of the job."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.name: str = job["name"]
        self.base_url: str = job["base_url"]
        self.model: str = job["model"]
        self.system: str = job["system"]
        self.tools: list[dict[str, Any]] = job["tools"]
        self.together: bool = job["together"]
        self.conversations: list[list[dict[str, Any]]] = job["conversations"]
        self._results: dict[str, deque[str]] = defaultdict(deque)
        for result in job["results"]:
            self._results[_call(result["name"], result["input"])].append(result["content"])
        self._lock = threading.Lock()

    def result(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what the tool answered when it was called so; equal calls are answered in recorded order."""
        with self._lock:
            recorded = self._results.get(_call(tool, arguments))
            if not recorded:
                raise LookupError(f"{tool} was never called with {arguments!r}")
            return recorded.popleft()

    def advance(self, seconds: float) -> float:
        """Let the emulator's clock pass `seconds`; return its time."""
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            connection.request("POST", "/emulator/clock", json.dumps({"advance_s": seconds}))
            return float(json.loads(connection.getresponse().read())["now"])
        finally:
            connection.close()


def _call(tool: str, arguments: Mapping[str, Any]) -> str:
    return json.dumps([tool, dict(arguments)], sort_keys=True)


def main(start: StartAgent, packages: list[str]) -> None:
    """Play the job that the command line names."""
    parser = ArgumentParser(description="Plays recorded conversations through one peer; see compare.py.")
    parser.add_argument("job", type=Path, help="a JSON file that compare.py wrote")
    job = json.loads(parser.parse_args().job.read_text(encoding="utf-8"))
    os.environ["ANTHROPIC_API_KEY"] = API_KEY
    played = asyncio.run(_play(start, job))
    print(json.dumps({"versions": {name: version(name) for name in packages}, "played": played}))


async def _play(start: StartAgent, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    played = []
    for described in job["scenarios"]:
        scenario = Scenario(described)
        try:
            async with start(scenario, described["settings"]) as opened:
                await _converse(scenario, opened)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is a result of the comparison
            print(f"{scenario.name}: {type(error).__name__}: {error}"[:2000], file=sys.stderr)
            error_text: str | None = f"{type(error).__name__}: {error}"[:300]
        else:
            error_text = None
        played.append({"scenario": scenario.name, "settings": described["settings"], "error": error_text})
    return played


async def _converse(scenario: Scenario, opened: Opened) -> None:
    if scenario.together:
        conversations = [opened(number) for number in range(len(scenario.conversations))]
        await asyncio.gather(
            *(one.say(turns[0]["text"]) for one, turns in zip(conversations, scenario.conversations, strict=True))
        )
        return
    for number, turns in enumerate(scenario.conversations):
        conversation = opened(number)
        for turn in turns:
            scenario.advance(turn["pause_s"])
            await conversation.say(turn["text"])
