"""Agent as tool: one agent asks another while it works, and goes on with the answer."""

from __future__ import annotations

from agentcache.errors import RunError, ToolArgumentsInvalid, ToolFailed
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.limits import Limits
from agentcache.runtime.tools import Tool
from agentcache.workflow.run import current_run


def agent_tool(
    agent: Agent[OutputT], *, description: str, name: str | None = None, limits: Limits | None = None
) -> Tool:
    """Return a tool that asks `agent`, to be declared beside other tools at module level.

    description: what the asking model chooses it by. name: the agent's own when left out. limits: the share that one
    call may use of the budget of whoever asks; what it uses counts there and above, once.

    Each call is a run below the run of the asking agent, found when the tool is executed, so the tool belongs to no
    run and its definition is constant. The inner agent has a prefix of its own, which calls that follow each other
    read; it sees the task and nothing else of the conversation. A run that fails is told to the asking model.
    """

    async def ask(arguments: JsonObject) -> object:
        try:
            return await current_run().ask(agent, task_of(arguments), limits=limits)
        except RunError as error:
            raise ToolFailed(f"{agent.name} gave no answer: {error}") from error

    return Tool(
        name=name or agent.name.replace(".", "_"),
        description=description,
        input_schema=task_schema("What is to be done or answered, with all that it takes: nothing else is known."),
        function=ask,
        approval_behind=tuple(waiting for tool in agent.toolbox.values() for waiting in tool.may_wait),
        where=f"agent_tool of agent {agent.name!r}",
    )


def task_schema(description: str) -> JsonObject:
    """Return the schema of a tool that takes one task in words."""
    return {
        "type": "object",
        "properties": {"task": {"type": "string", "description": description}},
        "required": ["task"],
        "additionalProperties": False,
    }


def task_of(arguments: JsonObject) -> str:
    """Return the task. Raises `ToolArgumentsInvalid` for arguments that bring none."""
    task = arguments.get("task")
    if not isinstance(task, str) or not task.strip():
        raise ToolArgumentsInvalid("task: a text that says what is to be done")
    return task
