"""The API's own diagnosis of a call (specification section 8) beside what the ledger says of its miss.

The API compares two requests, this one and the one that its `previous_message_id` answered, and not caches: "no
difference" with few tokens read is an entry that was not there any more. So it agrees with an expiry by finding no
difference, and with a prompt that moved by naming the level that did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from agentcache.accounting.misses import Cause, Miss
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.sections import Stability
from agentcache.prompt.spans import HISTORY, TOOLS, TURN

NO_DIFFERENCE = "no_difference"
"""In place of a reason where the API compared two requests and found that the later one only grew."""

_NO_DIAGNOSIS = frozenset({"unavailable", "previous_message_not_found"})

_LEVEL_CHANGED: Mapping[str, str] = {
    TOOLS: "tools_changed",
    **{layer.value: "system_changed" for layer in Stability},
    HISTORY: "messages_changed",
    TURN: "messages_changed",
}


class Verdict(StrEnum):
    """How the API's diagnosis stands to ours."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NO_DIAGNOSIS = "no diagnosis"
    """It was asked and could not tell, or compared another pair of calls."""
    NOT_ASKED = "not asked"
    """`Runtime(diagnostics=True)` was not set, or the call was the first of its conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDiagnosis:
    """What the API said of one call.

    reason: its word (`system_changed`, ...), or `no_difference`; `None` where it said nothing.
    missed_tokens: its estimate, from bytes.
    """

    verdict: Verdict
    reason: str | None = None
    missed_tokens: int | None = None

    def to_json(self) -> JsonObject:
        """Return `verdict`, `reason` and `missed_tokens`."""
        return {"verdict": self.verdict.value, "reason": self.reason, "missed_tokens": self.missed_tokens}


def diagnosis_words(told: JsonValue) -> str:
    """Return the JSON of a diagnosis for people: `agrees (system_changed, about 2,000 tokens)`."""
    if not isinstance(told, dict):
        return Verdict.NOT_ASKED.value
    verdict, reason, tokens = (told.get(name) for name in ("verdict", "reason", "missed_tokens"))
    about = f", about {tokens:,} tokens" if isinstance(tokens, int) else ""
    return f"{verdict}" if reason is None else f"{verdict} ({reason}{about})"


def api_diagnosis(miss: Miss) -> ApiDiagnosis:
    """Return the API's diagnosis of a call that missed, and whether it agrees with ours."""
    asked = miss.call.plan.get("diagnostics")
    if not isinstance(asked, dict) or asked.get("previous_message_id") is None:
        return ApiDiagnosis(verdict=Verdict.NOT_ASKED)
    answer = asked.get("answer")
    reason = answer.get("cache_miss_reason") if isinstance(answer, dict) else None
    if answer is not None and not isinstance(reason, dict):
        return ApiDiagnosis(verdict=Verdict.NO_DIAGNOSIS, reason="pending")
    told = str(reason.get("type")) if isinstance(reason, dict) else NO_DIFFERENCE
    tokens = reason.get("cache_missed_input_tokens") if isinstance(reason, dict) else None
    same_pair = miss.cause is not Cause.MOVED or asked["previous_message_id"] == miss.earlier.message_id
    verdict = Verdict.NO_DIAGNOSIS if told in _NO_DIAGNOSIS or not same_pair else _verdict(miss, told)
    return ApiDiagnosis(verdict=verdict, reason=told, missed_tokens=tokens if isinstance(tokens, int) else None)


def _verdict(miss: Miss, told: str) -> Verdict:
    ours = _LEVEL_CHANGED.get(miss.span.layer) if miss.cause is Cause.MOVED else NO_DIFFERENCE
    return Verdict.AGREES if told == ours else Verdict.DIFFERS
