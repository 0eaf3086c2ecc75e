"""A person decides: the tool waits for a yes, and the model is told when the answer is no.

    agentcache run examples/09_human_approval.py:clerk "Invoice 17 from Rope & Sail, 240 euros" --emulate
    agentcache run examples/09_human_approval.py:clerk "Invoice 17, 240 euros" --emulate --approve none

On a terminal the question appears there; elsewhere say `--approve all` or `none`, or give `Runtime(approve=…)` a
function. The rule looks at the arguments that it names: small sums need nobody. Waiting changes nothing in the prompt,
but a 5-minute cache entry may run out meanwhile.
"""

from __future__ import annotations

from typing import Any

from agentcache import Agent, Prompt, current_tool_call, tool


@tool(approval=lambda euros: euros > 100)
async def transfer(payee: str, euros: int) -> str:
    """Transfer money. A person must agree to large sums, which may take a while."""
    return f"transferred {euros} euros to {payee}, once for {current_tool_call().tool_use_id}"


clerk = Agent(
    name="clerk",
    model="claude-sonnet-5-5",
    prompt=Prompt(static="You pay invoices. Call `transfer` once for each invoice and report what became of it."),
    tools=[transfer],
)


def emulated_replies(request: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Stand in for the model: ask for the transfer, then report what became of it."""
    (*_, last) = request["messages"][-1]["content"]
    if last["type"] != "tool_result":
        euros = 240 if "240" in last["text"] else 40
        return [{"type": "tool_use", "name": "transfer", "input": {"payee": "Rope & Sail", "euros": euros}}]
    return "It was declined." if last.get("is_error") else "It is paid."
