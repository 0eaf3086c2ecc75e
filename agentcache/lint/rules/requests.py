"""Rules about what changes between the requests of one conversation; `explain` finds them in what was sent."""

from __future__ import annotations

from agentcache.lint.rules.references import (
    CACHE_DIAGNOSTICS,
    EFFORT,
    FAST_MODE,
    PROMPT_CACHING,
    SYSTEM_MESSAGES,
    THINKING,
    TOOLS_AND_CACHING,
)
from agentcache.lint.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        code="PC018",
        what="The system text of a running conversation changes: a rule is added, blocks swap places or are cut"
        " otherwise, a new version is deployed.",
        why="The system text stands in front of all messages, so every turn that was cached is written again.",
        bad='system += "\\nThe user is in plan mode now."',
        good='messages.append({"role": "system", "content": "The user is in plan mode now."})\n'
        "# a model without such messages: a note in the newest user message",
        references=(SYSTEM_MESSAGES, CACHE_DIAGNOSTICS, "https://github.com/nextlevelbuilder/goclaw/pull/718"),
        check=None,
    ),
    Rule(
        code="PC036",
        what="One conversation is sent to several models: a router, a fallback, a cheap model for small steps.",
        why="Each model has a cache of its own. The first call to another one reads nothing and writes tools,"
        " system text and history at its price; going back is cheap only while the old entry lives.",
        bad='model = "claude-haiku-5-5" if is_small(step) else "claude-opus-5-5"',
        good='model = "claude-opus-5-5"   # small steps go to a sub-agent with a short prompt of its own',
        references=(CACHE_DIAGNOSTICS, "https://github.com/microsoft/vscode/pull/323594"),
        check=None,
    ),
    Rule(
        code="PC037",
        what="`tool_choice` or `disable_parallel_tool_use` changes between calls of a conversation.",
        why="Both change what the API renders in front of the messages, which are written again; tools and"
        " system text are read. Between `auto` and `none` measurements disagree, between `auto` and a forced"
        " tool they do not.",
        bad='tool_choice = {"type": "tool", "name": "search"} if first else {"type": "auto"}',
        good='tool_choice = {"type": "auto"}   # and in the message: "Search before you answer."',
        references=(TOOLS_AND_CACHING, "https://github.com/jaseci-labs/jac/pull/8386"),
        check=None,
    ),
    Rule(
        code="PC038",
        what="Thinking is switched on or off, or its budget changes, while a conversation runs.",
        why="The messages are always written again, on some models tools and system text too, since the setting"
        " is rendered in front of them.",
        bad='thinking = {"type": "enabled", "budget_tokens": 2_000 + 500 * difficulty}',
        good='thinking = {"type": "adaptive"}   # the same in every call',
        references=(THINKING, PROMPT_CACHING, "https://github.com/LionSR/TeXRA/pull/2548"),
        check=None,
    ),
    Rule(
        code="PC039",
        what="The effort changes while a conversation runs. Writing out the model's default is no change.",
        why="As with thinking: the messages are written again, on some models everything.",
        bad='output_config = {"effort": "low" if is_small(step) else "high"}',
        good='output_config = {"effort": "high"}   # or a system message with its own effort, where there are such',
        references=(EFFORT, "https://github.com/anthropics/claude-code/issues/61984"),
        check=None,
    ),
    Rule(
        code="PC040",
        what="The speed, the set of beta headers, the context management or the output format changes between calls.",
        why="Each of them shapes what is rendered: system text and messages, or messages alone, are written"
        " again. A fallback from fast to standard speed on a busy day does so in the middle of a"
        " conversation.",
        bad='speed = "fast" if not busy else "standard"',
        good='speed = "standard"   # chosen once for a conversation, as are betas and formats',
        references=(FAST_MODE, CACHE_DIAGNOSTICS, PROMPT_CACHING),
        check=None,
    ),
    Rule(
        code="PC041",
        what="Citations of documents are switched on or off between calls of a conversation.",
        why="The switch changes the system text that the API renders: system text and messages are written again.",
        bad='{"type": "document", "source": source, "citations": {"enabled": wants_sources}}',
        good='{"type": "document", "source": source, "citations": {"enabled": True}}',
        references=(PROMPT_CACHING,),
        check=None,
    ),
    Rule(
        code="PC042",
        what="Calls of one conversation go to several workspaces, accounts, regions or platforms.",
        why="Caches are kept apart by organisation, and by workspace on Claude's own API: a prompt that is warm"
        " in one is cold in the next. With keys in rotation, each of n keys pays for a write of its own.",
        bad="key = next(keys)   # round robin over accounts",
        good="key = keys[hash_of(conversation_id) % len(keys)]   # a conversation stays where it began",
        references=(PROMPT_CACHING, "https://github.com/agentgateway/agentgateway/issues/2572"),
        check=None,
    ),
)
