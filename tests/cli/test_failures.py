from __future__ import annotations

import json

import pytest

from agentcache.cli.failures import authors_place, exit_code, sentence
from agentcache.errors import (
    DeclarationError,
    LimitReached,
    Overloaded,
    Spent,
    StoreError,
    TargetError,
    Unauthenticated,
    UnexpectedCall,
)

SPENT = Spent(turns=1, tokens=1, cost_usd=None, seconds=0.0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TargetError("x"), 2),
        (DeclarationError("x"), 2),
        (StoreError("x"), 2),
        (Unauthenticated("x"), 2),
        (Overloaded("x"), 1),
        (LimitReached("x", limit="usd", spent=SPENT), 1),
        (UnexpectedCall("x"), 1),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_the_exit_code_tells_what_was_never_run_from_what_failed(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_of_ours_is_its_own_sentence_on_one_line() -> None:
    assert sentence(TargetError("no file\n  'x'")) == "no file 'x'"


def test_a_foreign_error_says_its_kind_and_the_authors_line() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        told = sentence(error)
    line = test_a_foreign_error_says_its_kind_and_the_authors_line.__code__.co_firstlineno + 2

    assert told.startswith("JSONDecodeError: Expecting property name")
    assert told.endswith(f"tests/cli/test_failures.py, line {line}")


def test_an_error_without_a_frame_has_no_place() -> None:
    assert authors_place(ValueError("x")) is None
    assert sentence(ValueError()) == "ValueError"
