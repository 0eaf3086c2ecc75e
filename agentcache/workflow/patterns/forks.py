"""Sub-agents that go on from their parent's exact prefix, instead of being told everything anew."""

from __future__ import annotations

from agentcache.errors import RunError, ToolFailed
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.fork_point import current_fork_point
from agentcache.runtime.limits import Limits
from agentcache.runtime.tools import Tool
from agentcache.workflow.patterns.agent_tools import task_of, task_schema
from agentcache.workflow.run import current_run

_FORKED = (
    "You are a sub-agent now: the conversation so far is your parent's, and so are the calls above, which others are "
    "at work on. Do the following task alone, then answer with its result.\n\n"
)


def fork_tool(*, name: str = "fork", description: str | None = None, limits: Limits | None = None) -> Tool:
    """Return a tool by which an agent hands a task to a sub-agent that knows everything the agent knows.

    The sub-agent is the same agent in a run below: model, tools, system prompt and messages are the parent's byte for
    byte, up to the assistant turn that asks, so it reads the parent's prefix from the cache. It pays full price for
    that turn, one placeholder for each tool of the turn, and the task. Several forks of one turn run beside each other.

    name, description: what the model calls it, and chooses it by; `None`: our own words. limits: bounds of each fork. A
    fork cannot fork; it is told so, and its tools stay the same for the cache's sake. Its answer has the parent's
    output type. On models that bind thinking to the prompt nothing is lost, since nothing before it changes.
    """

    async def fork(arguments: JsonObject) -> object:
        point, task = current_fork_point(), task_of(arguments)
        if point.forked:
            raise ToolFailed("you are a sub-agent already and cannot start others; do the task yourself")
        try:
            done = await current_run().ask_result(
                point.agent, f"{_FORKED}{task}", session=point.session, fork_of=point, limits=limits
            )
        except RunError as error:
            raise ToolFailed(f"the sub-agent gave no answer: {error}") from error
        return done.output

    return Tool(
        name=name,
        description=description
        or "Hand a task to a sub-agent that knows this whole conversation. Call it several times in one turn to have "
        "independent tasks done at the same time. Its answer comes back as the result.",
        input_schema=task_schema("The task, in a sentence or two; everything said so far is known."),
        function=fork,
        where=f"fork_tool {name!r}",
    )
