"""Agents of another framework against the emulator: their own client and caching, our socket and bill.

    python benchmarks/foreign_client.py [pydantic-ai | langchain]

Makes a virtual environment in a temporary folder, installs the framework there from the index that pip is set up with,
and runs a small agent with a tool through the framework's Anthropic client. Shows what the framework says it used, and
what the emulator has billed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentcache.testing import Emulator, ScriptedReply, asks_for, emulated

RULES = "You answer questions about orders, briefly and politely. " * 200
QUESTIONS = ("Where is order 17?", "And order 18?")

PYDANTIC_AI = """
import os

from pydantic_ai import Agent

agent = Agent(
    "anthropic:claude-sonnet-4-6",
    instructions=os.environ["RULES"],
    model_settings={"anthropic_cache_instructions": True, "anthropic_cache_messages": True},
)


@agent.tool_plain
def find_order(number: int) -> str:
    "Look an order up by its number."
    return f"order {number} is on its way"


history = []
for question in os.environ["QUESTIONS"].split("|"):
    result = agent.run_sync(question, message_history=history)
    history = result.all_messages()
    print(f"{question} -> {result.output}\\n  {result.usage}")
"""

LANGCHAIN = """
import os

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool


@tool
def find_order(number: int) -> str:
    "Look an order up by its number."
    return f"order {number} is on its way"


marker = {"cache_control": {"type": "ephemeral"}}
model = ChatAnthropic(model="claude-sonnet-4-6", max_tokens=1000).bind_tools([find_order])
messages = [SystemMessage([{"type": "text", "text": os.environ["RULES"], **marker}])]
for question in os.environ["QUESTIONS"].split("|"):
    messages.append(HumanMessage(question))
    while True:
        answer = model.invoke(messages)
        messages.append(answer)
        print(f"  {answer.usage_metadata}")
        if not answer.tool_calls:
            break
        for call in answer.tool_calls:
            messages.append(ToolMessage(find_order.invoke(call["args"]), tool_call_id=call["id"]))
    print(f"{question} -> {answer.text if isinstance(answer.text, str) else answer.text()}")
"""


@dataclass(frozen=True, slots=True)
class Framework:
    """What to install, and an agent written for it."""

    packages: tuple[str, ...]
    agent: str


FRAMEWORKS: Mapping[str, Framework] = {
    "pydantic-ai": Framework(("pydantic-ai-slim[anthropic]",), PYDANTIC_AI),
    "langchain": Framework(("langchain-anthropic",), LANGCHAIN),
}


async def installed(folder: Path, framework: Framework) -> Path:
    """Return the Python of a new virtual environment that has the framework."""
    await call(sys.executable, "-m", "venv", str(folder / "venv"))
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    quietly = ("--quiet", "--quiet", "--disable-pip-version-check")
    await call(str(python), "-m", "pip", "install", *quietly, *framework.packages)
    return python


async def call(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end; raises `SystemExit` naming it when it fails."""
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    if await process.wait():
        raise SystemExit(f"failed: {' '.join(command[:6])} …")


def support_desk() -> list[ScriptedReply]:
    """Return what the model says: for each question it asks for the tool first."""
    return [
        asks_for("find_order", number=17),
        "Order 17 is on its way.",
        asks_for("find_order", number=18),
        "Order 18 is on its way, too.",
    ]


def show_bill(emulator: Emulator) -> None:
    print(
        f"\nbilled by the emulator\n{'call':>4} {'markers':>8} {'uncached':>9} {'written':>8} {'read':>8} {'output':>7}"
    )
    for number, (line, request) in enumerate(zip(emulator.statement.lines, emulator.requests, strict=True), start=1):
        charge = line.charge
        written = charge.write_5m_tokens + charge.write_1h_tokens
        print(
            f"{number:>4} {str(request).count('cache_control'):>8} {charge.plain_tokens:>9,} {written:>8,} "
            f"{charge.read_tokens:>8,} {line.output_tokens:>7,}"
        )


async def main(name: str) -> None:
    framework = FRAMEWORKS[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = await installed(folder, framework)
        (folder / "agent.py").write_text(framework.agent, encoding="utf-8")
        async with emulated(support_desk()) as emulator:
            environment = {
                **os.environ,
                "ANTHROPIC_BASE_URL": emulator.base_url,
                "ANTHROPIC_API_KEY": "any",
                "RULES": RULES,
                "QUESTIONS": "|".join(QUESTIONS),
            }
            await call(str(python), str(folder / "agent.py"), environment=environment)
            show_bill(emulator)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run another framework's agent against the emulator.")
    parser.add_argument("framework", nargs="?", choices=sorted(FRAMEWORKS), default="pydantic-ai")
    asyncio.run(main(parser.parse_args().framework))
