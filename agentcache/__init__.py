"""Teams of Claude agents with the prompt cache as a managed resource.

Importing it imports nothing else: each public name is fetched from its module when it is first asked for, so that the
commands that need few of them start fast.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentcache.errors import (
        AgentCacheError,
        BreakpointError,
        CallError,
        CallRejected,
        ConnectionFailed,
        ConversationBusy,
        ConversationChanged,
        DeclarationError,
        EmulatorError,
        FoundMistake,
        LimitReached,
        MissingVariable,
        MistakesFound,
        OutputInvalid,
        OutputTruncated,
        Overloaded,
        PrefixMoved,
        RateLimited,
        Refused,
        ReplyMalformed,
        RunError,
        SchemaTooNew,
        ServerFailed,
        SettingsError,
        Spent,
        StaleVersion,
        StoreError,
        TargetError,
        TemplateError,
        ToolDeclarationError,
        ToolFailed,
        ToolServerUnavailable,
        Unauthenticated,
        UnexpectedCall,
        UnusedReply,
        VariableLayerError,
        WorstCase,
    )
    from agentcache.prompt.compaction import Compaction
    from agentcache.prompt.sections import Prompt, Section, Stability
    from agentcache.runtime.agent import Agent
    from agentcache.runtime.approval import ApprovalRequest, Approver, Decision
    from agentcache.runtime.content_blocks import document, image
    from agentcache.runtime.conversations import Conversations
    from agentcache.runtime.events import (
        ApprovalDecided,
        ApprovalRequested,
        CallFinished,
        CallHeld,
        CallRetried,
        CallStarted,
        Event,
        FirstToken,
        Notice,
        RunFinished,
        RunStarted,
        TextDelta,
        ThinkingDelta,
        ToolFinished,
        ToolStarted,
    )
    from agentcache.runtime.limits import Limits
    from agentcache.runtime.memo_declaration import Memo
    from agentcache.runtime.results import RunResult
    from agentcache.runtime.server_tools import ServerTool, code_execution, tool_search, web_fetch, web_search
    from agentcache.runtime.team import Team
    from agentcache.runtime.tool_context import ToolCall, current_tool_call
    from agentcache.runtime.tool_results import ToolResult
    from agentcache.runtime.tools import Tool, tool
    from agentcache.runtime.toolsets import McpServer, Toolset
    from agentcache.runtime.warm_calls import Warmed
    from agentcache.stores.protocols import ConversationRecord
    from agentcache.version import __version__
    from agentcache.workflow.durable_runs import Durable
    from agentcache.workflow.keep_warm import KeepAlive
    from agentcache.workflow.patterns.agent_tools import agent_tool
    from agentcache.workflow.patterns.forks import fork_tool
    from agentcache.workflow.patterns.handing_off import HandedOff, handoff
    from agentcache.workflow.patterns.improving import Improved, improve
    from agentcache.workflow.patterns.routing import Routed, route
    from agentcache.workflow.patterns.verifying import Verified, verified
    from agentcache.workflow.patterns.voting import Vote, majority, vote
    from agentcache.workflow.run import Run, Workflow, current_run, workflow
    from agentcache.workflow.runtime import Runtime, run_sync
    from agentcache.workflow.scheduling import Concurrency, Scheduling

__all__ = [
    "__version__",
    "Agent",
    "agent_tool",
    "AgentCacheError",
    "ApprovalDecided",
    "ApprovalRequest",
    "ApprovalRequested",
    "Approver",
    "BreakpointError",
    "CallError",
    "CallFinished",
    "CallHeld",
    "CallRejected",
    "CallRetried",
    "CallStarted",
    "code_execution",
    "Compaction",
    "Concurrency",
    "ConnectionFailed",
    "ConversationBusy",
    "ConversationChanged",
    "ConversationRecord",
    "Conversations",
    "current_run",
    "current_tool_call",
    "Decision",
    "DeclarationError",
    "document",
    "Durable",
    "EmulatorError",
    "Event",
    "FirstToken",
    "fork_tool",
    "FoundMistake",
    "HandedOff",
    "handoff",
    "image",
    "improve",
    "Improved",
    "KeepAlive",
    "LimitReached",
    "Limits",
    "majority",
    "McpServer",
    "Memo",
    "MissingVariable",
    "MistakesFound",
    "Notice",
    "OutputInvalid",
    "OutputTruncated",
    "Overloaded",
    "PrefixMoved",
    "Prompt",
    "RateLimited",
    "Refused",
    "ReplyMalformed",
    "route",
    "Routed",
    "Run",
    "run_sync",
    "RunError",
    "RunFinished",
    "RunResult",
    "RunStarted",
    "Runtime",
    "Scheduling",
    "SchemaTooNew",
    "Section",
    "ServerFailed",
    "ServerTool",
    "SettingsError",
    "Spent",
    "Stability",
    "StaleVersion",
    "StoreError",
    "TargetError",
    "Team",
    "TemplateError",
    "TextDelta",
    "ThinkingDelta",
    "Tool",
    "tool",
    "tool_search",
    "ToolCall",
    "ToolDeclarationError",
    "ToolFailed",
    "ToolFinished",
    "ToolResult",
    "ToolServerUnavailable",
    "Toolset",
    "ToolStarted",
    "Unauthenticated",
    "UnexpectedCall",
    "UnusedReply",
    "VariableLayerError",
    "Verified",
    "verified",
    "Vote",
    "vote",
    "Warmed",
    "web_fetch",
    "web_search",
    "Workflow",
    "workflow",
    "WorstCase",
]

_HOMES = {
    "agentcache.errors": "AgentCacheError BreakpointError CallError CallRejected ConnectionFailed ConversationBusy"
    " ConversationChanged DeclarationError EmulatorError FoundMistake LimitReached MissingVariable MistakesFound"
    " OutputInvalid OutputTruncated Overloaded PrefixMoved RateLimited Refused ReplyMalformed RunError SchemaTooNew"
    " ServerFailed SettingsError Spent StaleVersion StoreError TargetError TemplateError"
    " ToolDeclarationError ToolFailed ToolServerUnavailable Unauthenticated UnexpectedCall UnusedReply"
    " VariableLayerError WorstCase",
    "agentcache.prompt.compaction": "Compaction",
    "agentcache.prompt.sections": "Prompt Section Stability",
    "agentcache.runtime.agent": "Agent",
    "agentcache.runtime.approval": "ApprovalRequest Approver Decision",
    "agentcache.runtime.content_blocks": "document image",
    "agentcache.runtime.conversations": "Conversations",
    "agentcache.runtime.events": "ApprovalDecided ApprovalRequested CallFinished CallHeld CallRetried CallStarted Event"
    " FirstToken Notice RunFinished RunStarted TextDelta ThinkingDelta ToolFinished ToolStarted",
    "agentcache.runtime.limits": "Limits",
    "agentcache.runtime.memo_declaration": "Memo",
    "agentcache.runtime.results": "RunResult",
    "agentcache.runtime.server_tools": "ServerTool code_execution tool_search web_fetch web_search",
    "agentcache.runtime.team": "Team",
    "agentcache.runtime.tool_context": "ToolCall current_tool_call",
    "agentcache.runtime.tool_results": "ToolResult",
    "agentcache.runtime.tools": "Tool tool",
    "agentcache.runtime.toolsets": "McpServer Toolset",
    "agentcache.runtime.warm_calls": "Warmed",
    "agentcache.stores.protocols": "ConversationRecord",
    "agentcache.version": "__version__",
    "agentcache.workflow.durable_runs": "Durable",
    "agentcache.workflow.keep_warm": "KeepAlive",
    "agentcache.workflow.patterns.agent_tools": "agent_tool",
    "agentcache.workflow.patterns.forks": "fork_tool",
    "agentcache.workflow.patterns.handing_off": "HandedOff handoff",
    "agentcache.workflow.patterns.improving": "Improved improve",
    "agentcache.workflow.patterns.routing": "Routed route",
    "agentcache.workflow.patterns.verifying": "Verified verified",
    "agentcache.workflow.patterns.voting": "Vote majority vote",
    "agentcache.workflow.run": "Run Workflow current_run workflow",
    "agentcache.workflow.runtime": "Runtime run_sync",
    "agentcache.workflow.scheduling": "Concurrency Scheduling",
}
"""Module -> the public names that are in it; a test holds it against the imports above, which type checkers read."""
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


class _Package(ModuleType):
    """The package: a name is fetched once and kept."""

    def __getattr__(self, name: str) -> object:
        """Return a public name from its module."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(_HOME[name]), name)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        """Return the public names beside what is there already."""
        return sorted({*super().__dir__(), *__all__})

    @property
    def workflow(self) -> object:
        """The decorator, whether or not the room of the same name was imported."""
        return import_module(_HOME["workflow"]).workflow

    @workflow.setter
    def workflow(self, room: ModuleType) -> None:
        """Take no notice: the import system binds each room to its package, and this name is the decorator's."""


sys.modules[__name__].__class__ = _Package
