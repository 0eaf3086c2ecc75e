"""What a page of a report is made of: panels, each a table and, where that helps, a chart of the same numbers.

Whoever has something to add to the page (how layers were read, why calls missed) hands in another `Panel`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.report.drawing import Bars

Shown: TypeAlias = Callable[[JsonValue], str]
"""How a value of a report reads."""

NOBODY = "(unattributed)"
"""The name of what counts in nobody's row."""


def exactly(value: JsonValue) -> str:
    """Return a value as it is, numbers with thousands separators; `unknown` for `None`."""
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def dollars(value: JsonValue) -> str:
    """Return decimal text as dollars, every digit of it; `unknown` for `None`."""
    if not isinstance(value, str):
        return "unknown"
    return f"-${value[1:]}" if value.startswith("-") else f"${value}"


def percent(value: JsonValue) -> str:
    """Return a share of 0 to 1 with one digit behind the point; a dash for `None`, the share of nothing."""
    return f"{value:.1%}" if isinstance(value, int | float) else "–"


def name(value: JsonValue) -> str:
    """Return a name; nothing for `None`, which stands for several."""
    return "" if value is None else str(value)


def words(value: JsonValue) -> str:
    """Return a text of some length, which may be broken into lines; a dash where there is none."""
    return str(value) if value else "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table. `field` is where the value stands in a row of the report, with dots for what is nested."""

    heading: str
    field: str
    shown: Shown = exactly

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers rather than names."""
        return self.shown not in (name, words)

    @property
    def is_words(self) -> bool:
        """Whether it holds texts that are broken into lines."""
        return self.shown is words


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A value of a table as it reads, and as the JSON has it."""

    text: str
    value: str
    field: str
    is_number: bool
    is_words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """Rows of a report under columns. The first column names the rows; `total` is the row below all others."""

    columns: tuple[Column, ...]
    rows: Sequence[JsonObject]
    total: JsonObject | None = None

    def cells(self, row: JsonObject) -> list[Cell]:
        """Return a row's cells in the order of the columns."""
        return [_cell(column, _value(row, column.field)) for column in self.columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A part of the page. `key` is its place in the page's address, `caption` says in a sentence what it shows.

    folded: whether the table waits to be opened; one beside a chart should.
    """

    key: str
    heading: str
    caption: str
    table: DataTable
    bars: Bars | None = None
    folded: bool = True


def summary_table(columns: tuple[Column, ...], told: JsonObject, has_unattributed: bool) -> DataTable:
    """Return the table of a report's JSON; what is unattributed and the total get a name in the first column."""
    rows, first = told["rows"], columns[0].field
    shown = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    unattributed, total = told["unattributed"], told["total"]
    if has_unattributed and isinstance(unattributed, dict):
        shown.append({**unattributed, first: NOBODY})
    return DataTable(columns=columns, rows=shown, total={**total, first: "Total"} if isinstance(total, dict) else None)


def _cell(column: Column, value: JsonValue) -> Cell:
    exact = "" if value is None else str(value)
    return Cell(
        text=column.shown(value),
        value=exact,
        field=column.field,
        is_number=column.is_number,
        is_words=column.is_words,
    )


def _value(row: JsonObject, field: str) -> JsonValue:
    value: JsonValue = row
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
