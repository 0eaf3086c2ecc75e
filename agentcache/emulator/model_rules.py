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
    thinking = _check_thinking(body.get("thinking"), facts, max_tokens)
    _check_output_config(body.get("output_config"), facts)
    _check_speed(body.get("speed"), facts)
    if thinking in {"enabled", "adaptive"}:
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


def _check_thinking(value: JsonValue, facts: ModelFacts, max_tokens: int | None) -> str | None:
    if value is None:
        return None
    thinking = read_object(value, "thinking")
    kind = read_tag(thinking, "thinking", _THINKING)
    allowed = {"type"} | ({"display"} if kind in {"enabled", "adaptive"} else set())
    allow_only(thinking, f"thinking.{kind}", allowed | ({"budget_tokens"} if kind == "enabled" else set()))
    if thinking.get("display") is not None:
        read_choice(thinking["display"], f"thinking.{kind}.display", ("summarized", "omitted"))
    if kind == "enabled":
        _check_budget(thinking, facts, max_tokens)
    elif kind == "disabled" and facts.thinking_always_on:
        raise in_own_words('"thinking.type.disabled" is not supported for this model: it always thinks')
    elif kind in {"adaptive", "between_tools"} and not facts.adaptive_thinking:
        raise in_own_words(f'"thinking.type.{kind}" is not supported for this model')
    return kind


def _check_budget(thinking: JsonObject, facts: ModelFacts, max_tokens: int | None) -> None:
    require(thinking, "thinking.enabled", ("budget_tokens",))
    budget = read_integer(thinking["budget_tokens"], "thinking.enabled.budget_tokens", minimum=MINIMUM_BUDGET_TOKENS)
    if not facts.budget_thinking:
        raise ApiError(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    if max_tokens and budget >= max_tokens:
        raise ApiError(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            f"{_THINKING_DOC}#max-tokens-and-context-window-size"
        )


def _check_output_config(value: JsonValue, facts: ModelFacts) -> None:
    if value is None:
        return
    config = read_object(value, "output_config")
    allow_only(config, "output_config", ("effort", "format", "task_budget"))
    effort = config.get("effort")
    if effort is not None:
        read_choice(effort, "output_config.effort", EFFORTS)
        if not facts.efforts:
            raise ApiError("This model does not support the effort parameter.")
        if effort not in facts.efforts:
            raise in_own_words(f"output_config.effort: this model takes {', '.join(facts.efforts)}, not {effort}")
    if config.get("format") is not None:
        shape = read_object(config["format"], "output_config.format")
        read_tag(shape, "output_config.format", ("json_schema",))
        require(shape, "output_config.format", ("schema",))
        allow_only(shape, "output_config.format", ("type", "schema"))
        read_object(shape["schema"], "output_config.format.schema")
        if not facts.structured_outputs:
            raise in_own_words("output_config.format: this model has no structured outputs")
    if config.get("task_budget") is not None:
        read_object(config["task_budget"], "output_config.task_budget")


def _check_speed(value: JsonValue, facts: ModelFacts) -> None:
    if value == "fast" and facts.known and not any(period.fast is not None for period in facts.prices):
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
