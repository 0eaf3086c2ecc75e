"""Addresses that several rules refer to."""

from __future__ import annotations

_DOCS = "https://platform.claude.com/docs/en"
PROMPT_CACHING = f"{_DOCS}/build-with-claude/prompt-caching"
CACHE_DIAGNOSTICS = f"{_DOCS}/build-with-claude/cache-diagnostics"
SYSTEM_MESSAGES = f"{_DOCS}/build-with-claude/mid-conversation-system-messages"
CONTEXT_EDITING = f"{_DOCS}/build-with-claude/context-editing"
COMPACTION = f"{_DOCS}/build-with-claude/compaction"
THINKING = f"{_DOCS}/build-with-claude/thinking"
EFFORT = f"{_DOCS}/build-with-claude/effort"
FAST_MODE = f"{_DOCS}/build-with-claude/fast-mode"
TOOLS_AND_CACHING = f"{_DOCS}/agents-and-tools/tool-use/tool-use-with-prompt-caching"
PRICING = f"{_DOCS}/about-claude/pricing"
CACHING_SKILL = "https://github.com/anthropics/skills/blob/main/skills/claude-api/shared/prompt-caching.md"
