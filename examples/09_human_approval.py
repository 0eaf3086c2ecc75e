"""A person decides: the tool asks before it acts, and the model is told when the answer is no.

    agentcache run examples/09_human_approval.py:pay "Invoice 17 from Rope & Sail, 240 euros" --emulate
    agentcache run examples/09_human_approval.py:pay "Invoice 17 from Rope & Sail, 240 euros" no --emulate

Without the second word the question appears in the terminal. The tool is made inside the workflow, so it knows whom
to ask; its definition is the same in every run, and so is the cached prefix.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agentcache import Agent, Prompt, Run, Tool, ToolFailed, tool, workflow


def transfer_tool(answer: str | None, done: list[str]) -> Tool:
    """Return a tool that transfers money after a person has agreed; `answer` is theirs when it is known beforehand."""

    @tool
    async def transfer(payee: str, euros: int) -> str:
        """Transfer money. A person must agree first, which may take a while."""
        question = f"Transfer {euros} euros to {payee}? [yes/no] "
        given = answer if answer is not None else await asyncio.to_thread(input, question)
        if given.strip().lower() not in {"y", "yes"}:
            raise ToolFailed("a person declined this transfer; do not try it again, say so in your answer")
        done.append(f"{euros} euros to {payee}")
        return "transferred"

    return transfer


@workflow
async def pay(run: Run, invoice: str, answer: str | None = None) -> dict[str, object]:
    """Let an agent pay an invoice; return what it says and what was really transferred."""
    done: list[str] = []
    clerk = Agent(
        name="clerk",
        model="claude-sonnet-5-5",
        prompt=Prompt(static="You pay invoices. Call `transfer` once for each invoice and report what became of it."),
        tools=[transfer_tool(answer, done)],
    )
    says = await run.ask(clerk, invoice)
    return {"says": says, "transferred": done}


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for the model: ask for the transfer, then report what became of it."""
    (*_, last) = request["messages"][-1]["content"]
    if last["type"] != "tool_result":
        return [{"type": "tool_use", "name": "transfer", "input": {"payee": "Rope & Sail", "euros": 240}}]
    return "It was declined." if last.get("is_error") else "It is paid."
