"""What changed beside the prompt: model, tool choice, thinking, effort, speed, betas, workspace.

Values are compared as the API understands them: a default written out equals none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agentcache.accounting.explaining.logged_calls import LoggedCall
from agentcache.accounting.explaining.suspects import Suspect
from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json

_ACCOUNT_HEADER = re.compile(
    r"workspace|organi[sz]ation|account|project|tenant|region|api-?key|authorization|(^|-)host$|backend|base[-_]?url"
)


def setting_changes(before: LoggedCall, after: LoggedCall) -> Iterator[Suspect]:
    """Yield every setting that differs and keeps `after` from reading what `before` wrote."""
    old, new = before.request, after.request
    if before.facts.canonical != after.facts.canonical:
        yield Suspect("PC036", "model", "model_changed", before.model, after.model)
        return  # what else differs comes with the model, and its cache is another one anyway
    accounts = _accounts(before.headers), _accounts(after.headers)
    if accounts[0] != accounts[1]:
        yield Suspect(
            "PC042", "workspace", "workspace_changed", canonical_json(accounts[0]), canonical_json(accounts[1])
        )
    pairs = (
        ("PC038", "thinking", _thinking(old), _thinking(new)),
        ("PC039", "output_config.effort", _effort(before), _effort(after)),
        ("PC037", "tool_choice", _tool_choice(old), _tool_choice(new)),
        ("PC040", "speed", _speed(old), _speed(new)),
        ("PC040", "context_management", old.get("context_management") or None, new.get("context_management") or None),
        ("PC040", "headers.anthropic-beta", _betas(before), _betas(after)),
        ("PC040", "output_config.format", _output_format(old), _output_format(new)),
    )
    for code, where, was, became in pairs:
        if where == "tool_choice" and after.read_tokens is None and _is_contested(was, became):
            continue
        if canonical_json(was) != canonical_json(became):
            yield Suspect(
                code, where, f"{where.rpartition('.')[2]}_changed", canonical_json(was), canonical_json(became)
            )


def _accounts(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if _ACCOUNT_HEADER.search(name)}


def _thinking(request: JsonObject) -> JsonValue:
    thinking = request.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") == "disabled":
        return None
    return {key: value for key, value in thinking.items() if key != "display"}


def _effort(call: LoggedCall) -> JsonValue:
    config = call.request.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    return effort or call.facts.default_effort


def _output_format(request: JsonObject) -> JsonValue:
    config = request.get("output_config")
    named = config.get("format") if isinstance(config, dict) else None
    return named or request.get("output_format") or None


def _tool_choice(request: JsonObject) -> JsonValue:
    choice = request.get("tool_choice")
    if not isinstance(choice, dict):
        return {"type": choice} if isinstance(choice, str) and choice != "auto" else None
    kept = {key: value for key, value in choice.items() if not (key == "disable_parallel_tool_use" and value is False)}
    return None if kept == {"type": "auto"} else kept


def _is_contested(was: JsonValue, became: JsonValue) -> bool:
    """Tell whether a choice went between auto and none, of which measurements disagree: only a bill can tell."""
    return all(choice is None or (isinstance(choice, dict) and choice == {"type": "none"}) for choice in (was, became))


def _speed(request: JsonObject) -> JsonValue:
    speed = request.get("speed")
    return None if speed == "standard" else speed


def _betas(call: LoggedCall) -> JsonValue:
    named = call.headers.get("anthropic-beta", "").split(",")
    listed = call.request.get("betas")
    named += [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
    return list[JsonValue](sorted({name.strip() for name in named} - {""}))
