"""Which rows a question of `LedgerReader` asks for, in the words of SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Column, ColumnElement, Select, select

from agentcache.stores import schema

_T = TypeVar("_T")

WITHOUT_TEXT = tuple(column for column in schema.calls.columns if column.name not in {"request", "response"})
"""The columns of a call that hold no text of prompts or answers."""

_AT_ONCE = 500
"""Values in one `IN`: databases bound how many a statement may have."""


def with_nested(run_id: str) -> Select[tuple[str]]:
    """Return the ids of a run and of all runs nested in it."""
    nested = select(schema.runs.c.run_id).where(schema.runs.c.run_id == run_id).cte("nested", recursive=True)
    below = select(schema.runs.c.run_id).join(nested, schema.runs.c.parent_run_id == nested.c.run_id)
    return select(nested.union(below).c.run_id)


def portions(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield values in portions that one statement takes."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def conditions(
    began_at: Column[float],
    its_run: Column[str],
    its_agent: Column[str],
    *,
    run_id: str | None,
    since: float | None,
    agent: str | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of a question of `LedgerReader` on the columns of one table."""
    chosen: list[ColumnElement[bool]] = []
    if run_id is not None:
        chosen.append(its_run.in_(with_nested(run_id)))
    if since is not None:
        chosen.append(began_at >= since)
    if agent is not None:
        chosen.append(its_agent == agent)
    return chosen
