"""What a model accepts: thinking, effort, structured output, speed, length of the answer, and calls that only warm.

Facts about models come from `model_facts`; combinations are those that the documentation refuses. Where it gives no
wording the emulator uses its own and says so.
"""

from __future__ import annotations

from agentcache.emulator.fields import allow_only, read_choice, read_integer, read_object, read_tag, require
from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.refusals import ApiError, in_own_words
from agentcache.prompt.model_facts import ModelFacts

EFFORTS = ("low", "medium", "high", "xhigh", "max")
MINIMUM_BUDGET_TOKENS = 1024

_THINKING = ("adaptive", "between_tools", "disabled", "enabled")
_THINKING_DOC = "https://platform.claude.com/docs/en/build-with-claude/extended-thinking"


def check_model_rules(body: JsonObject, facts: ModelFacts, *, max_tokens: int | None, tool_choice: str) -> None:
    """Refuse what `facts` or the combination of fields rule out; `max_tokens` is `None` when counting tokens."""
    thinking = _check_thinking(body.get("thinking"), max_tokens)
    effort = _check_output_config(body.get("output_config"))
    if facts.known:
        _check_features(body, facts, thinking, effort)
    # Adaptive thinking goes with a forced tool and any temperature: recorded calls show the former accepted.
    if thinking == "enabled":
        if tool_choice in {"any", "tool"}:
            raise ApiError("Thinking may not be enabled when tool_choice forces tool use.")
        if body.get("temperature") not in {None, 1}:
            raise ApiError(
                "`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation at "
                f"{_THINKING_DOC}"
            )
    if max_tokens == 0:
        _check_prewarm(body, thinking, tool_choice)
    largest = facts.max_output_tokens
    if max_tokens is not None and largest is not None and max_tokens > largest:
        raise ApiError(
            f"max_tokens: {max_tokens} > {largest}, which is the maximum allowed number of output tokens for "
            f"{facts.model}"
        )


def _check_thinking(value: JsonValue, max_tokens: int | None) -> str | None:
    if value is None:
        return None
    thinking = read_object(value, "thinking")
    kind = read_tag(thinking, "thinking", _THINKING)
    allowed = {"type"} | ({"display"} if kind in {"enabled", "adaptive"} else set())
    allow_only(thinking, f"thinking.{kind}", allowed | ({"budget_tokens"} if kind == "enabled" else set()))
    if thinking.get("display") is not None:
        read_choice(thinking["display"], f"thinking.{kind}.display", ("summarized", "omitted"))
    if kind == "enabled":
        require(thinking, "thinking.enabled", ("budget_tokens",))
        path = "thinking.enabled.budget_tokens"
        budget = read_integer(thinking["budget_tokens"], path, minimum=MINIMUM_BUDGET_TOKENS)
        if max_tokens and budget >= max_tokens:
            raise ApiError(
                "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
                f"{_THINKING_DOC}#max-tokens-and-context-window-size"
            )
    return kind


def _check_output_config(value: JsonValue) -> str | None:
    if value is None:
        return None
    config = read_object(value, "output_config")
    allow_only(config, "output_config", ("effort", "format", "task_budget"))
    if config.get("format") is not None:
        shape = read_object(config["format"], "output_config.format")
        read_tag(shape, "output_config.format", ("json_schema",))
        require(shape, "output_config.format", ("schema",))
        allow_only(shape, "output_config.format", ("type", "schema"))
        read_object(shape["schema"], "output_config.format.schema")
    if config.get("task_budget") is not None:
        read_object(config["task_budget"], "output_config.task_budget")
    return None if config.get("effort") is None else read_choice(config["effort"], "output_config.effort", EFFORTS)


def _check_features(body: JsonObject, facts: ModelFacts, thinking: str | None, effort: str | None) -> None:
    """Refuse what this model does not have; only for models that the facts know."""
    if thinking == "enabled" and not facts.budget_thinking:
        raise ApiError(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    if thinking == "disabled" and facts.thinking_always_on:
        raise in_own_words('"thinking.type.disabled" is not supported for this model: it always thinks')
    if thinking in {"adaptive", "between_tools"} and not facts.adaptive_thinking:
        raise in_own_words(f'"thinking.type.{thinking}" is not supported for this model')
    if effort is not None and not facts.efforts:
        raise ApiError("This model does not support the effort parameter.")
    if effort is not None and effort not in facts.efforts:
        raise in_own_words(f"output_config.effort: this model takes {', '.join(facts.efforts)}, not {effort}")
    config = body.get("output_config")
    if isinstance(config, dict) and config.get("format") is not None and not facts.structured_outputs:
        raise in_own_words("output_config.format: this model has no structured outputs")
    if body.get("speed") == "fast" and not any(period.fast is not None for period in facts.prices):
        raise in_own_words(f"speed: {facts.model} has no fast mode")


def _check_prewarm(body: JsonObject, thinking: str | None, tool_choice: str) -> None:
    """Refuse what cannot go with `max_tokens: 0` (section 7); the API's wordings are not known."""
    config = body.get("output_config")
    for ruled_out, what in (
        (body.get("stream") is True, "stream"),
        (thinking == "enabled", "thinking of type enabled"),
        (isinstance(config, dict) and config.get("format") is not None, "output_config.format"),
        (tool_choice in {"any", "tool"}, f"tool_choice {tool_choice}"),
    ):
        if ruled_out:
            raise in_own_words(f"max_tokens: 0 fills the cache only and cannot be combined with {what}")
