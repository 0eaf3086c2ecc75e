"""How long a whole request is by the estimates of its parts: what the estimate is measured by, and layouts against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentcache.prompt.model_facts import ModelFacts
from agentcache.prompt.token_estimate import (
    block_tokens,
    closing_tokens,
    message_tokens,
    settings_tokens,
    text_tokens,
    tool_prompt_tokens,
)


def request_tokens(request: Mapping[str, Any], facts: ModelFacts) -> int:
    """Return the estimated prompt tokens of a Messages request."""
    total = closing_tokens(facts) + settings_tokens(request, facts) + _content_tokens(request.get("system"), facts)
    tools = [tool for tool in request.get("tools") or () if tool.get("defer_loading") is not True]
    if tools:
        forced = (request.get("tool_choice") or {}).get("type") in {"any", "tool"}
        total += tool_prompt_tokens(facts, forced=forced) + _content_tokens(tools, facts)
    for message in request["messages"]:
        total += message_tokens(message["role"], facts) + _content_tokens(message["content"], facts)
    return total


def _content_tokens(content: Any, facts: ModelFacts) -> int:
    if isinstance(content, str):
        return text_tokens(content, facts)
    return sum(block_tokens(block, facts) for block in content or ())
