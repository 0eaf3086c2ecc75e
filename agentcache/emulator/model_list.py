"""`GET /v1/models` and `GET /v1/models/{id}`: the facts table in the shape of the Models API.

It knows the ids, limits and lines of `model_facts`. Release dates are not among the facts, so `created_at` is the epoch
value that the API documents for an unknown date, and `capabilities` is `null`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agentcache.emulator.json_values import JsonObject, JsonValue
from agentcache.emulator.refusals import ApiError
from agentcache.prompt.model_facts import ModelFacts, all_facts, facts_for

DEFAULT_PAGE = 20
LARGEST_PAGE = 1000

_LINES = frozenset({"haiku", "sonnet", "opus", "fable", "mythos"})
_UNKNOWN_DATE = "1970-01-01T00:00:00Z"


def model_page(query: Mapping[str, str]) -> JsonObject:
    """Return one page of models; `query` may hold `limit` (1 to 1000), `after_id` and `before_id`."""
    identifiers = [facts.model for facts in all_facts()]
    first, last = 0, len(identifiers)
    if "after_id" in query:
        first = _index(identifiers, query["after_id"]) + 1
    if "before_id" in query:
        last = _index(identifiers, query["before_id"])
    limit = _limit(query.get("limit"))
    first = max(first, last - limit) if "before_id" in query else first
    page: list[JsonValue] = [_entry(facts) for facts in all_facts()[first : min(last, first + limit)]]
    return {
        "data": page,
        "first_id": identifiers[first] if page else None,
        "last_id": identifiers[first + len(page) - 1] if page else None,
        "has_more": first > 0 if "before_id" in query else first + len(page) < last,
    }


def model_entry(model: str) -> JsonObject:
    """Return one model; raises `ApiError` (404) for a name that the facts do not know."""
    facts = facts_for(model)
    if not facts.known:
        raise ApiError(f"model: {model}", kind="not_found_error")
    return _entry(facts)


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST_PAGE:
        raise ApiError(f"limit: Input should be an integer from 1 to {LARGEST_PAGE}")
    return int(text)


def _index(identifiers: list[str], wanted: str) -> int:
    if wanted not in identifiers:
        raise ApiError(f"model: {wanted}", kind="not_found_error")
    return identifiers.index(wanted)


def _entry(facts: ModelFacts) -> JsonObject:
    words = facts.canonical.removeprefix("claude-").split("-")
    line = next((word for word in words if word in _LINES), None)
    version = ".".join(word for word in words if word.isdecimal())
    return {
        "type": "model",
        "id": facts.canonical,
        "display_name": " ".join(filter(None, ["Claude", (line or "").title(), version])),
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
        "line": line,
        "max_input_tokens": facts.context_window_tokens,
        "max_tokens": facts.max_output_tokens,
        "capabilities": None,
        "deprecated_at": None,
        "retires_at": None,
    }
