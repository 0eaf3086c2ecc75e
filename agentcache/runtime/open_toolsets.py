"""What MCP servers offer the runs of one runtime: connections by name, and an agent with a pinned list of tools.

A run asks each of its agent's servers what it lists. A conversation that has a list keeps it, byte for byte; what the
server changed since is told, and applied where that costs nothing (deferred tools that nobody found yet) or where the
author says so. The tools are then those of an ordinary toolset, and nothing behind this knows of servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from agentcache.errors import SettingsError, ToolFailed, ToolServerUnavailable
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.prompt.deferral import choose_deferral
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.token_estimate import block_tokens
from agentcache.prompt.tool_kinds import found_names
from agentcache.runtime.agent import Agent, OutputT
from agentcache.runtime.agent_run import AgentRun
from agentcache.runtime.conversation import Transcript
from agentcache.runtime.pinned_tools import (
    ListDifference,
    PinnedList,
    PinnedTool,
    Refused,
    difference,
    grown,
    lists_from_json,
    lists_to_json,
    pin,
    toolset_of,
)
from agentcache.runtime.sent_prefix import SentPrefix
from agentcache.runtime.tools import ToolFunction
from agentcache.runtime.toolsets import McpServer, Toolset

AGENTS_AT_HAND = 256
"""Agents with their servers' tools that a runtime keeps ready; more are made anew."""
TOLD_AT_MOST = 10_000
"""How many notices are remembered, so that none is given twice."""


class ToolServer(Protocol):
    """One server, connected when it is needed."""

    server: McpServer
    changed: bool
    """Whether it said that its list changed since it was last listed."""

    async def listed(self) -> Sequence[JsonValue]:
        """Return the tools that it lists, as they came. Raises `ToolServerUnavailable`."""
        ...

    async def call(self, tool: str, arguments: JsonObject) -> object:
        """Return what the tool gives. Raises `ToolFailed` when it gives nothing."""
        ...

    def why_invalid(self, schema: JsonObject) -> str | None:
        """Return what is wrong with a JSON schema, `None` for nothing."""
        ...

    async def aclose(self) -> None:
        """End the connection."""
        ...


@dataclass(slots=True, kw_only=True)
class OpenToolsets:
    """The servers of one runtime. clock: Unix seconds; sleep: waits for so many of them."""

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    _open: dict[str, ToolServer] = field(default_factory=dict)
    _offered: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names of the tools that each server listed last."""
    _agents: dict[tuple[int, str], tuple[Agent[object], Agent[object]]] = field(default_factory=dict)
    """The agent as declared and as it runs, by its identity and that of its lists."""
    _told: set[str] = field(default_factory=set)

    async def joined(self, run: AgentRun, transcript: Transcript) -> AgentRun:
        """Return the run with its servers' tools, and pin their lists in the transcript.

        Raises `ToolServerUnavailable` when a server cannot be reached and the conversation has no list of it.
        """
        servers = [each for each in run.agent.toolsets if isinstance(each, McpServer)]
        if not servers:
            return run

        async def listed() -> JsonValue:
            own = [self._current(run, transcript, server) for server in servers]
            found = await asyncio.gather(*own)
            return lists_to_json(dict(zip((server.name for server in servers), found, strict=True)))

        # In a durable run the lists are a step: gone through again, it sends what it sent.
        lists = lists_from_json(await (listed() if run.steps is None else run.steps.next("toolsets").run(listed)))
        transcript.pinned = {**transcript.pinned, **lists}
        return replace(run, agent=self._with(run.agent, lists))

    async def fresh(self, agent: Agent[OutputT]) -> Agent[OutputT]:
        """Return an agent with the tools that its servers list now, as a new conversation would have it."""
        servers = [each for each in agent.toolsets if isinstance(each, McpServer)]
        lists = {server.name: (await self._listed(server, agent.facts))[0] for server in servers}
        return self._with(agent, lists) if servers else agent

    async def tell_changes(self, run: AgentRun, transcript: Transcript) -> None:
        """Tell of lists that their servers changed while the run was under way."""
        for name in sorted({each.name for each in run.agent.toolsets} & transcript.pinned.keys() & self._open.keys()):
            connection = self._open[name]
            if not connection.changed:
                continue
            try:
                now, _ = await self._listed(connection.server, run.agent.facts)
            except ToolServerUnavailable:
                continue  # a call of one of its tools says so
            self._tell(run, transcript, connection.server, difference(transcript.pinned[name].tools, now.tools))

    async def aclose(self) -> None:
        """Close every connection."""
        servers, self._open = list(self._open.values()), {}
        await asyncio.gather(*(server.aclose() for server in servers))

    async def _current(self, run: AgentRun, transcript: Transcript, server: McpServer) -> PinnedList:
        """Return the list of a server for this run: that of the conversation, if it has one."""
        pinned = transcript.pinned.get(server.name)
        if pinned is not None and pinned.source != server.source:
            pinned = None
        try:
            now, refused = await self._listed(server, run.agent.facts)
        except ToolServerUnavailable as error:
            if pinned is None:
                raise
            run.notice("mcp_unreachable", f"{error}; the run begins with the tools it had", at=self.clock())
            return pinned
        for each in refused:
            message = f"MCP server {server.name!r}: tool {each.tool!r} is left out: {each.reason}"
            self._tell_once(run, "mcp_tool_refused", message, whom="")
        if pinned is None:
            return now
        found = _found(transcript.messages)
        kept = replace(pinned, tools=grown(pinned.tools, now.tools, found)) if pinned.defer else pinned
        if server.on_change == "next_run":
            kept = replace(now, defer=pinned.defer)
        self._tell(run, transcript, server, difference(pinned.tools, now.tools), left=difference(kept.tools, now.tools))
        return pinned if kept == pinned else kept

    async def _listed(self, server: McpServer, facts: ModelFacts) -> tuple[PinnedList, tuple[Refused, ...]]:
        connection = self._server(server)
        tools, refused = pin(server, await connection.listed(), why_invalid=connection.why_invalid)
        self._offered[server.name] = frozenset(tool.remote for tool in tools)
        unsent = PinnedList(source=server.source, tools=tools, defer=False)
        defer = server.defer
        if defer == "auto":
            definitions = [item.definition() for item in toolset_of(server, unsent, _uncalled).tools]
            defer = choose_deferral([block_tokens(each, facts) for each in definitions], facts).defer
        return replace(unsent, defer=defer), refused

    def _with(self, agent: Agent[OutputT], lists: Mapping[str, PinnedList]) -> Agent[OutputT]:
        """Return the agent with these lists in place of its servers; the same ones give the same agent."""
        key = (id(agent), canonical_json({name: each.digest for name, each in lists.items()}))
        known = self._agents.get(key)
        if known is not None:
            return cast("Agent[OutputT]", known[1])
        toolsets = tuple(
            self._toolset(each, lists[each.name]) if isinstance(each, McpServer) else each for each in agent.toolsets
        )
        made = replace(agent, toolsets=toolsets, strict=False)  # its author's part was linted when it was declared
        if len(self._agents) >= AGENTS_AT_HAND:
            del self._agents[next(iter(self._agents))]
        self._agents[key] = (cast("Agent[object]", agent), cast("Agent[object]", made))
        return made

    def _toolset(self, server: McpServer, pinned: PinnedList) -> Toolset:
        def calling(tool: PinnedTool) -> ToolFunction:
            async def call(arguments: JsonObject) -> object:
                if tool.remote not in self._offered.get(server.name, {tool.remote}):
                    raise ToolFailed(f"the MCP server {server.name!r} offers no tool {tool.remote!r} any more")
                return await self._server(server).call(tool.remote, arguments)

            return call

        return toolset_of(server, pinned, calling)

    def _server(self, server: McpServer) -> ToolServer:
        known = self._open.get(server.name)
        if known is None:
            known = self._open[server.name] = self._connection(server)
        if known.server.transport != server.transport:
            raise SettingsError(f"two MCP servers of this runtime are named {server.name!r}; rename one")
        return known

    def _connection(self, server: McpServer) -> ToolServer:
        try:
            # An optional extra, and half a second to import.
            from agentcache.runtime.mcp_servers import McpConnection
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"MCP servers need the package {error.name}; install it (pip install 'agentcache-claude[mcp]')"
            ) from error
        return McpConnection(server, clock=self.clock, sleep=self.sleep)

    def _tell(
        self,
        run: AgentRun,
        transcript: Transcript,
        server: McpServer,
        change: ListDifference,
        *,
        left: ListDifference | None = None,
    ) -> None:
        """Tell of a change; `left`: what of it this conversation does not take over."""
        if not change:
            return
        waiting = change if left is None else left
        if not waiting:
            done = "this conversation has it from now on"
        else:
            done = f"this conversation keeps the list it has ({_price(transcript.sent, run.agent.facts, self.clock())})"
        message = f"MCP server {server.name!r} changed its tools ({change.words()}): {done}"
        self._tell_once(run, "mcp_tools_changed", message, whom=f"{run.conversation or run.run_id} {change.words()}")

    def _tell_once(self, run: AgentRun, code: str, message: str, *, whom: str) -> None:
        """Tell each thing once, to everybody or to a conversation (or a run without one)."""
        key = f"{whom} {code}" if whom else message
        if key in self._told:
            return
        if len(self._told) >= TOLD_AT_MOST:
            self._told.clear()
        self._told.add(key)
        run.notice(code, message, at=self.clock())


def _found(messages: Iterable[JsonObject]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if isinstance(block, dict):
                yield from found_names(block)


def _price(sent: SentPrefix | None, facts: ModelFacts, at_s: float) -> str:
    """Return in words what another list would cost a conversation: tools stand first, so all of it."""
    tokens = 0 if sent is None else sent.live_tokens(at_s=at_s)
    prices = facts.prices_for(prompt_tokens=tokens)
    if not tokens or prices is None:
        return f"another would have {tokens:,} cached tokens written again"
    usd = (prices.write_5m_usd - prices.read_usd) * tokens / 1_000_000
    return f"another would have {tokens:,} cached tokens written again, ${usd:.6f} more than reading them"


def _uncalled(tool: PinnedTool) -> ToolFunction:
    def call(arguments: JsonObject) -> object:
        raise ToolFailed(f"{tool.name} is not called here")

    return call
