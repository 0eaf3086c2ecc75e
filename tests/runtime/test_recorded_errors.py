"""A failure that was kept as JSON is raised again as what it was."""

from __future__ import annotations

import inspect
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache import errors
from agentcache.errors import (
    CallError,
    FoundMistake,
    LimitReached,
    PrefixMoved,
    RateLimited,
    RunError,
    Spent,
    TemplateError,
    ToolFailed,
)
from agentcache.runtime.recorded_errors import error_from_json, error_to_json

SPENT = Spent(turns=3, tokens=1200, cost_usd=Decimal("0.0125"), seconds=1.5)

SAMPLES: dict[str, Any] = {
    "limit": "turns",
    "spent": SPENT,
    "where": "tools[0]",
    "conversation": "c",
    "kept_as": "c.1",
    "found": (
        FoundMistake(code="PC001", name="n", severity="error", path="a.j2", line=3, message="it varies", fix="move it"),
    ),
}
"""Fields that errors cannot do without."""


def kept(error: Exception) -> Exception:
    return error_from_json(json.loads(json.dumps(error_to_json(error))))


@pytest.mark.parametrize(
    "error",
    [
        LimitReached("no more", limit="usd", spent=SPENT),
        LimitReached("no more", limit="usd", spent=Spent(turns=1, tokens=2, cost_usd=None, seconds=0.1)),
        RateLimited("429", attempts=5, status=429, request_id="req_1"),
        PrefixMoved("moved", where="system[0]"),
        TemplateError("bad", template="a.j2", line=7),
        ToolFailed("no such order"),
        ValueError("three"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_back_with_its_fields(error: Exception):
    again = kept(error)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("name", [name for name in vars(errors) if isinstance(vars(errors)[name], type)])
def test_every_error_of_the_tree_can_be_kept(name: str):
    kind = vars(errors)[name]
    if not issubclass(kind, errors.AgentCacheError):
        return
    takes_fields = kind.__init__ is not Exception.__init__
    parameters = inspect.signature(kind).parameters if takes_fields else {}
    error = kind("x", **{name: SAMPLES[name] for name, item in parameters.items() if _is_needed(item)})
    again = kept(error)
    assert (type(again), vars(again)) == (kind, vars(error))


def _is_needed(item: inspect.Parameter) -> bool:
    return item.kind is item.KEYWORD_ONLY and item.default is item.empty


def test_an_error_of_somebody_else_is_told_by_type_and_message():
    class TheirError(Exception):
        pass

    again = kept(TheirError("their words"))
    assert (type(again), str(again)) == (RunError, "TheirError: their words")


@settings(max_examples=25)
@given(st.text(), st.integers(1, 9), st.none() | st.integers(400, 599), st.none() | st.text())
def test_a_call_error_survives_whatever_it_says(message: str, attempts: int, status: int | None, request: str | None):
    again = kept(CallError(message, attempts=attempts, status=status, request_id=request))
    assert isinstance(again, CallError)
    assert (str(again), again.attempts, again.status, again.request_id) == (message, attempts, status, request)
