"""What users need in their own test-suites: an emulator per test, scripted and recorded replies, the guards.

Nothing here needs pytest; `agentcache.testing.fixtures` offers the same as pytest fixtures. See `docs/testing.md`.
"""

from agentcache.emulator.clock import VirtualClock
from agentcache.emulator.faults import Fault, ScheduledFaults, SeededFaults, every_fault
from agentcache.emulator.recorded import RecordedReplies
from agentcache.emulator.replies import EchoReplies, ListedReplies, ScriptedReply, ScriptReplies
from agentcache.emulator.server import Emulator
from agentcache.testing.emulation import asks_for, emulated
from agentcache.testing.ledger_audit import LedgerAudit, assert_ledger_equals_statement
from agentcache.testing.ledger_guard import LedgerGuard
from agentcache.testing.prefix_guard import AllowedMove, Move, PrefixGuard, allow_move, assert_prefix_never_moved
from agentcache.testing.prompt_lint import assert_no_findings, lint_agents, lint_prompt_directory
from agentcache.testing.read_share import assert_read_share
from agentcache.testing.recordings import recorded_replies

__all__ = [
    "allow_move",
    "AllowedMove",
    "asks_for",
    "assert_ledger_equals_statement",
    "assert_no_findings",
    "assert_prefix_never_moved",
    "assert_read_share",
    "EchoReplies",
    "emulated",
    "Emulator",
    "every_fault",
    "Fault",
    "LedgerAudit",
    "LedgerGuard",
    "lint_agents",
    "lint_prompt_directory",
    "ListedReplies",
    "Move",
    "PrefixGuard",
    "recorded_replies",
    "RecordedReplies",
    "ScheduledFaults",
    "ScriptedReply",
    "ScriptReplies",
    "SeededFaults",
    "VirtualClock",
]
