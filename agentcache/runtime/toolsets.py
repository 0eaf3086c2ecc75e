"""Collections of tools as an author declares them: tools of one's own that may be deferred, and MCP servers.

A declaration knows no connection. What a server offers becomes a pinned list (`pinned_tools.py`), and a `Toolset` of
it when a run begins (`open_toolsets.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, TypedDict, Unpack

from agentcache.errors import DeclarationError, SettingsError
from agentcache.prompt.canonical import canonical_json, digest
from agentcache.prompt.deferral import Deferral, choose_deferral
from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.token_estimate import block_tokens
from agentcache.runtime.approval import ApprovalRule
from agentcache.runtime.durations import Duration, seconds
from agentcache.runtime.tool_order import ordered_tools
from agentcache.runtime.tool_results import MAX_RESULT_CHARS
from agentcache.runtime.tools import Tool
from agentcache.shown_url import shown_url

Defer: TypeAlias = bool | Literal["auto"]
"""Whether tools are left out of the prompt until a tool search finds them; `auto` weighs their tokens."""

ListChange: TypeAlias = Literal["next_conversation", "next_run"]
"""When a conversation takes over what its server changed: never (later ones do), or with its next run."""

DEFAULT_TIMEOUT_S = 60.0
DEFAULT_CONNECT_TIMEOUT_S = 30.0

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True, eq=False)
class Toolset:
    """Tools that belong together, sent behind an agent's own.

    tools: functions made with `@tool`. name: for messages. defer: `auto` defers them where that is expected to cost
    the agent's model much less than sending them all (`prompt/deferral.py` has the sum).
    """

    tools: tuple[Tool, ...] | list[Tool]
    _: KW_ONLY
    name: str = "tools"
    defer: Defer = "auto"

    def __post_init__(self) -> None:
        _check_defer(self.defer, f"toolset {self.name!r}")
        object.__setattr__(self, "tools", ordered_tools(self.tools))

    def deferral(self, facts: ModelFacts) -> Deferral:
        """Return whether these tools are deferred for a model of these `facts`, and why."""
        if isinstance(self.defer, bool):
            return Deferral(defer=self.defer, reason="the author decided")
        return choose_deferral([block_tokens(item.definition(), facts) for item in self.tools], facts)

    def offered(self, facts: ModelFacts) -> tuple[Tool, ...]:
        """Return the tools as they are sent to a model of these `facts`."""
        deferred = self.deferral(facts).defer
        return tuple(item.in_toolset(self.name, deferred=deferred) for item in self.tools)


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioTransport:
    """A server that is started as a process and spoken to over its standard input and output.

    env: variables beside the few that a process gets anyway (`PATH`, `HOME` and such). Neither they nor `args` are
        shown: keys stand in them.
    """

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cwd: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTransport:
    """A server that is reached by streamable HTTP. Keys may stand in its address and headers, which are not shown."""

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class McpOptions(TypedDict, total=False):
    """Options of an MCP server; `McpServer` says what each is for."""

    only: Sequence[str]
    timeout: Duration
    connect_timeout: Duration
    concurrency: int | None
    approval: bool | Mapping[str, bool | ApprovalRule]
    keep_results: Mapping[str, Duration | None]
    defer: Defer
    on_change: ListChange
    max_result_chars: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class McpServer:
    """An MCP server whose tools an agent may use (extra `mcp`). Made with `McpServer.stdio` or `McpServer.http`.

    name: stands in front of its tools' names, as `name__tool`; 1 to 32 letters, digits, `_` or `-`. One runtime has
    one connection for a name. transport: how it is reached, which the two makers set.
    only: patterns (`read_*`) of the tools that are offered, by the server's own names; a pattern of any mapping here
    is tried in the order written, and the first that fits holds.
    timeout: of one call; connect_timeout: to start or reach the server and to list its tools; seconds or `"30s"`.
    concurrency: calls that run at once on the server; `None` is any number.
    approval: whether calls wait for a person's decision, of every tool or by pattern, as `@tool(approval=…)`.
    keep_results: patterns of tools whose results may be kept, with how long (`None`: until invalidated). What a server
    says of itself (`readOnlyHint`, `idempotentHint`) keeps nothing: it is a stranger's word.
    defer: as in a `Toolset`. on_change: when a conversation takes over a list that the server changed.
    max_result_chars: where the text of a result is cut.

    Raises `DeclarationError` (or a kind of it) for what could never work.
    """

    name: str
    transport: StdioTransport | HttpTransport
    only: Sequence[str] = ("*",)
    timeout: Duration = DEFAULT_TIMEOUT_S
    connect_timeout: Duration = DEFAULT_CONNECT_TIMEOUT_S
    concurrency: int | None = None
    approval: bool | Mapping[str, bool | ApprovalRule] = False
    keep_results: Mapping[str, Duration | None] = field(default_factory=dict)
    defer: Defer = "auto"
    on_change: ListChange = "next_conversation"
    max_result_chars: int = MAX_RESULT_CHARS
    timeout_s: float = field(init=False, repr=False)
    connect_timeout_s: float = field(init=False, repr=False)
    source: str = field(init=False, repr=False)
    """Digest of where the server is: of the command or the address, not of what may be secret."""

    def __post_init__(self) -> None:
        where = f"MCP server {self.name!r}"
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(f"{where}: a name is 1 to 32 letters, digits, '_' or '-'")
        if self.concurrency is not None and self.concurrency < 1:
            raise SettingsError(f"{where}: concurrency is {self.concurrency}; at least one call must be able to run")
        if self.on_change not in {"next_conversation", "next_run"}:
            raise SettingsError(f"{where}: on_change is {self.on_change!r}, not 'next_conversation' or 'next_run'")
        if isinstance(self.only, str):
            raise SettingsError(f"{where}: only is the text {self.only!r}; write [{self.only!r}]")
        _check_defer(self.defer, where)
        derived: dict[str, object] = {
            "timeout_s": seconds(self.timeout),
            "connect_timeout_s": seconds(self.connect_timeout),
            "source": digest(canonical_json(_place(self.transport))),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @classmethod
    def stdio(
        cls,
        name: str,
        command: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        **options: Unpack[McpOptions],
    ) -> McpServer:
        """Declare a server that is started as `command` with `args`.

        cwd: its directory, this process's by default. env: variables for it; beside them it gets the few variables that
        a process needs (`PATH`, `HOME` and such), no others. `McpServer` says what the options are.
        """
        transport = StdioTransport(command=command, args=args, env=tuple(sorted((env or {}).items())), cwd=cwd)
        return cls(name=name, transport=transport, **options)

    @classmethod
    def http(
        cls,
        name: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[McpOptions],
    ) -> McpServer:
        """Declare a server at `url` (streamable HTTP), asked with `headers`; options as for `stdio`."""
        if not url.startswith(("http://", "https://")):
            shown = shown_url(url)
            raise DeclarationError(
                f"MCP server {name!r}: the address {shown!r} begins with neither http:// nor https://"
            )
        transport = HttpTransport(url=url, headers=tuple(sorted((headers or {}).items())))
        return cls(name=name, transport=transport, **options)

    def offers(self, tool: str) -> bool:
        """Tell whether a tool of the server, by its own name, is offered to the agent."""
        return any(fnmatchcase(tool, pattern) for pattern in self.only)

    def approval_of(self, tool: str) -> bool | ApprovalRule:
        """Return whether calls of a tool wait for approval."""
        if isinstance(self.approval, bool):
            return self.approval
        return next((rule for pattern, rule in self.approval.items() if fnmatchcase(tool, pattern)), False)

    def kept_for(self, tool: str) -> tuple[bool, float | None]:
        """Return whether results of a tool are kept, and for how many seconds."""
        for pattern, ttl in self.keep_results.items():
            if fnmatchcase(tool, pattern):
                return True, None if ttl is None else seconds(ttl)
        return False, None


AnyToolset: TypeAlias = Toolset | McpServer
"""What `Agent(toolsets=…)` holds."""


def _place(transport: StdioTransport | HttpTransport) -> list[str]:
    if isinstance(transport, HttpTransport):
        return [transport.url]
    return [transport.command, *transport.args]


def _check_defer(defer: Defer, where: str) -> None:
    if defer not in {True, False, "auto"}:
        raise SettingsError(f"{where}: defer is {defer!r}; it is True, False or 'auto'")
