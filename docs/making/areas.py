"""Which public name stands on which page of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import agentcache


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A page. names: public names of `agentcache`; others: module -> names that are not, and that users meet."""

    file: str
    title: str
    says: str
    names: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    imported: str = ""

    def homes(self) -> dict[str, str]:
        """Return each name of the page with the module that declares it, in the order of the page."""
        homes = {name: agentcache._HOME[name] for name in self.names.split()}  # noqa: SLF001  # our own table
        return homes | {name: module for module, names in self.others.items() for name in names.split()}


AREAS = (
    Area(
        file="declaring",
        title="Agents and prompts",
        says="What an author declares: frozen values, checked completely when they are made.",
        names="Agent Prompt Section Stability Team Limits Compaction Memo",
    ),
    Area(
        file="tools",
        title="Tools",
        says="Functions that a model may call, tools that the API runs, MCP servers, and tools that come along.",
        names="tool Tool ToolResult ToolCall current_tool_call image document Toolset McpServer ServerTool web_search"
        " web_fetch code_execution tool_search",
        others={
            "agentcache.tools.files": "FileTools",
            "agentcache.tools.web": "http_get",
            "agentcache.tools.calculator": "calculator",
        },
        imported="from agentcache.tools import FileTools, calculator, http_get",
    ),
    Area(
        file="running",
        title="Running",
        says="The runtime, runs and workflows; when calls go out; conversations, approvals, durable runs.",
        names="Runtime run_sync RunResult workflow Workflow Run current_run Conversations ConversationRecord Warmed"
        " Scheduling Concurrency KeepAlive Durable ApprovalRequest Approver Decision",
    ),
    Area(
        file="patterns",
        title="Workflow patterns",
        says="Helpers over a `Run`; [patterns](../patterns.md) says when each pays.",
        names="route Routed handoff HandedOff agent_tool fork_tool improve Improved vote Vote majority verified"
        " Verified",
    ),
    Area(
        file="events",
        title="Events",
        says="What a run tells while it happens; [events](../events.md) has them in order, with the codes of notices.",
        names="Event RunStarted CallHeld CallStarted FirstToken TextDelta ThinkingDelta CallRetried CallFinished"
        " ToolStarted ToolFinished ApprovalRequested ApprovalDecided Notice RunFinished",
        others={"agentcache.runtime.events": "RunEvent"},
    ),
    Area(
        file="errors",
        title="Errors",
        says="Every exception that agentcache raises on purpose, and what some of them carry.",
        names=" ".join(
            sorted(
                (name for name, home in agentcache._HOME.items() if home == "agentcache.errors"),  # noqa: SLF001
                key=lambda name: (name not in {"AgentCacheError"}, name),
            )
        ),
        others={"agentcache.errors": "ToolArgumentsInvalid"},
    ),
    Area(
        file="records",
        title="Records",
        says="What results, events and the ledger are made of. They are handed out, never imported.",
        others={
            "agentcache.accounting.usage": "Usage CallRecord RunRecord ToolCallRecord",
            "agentcache.stores.protocols": "Ledger",
            "agentcache.runtime.memo": "ToolMemo",
        },
    ),
    Area(
        file="types",
        title="Words in signatures",
        says="What the names mean that stand in signatures. They are never imported.",
        others={
            "agentcache.runtime.durations": "Duration",
            "agentcache.runtime.agent": "Variables Snapshot Thinking FallbackCause",
            "agentcache.runtime.agent_run": "Input",
            "agentcache.prompt.plans": "Policy",
            "agentcache.prompt.model_facts": "Ttl",
            "agentcache.prompt.sections": "SectionLike",
            "agentcache.prompt.compaction": "CompactionWay",
            "agentcache.prompt.canonical": "JsonValue JsonObject",
            "agentcache.runtime.tool_order": "AnyTool",
            "agentcache.runtime.toolsets": "AnyToolset Defer ListChange",
            "agentcache.runtime.memo_declaration": "Scope Tags Dependency ArgumentFunction",
            "agentcache.runtime.tool_results": "Outcome",
            "agentcache.runtime.approval": "ApprovalRule",
            "agentcache.runtime.approving": "Approve",
            "agentcache.runtime.content_blocks": "ImageType",
            "agentcache.runtime.events": "EventSink",
            "agentcache.workflow.patterns.voting": "Tie",
            "agentcache.accounting.usage": "CallKind RunStatus",
            "agentcache.emulator.replies": "Script",
            "agentcache.testing.read_share": "Billed",
            "agentcache.testing.prompt_lint": "PromptTarget",
            "agentcache.testing.prefix_guard": "Request",
        },
    ),
    Area(
        file="testing",
        title="Testing",
        says="What a test-suite of agents needs; [testing](../testing.md) shows it at work.",
        others={
            "agentcache.testing.emulation": "emulated asks_for",
            "agentcache.emulator.server": "Emulator",
            "agentcache.emulator.replies": "ScriptedReply ListedReplies ScriptReplies EchoReplies",
            "agentcache.emulator.recorded": "RecordedReplies",
            "agentcache.testing.recordings": "recorded_replies",
            "agentcache.emulator.faults": "Fault ScheduledFaults SeededFaults every_fault",
            "agentcache.emulator.clock": "VirtualClock",
            "agentcache.testing.read_share": "assert_read_share",
            "agentcache.testing.prefix_guard": "PrefixGuard assert_prefix_never_moved allow_move AllowedMove Move",
            "agentcache.testing.ledger_guard": "LedgerGuard",
            "agentcache.testing.ledger_audit": "assert_ledger_equals_statement LedgerAudit",
            "agentcache.testing.prompt_lint": "assert_no_findings lint_agents lint_prompt_directory",
            "agentcache.testing.fixtures": "claude_emulator virtual_clock prefix_guard ledger_guard",
        },
        imported="from agentcache.testing import emulated, assert_read_share, PrefixGuard  # and the others",
    ),
)
