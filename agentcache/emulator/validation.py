"""From a body to an accepted request: every field of the Messages API, read in one order, refused as the API refuses.

It decides the order: fields, model, content, then cache markers, then combinations. The parts are `content_rules`,
`tool_rules`, `conversation_rules`, `markers` and `model_rules`.
"""

from __future__ import annotations

from agentcache.emulator.cache_settings import CacheSettings
from agentcache.emulator.compaction import COMPACT_BETA, asks_to_compact
from agentcache.emulator.content_rules import read_system
from agentcache.emulator.conversation_rules import read_messages
from agentcache.emulator.fields import (
    allow_only,
    read_bool,
    read_choice,
    read_integer,
    read_list,
    read_number,
    read_object,
    read_text,
    require,
)
from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.markers import place_markers
from agentcache.emulator.model_rules import check_model_rules
from agentcache.emulator.refusals import ApiError, extra_input, not_played
from agentcache.emulator.request import MessagesRequest
from agentcache.emulator.thinking_seals import check_seals
from agentcache.emulator.tool_rules import read_tool_choice, read_tools
from agentcache.emulator.tool_search import check_references
from agentcache.prompt.model_facts import ModelFacts, facts_for

_COUNTED_FIELDS = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "cache_control",
        "speed",
    }
)
_FIELDS = _COUNTED_FIELDS | {
    "max_tokens",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "metadata",
    "service_tier",
    "container",
    "diagnostics",
    "inference_geo",
}

# Fields that exist under a beta header only; with it they are real, but not played here.
_BETA_FIELDS = {
    "context_management": "context-management-",
    "compaction": "compact-",
    "mcp_servers": "mcp-client-",
    "fallbacks": "fallback",
    "fallback_credit_token": "fallback-credit-",
    "thread": "thread",
    "output_format": "structured-outputs-",
    "billing_policy": "billing",
}


def read_request(
    body: JsonValue,
    *,
    betas: frozenset[str],
    settings: CacheSettings,
    counting: bool = False,
    accept_unknown_models: bool = False,
) -> MessagesRequest:
    """Return the accepted request in `body`; `counting` for the token counting endpoint.

    Raises `ApiError` as the API would, the first of all reasons in its order.
    """
    fields = read_object(body, "body")
    require(fields, "", ("model", "messages") if counting else ("model", "max_tokens", "messages"))
    _check_names(fields, betas, _COUNTED_FIELDS if counting else _FIELDS)
    max_tokens = 0 if counting else read_integer(fields["max_tokens"], "max_tokens", minimum=0)
    _check_plain_fields(fields)
    facts = _read_model(fields["model"], accept_unknown=accept_unknown_models)
    tools = read_tools(fields.get("tools"))
    system = read_system(fields.get("system"))
    messages = read_messages(fields["messages"], facts, betas)
    check_references(messages, tools)
    markers = place_markers(
        fields, tools=tools, system=system, messages=messages, nested_count=settings.nested_markers_count
    )
    choice = read_tool_choice(fields.get("tool_choice"), tools, facts)
    check_model_rules(fields, facts, max_tokens=None if counting else max_tokens, tool_choice=choice)
    compacts = not counting and asks_to_compact(fields)
    request = MessagesRequest(
        body=fields,
        facts=facts,
        tools=tools,
        system=system,
        messages=messages,
        markers=markers,
        betas=betas,
        max_tokens=max_tokens,
        stream=fields.get("stream") is True,
        compacts=compacts,
    )
    check_seals(request)
    return request


def _check_names(fields: JsonObject, betas: frozenset[str], allowed: frozenset[str]) -> None:
    for name in fields:
        if name in allowed or (name == "compaction" and COMPACT_BETA in betas):
            continue
        prefix = _BETA_FIELDS.get(name)
        if prefix is None or not any(beta.startswith(prefix) for beta in betas):
            raise extra_input(name)
        if fields[name] is not None:
            raise not_played(f"the beta field {name!r}")


def _read_model(value: JsonValue, *, accept_unknown: bool) -> ModelFacts:
    name = read_text(value, "model")
    if not name:
        raise ApiError("model: String should have at least 1 character")
    facts = facts_for(name)
    if not facts.known and not accept_unknown:
        raise ApiError(f"model: {name}", kind="not_found_error")
    return facts


def _check_plain_fields(fields: JsonObject) -> None:
    """Check the fields that mean nothing to the cache or the conversation."""
    given = {name: value for name, value in fields.items() if value is not None}
    if "stream" in given:
        read_bool(given["stream"], "stream")
    for name in ("temperature", "top_p"):
        if name in given:
            read_number(given[name], name, low=0, high=1)
    if "top_k" in given:
        read_integer(given["top_k"], "top_k", minimum=0)
    if "service_tier" in given:
        read_choice(given["service_tier"], "service_tier", ("auto", "standard_only"))
    if "speed" in given:
        read_choice(given["speed"], "speed", ("standard", "fast"))
    if "inference_geo" in given:
        read_text(given["inference_geo"], "inference_geo")
    _check_stop_sequences(given.get("stop_sequences"))
    _check_metadata(given.get("metadata"))
    _check_container(given.get("container"))
    _check_diagnostics(given.get("diagnostics"))


def _check_stop_sequences(value: JsonValue) -> None:
    for index, item in enumerate(read_list(value, "stop_sequences") if value is not None else []):
        if not read_text(item, f"stop_sequences.{index}").strip():
            raise ApiError("stop_sequences: each stop sequence must contain non-whitespace")


def _check_metadata(value: JsonValue) -> None:
    if value is not None:
        metadata = read_object(value, "metadata")
        allow_only(metadata, "metadata", ("user_id",))
        if metadata.get("user_id") is not None:
            read_text(metadata["user_id"], "metadata.user_id")


def _check_container(value: JsonValue) -> None:
    if value is None or isinstance(value, str):
        return
    container = read_object(value, "container")
    allow_only(container, "container", ("id", "skills"))
    if container.get("skills") is not None:
        for index, skill in enumerate(read_list(container["skills"], "container.skills")):
            read_object(skill, f"container.skills.{index}")


def _check_diagnostics(value: JsonValue) -> None:
    if value is not None:
        diagnostics = read_object(value, "diagnostics")
        allow_only(diagnostics, "diagnostics", ("previous_message_id",))
        if diagnostics.get("previous_message_id") is not None:
            read_text(diagnostics["previous_message_id"], "diagnostics.previous_message_id")
