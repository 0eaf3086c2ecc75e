"""A row of the ledger as JSON and back, equal to what it was: for whoever keeps rows outside the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from decimal import Decimal
from typing import cast

from agentcache.accounting.usage import BilledPart, CallKind, CallRecord, Usage
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.prompt.spans import span_from_json

_DOLLARS = ("cost_usd", "counterfactual_usd", "held_saved_usd")
_DIGESTS = ("prefix_digests", "found_digests")


def call_to_json(call: CallRecord) -> JsonObject:
    """Return a call as JSON: its fields by name, dollars as text."""
    told: dict[str, object] = {item.name: getattr(call, item.name) for item in fields(call)}
    told |= {name: None if told[name] is None else str(told[name]) for name in _DOLLARS}
    told |= {name: list(getattr(call, name)) for name in _DIGESTS}
    told |= {
        "kind": call.kind.value,
        "usage": None if call.usage is None else asdict(call.usage),
        "parts": [{**asdict(part), "kind": part.kind.value} for part in call.parts],
        "section_tokens": dict(call.section_tokens),
        "held_s": None if call.held_s is None else dict(call.held_s),
        "prompt_spans": None if call.prompt_spans is None else [span.to_json() for span in call.prompt_spans],
    }
    return cast("JsonObject", told)


def call_from_json(told: JsonValue) -> CallRecord:
    """Return the call that `call_to_json` was given."""
    values = dict(cast("Mapping[str, object]", told))
    values |= {name: None if values[name] is None else Decimal(str(values[name])) for name in _DOLLARS}
    values |= {name: tuple(cast("list[str]", values[name])) for name in _DIGESTS}
    spans = cast("list[JsonValue] | None", values.get("prompt_spans"))  # one that was kept before there were spans
    parts = cast("list[dict[str, object]]", values["parts"])
    values |= {
        "kind": CallKind(str(values["kind"])),
        "usage": _usage(values["usage"]),
        "prompt_spans": None if spans is None else tuple(map(span_from_json, spans)),
        "parts": tuple(
            BilledPart(**{**part, "kind": CallKind(str(part["kind"])), "usage": _usage(part["usage"])})  # type: ignore[arg-type]  # the fields of one
            for part in parts
        ),
    }
    return CallRecord(**values)  # type: ignore[arg-type]  # the fields of one, by name


def _usage(told: object) -> Usage | None:
    return None if told is None else Usage(**cast("dict[str, int]", told))
