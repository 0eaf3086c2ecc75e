"""Teams of Claude agents with the prompt cache as a managed resource."""

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
