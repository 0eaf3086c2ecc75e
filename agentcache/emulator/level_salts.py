"""The settings of a request that are part of cache keys, each at the level where the API renders it.

A level starts with its salt, so that a change loses that level and those behind it and spares those before: the table
of section 1.2, read as section 1.3 proposes. It does not read content, but for two switches that any block can turn:
images and citations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.json_values import JsonObject, JsonValue, compact, digest
from agentcache.emulator.request import Message, MessagesRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Who asks: organisations never share a cache, workspaces do where the platform does not isolate them."""

    organization: str = "org-emulator"
    workspace: str = "default"


def scope_digest(request: MessagesRequest, scope: Scope, settings: CacheSettings) -> bytes:
    """Return the root of every key: who asks, of which model, and where settings say so what else splits the cache."""
    parts = [settings.platform, scope.organization, request.facts.canonical]
    if settings.isolates_workspaces():
        parts.append(scope.workspace)
    if settings.beta_headers_in_key:
        parts.extend(sorted(request.betas))
    if settings.inference_geo_in_key:
        parts.append(compact(request.body.get("inference_geo")))
    return digest(*(part.encode() for part in parts))


def _thinking(request: MessagesRequest) -> list[JsonValue]:
    """Return the resolved thinking mode with its budget, and the resolved effort: what the API renders of them.

    A default written out equals a default left out; `display` is no part of the prompt.
    """
    thinking = request.body.get("thinking")
    mode: JsonValue = "adaptive" if request.facts.thinking_always_on else "disabled"
    budget: JsonValue = None
    if isinstance(thinking, dict):
        mode, budget = thinking.get("type"), thinking.get("budget_tokens")
    effort = output_config(request).get("effort") or request.facts.default_effort
    return [mode, budget, effort]


def tools_salt(request: MessagesRequest, settings: CacheSettings) -> str:
    """Return what is rendered ahead of the tools: nothing, but for models that render thinking and effort there."""
    return compact(_thinking(request) if request.facts.canonical in settings.render_ahead_models else [])


def system_salt(request: MessagesRequest, settings: CacheSettings) -> str:
    """Return the settings whose change loses system and messages: speed, output format, skills, citations."""
    body = request.body
    container = body.get("container")
    skills = container.get("skills") if isinstance(container, dict) else None
    cited = any(_cites(block) for message in request.messages for block in message.blocks)
    return compact(
        [
            tools_salt(request, settings),
            body.get("speed") or "standard",
            output_config(request).get("format"),
            skills,
            cited,
        ]
    )


def messages_salt(request: MessagesRequest, settings: CacheSettings) -> str:
    """Return the settings whose change loses the messages only: tool choice, images, thinking, effort, task budget."""
    choice = request.body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    pictured = settings.image_switch and any(_has_image(message) for message in request.messages)
    return compact(
        [
            choice.get("type", "auto"),
            choice.get("name"),
            bool(choice.get("disable_parallel_tool_use")),
            pictured,
            _thinking(request),
            output_config(request).get("task_budget"),
        ]
    )


def output_config(request: MessagesRequest) -> JsonObject:
    """Return `output_config`, empty when there is none."""
    config = request.body.get("output_config")
    return config if isinstance(config, dict) else {}


def _cites(block: JsonObject) -> bool:
    citations = block.get("citations")
    return isinstance(citations, dict) and citations.get("enabled") is True


def _has_image(message: Message) -> bool:
    return any(inner.get("type") == "image" for block in message.blocks for inner in with_nested(block))


def with_nested(block: JsonObject) -> Iterator[JsonObject]:
    """Yield a block and the blocks in its `content`."""
    yield block
    content = block.get("content")
    if isinstance(content, list):
        yield from (item for item in content if isinstance(item, dict))
