"""Tools that come with the package: files below one directory, and a calculator that never runs code.

    agentcache run examples/22_builtin_tools.py:clerk "What do I get back for a ticket of 84.30, a day ahead?" --emulate

The file tools see nothing outside of their directory, whatever the model asks for. Their definitions name no path, so
that every machine sends the same bytes for them. `http_get(allow=["example.com"])` would be a third.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentcache import Agent, Prompt
from agentcache.tools import FileTools, calculator

clerk = Agent(
    name="clerk",
    model="claude-sonnet-5-5",
    prompt=Prompt(
        static="You answer for a ferry line. Look its rules up in the files, and never work sums out yourself."
    ),
    tools=[*FileTools(Path(__file__).parent).tools, calculator],
)


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for the model: search, try to look outside, work the sum out, answer."""
    (*_, last) = request["messages"]
    results = [block["content"] for block in last["content"] if block["type"] == "tool_result"]
    if not results:
        return [
            {"type": "tool_use", "name": "search_files", "input": {"text": "half of its price", "pattern": "*.md"}},
            {"type": "tool_use", "name": "read_file", "input": {"path": "../README.md"}},
        ]
    if len(results) == 2:
        return [{"type": "tool_use", "name": "calculator", "input": {"expression": "84.30 / 2"}}]
    return f"You get {results[0]} back."
