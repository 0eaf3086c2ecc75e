"""A summary as CSV or Markdown: the rows and fields of the report JSON, with exact numbers.

Decides what a table can hold of it: an object becomes a column for each of its fields (`hits.memory`), what is not
known is an empty cell. CSV has no total, so that its columns add up to it; Markdown has, for people read it.

Names were chosen by whoever wrote the log. What hides in one is written by its number in both, since a carriage return
would end a row; in CSV one that begins as a formula does gets an apostrophe in front; in Markdown none can be markup.
The JSON has them as they are.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentcache.accounting.layers import LayerSummary
from agentcache.accounting.summary import Summary
from agentcache.accounting.tool_summary import ToolSummary
from agentcache.prompt.canonical import JsonObject
from agentcache.visible import visible

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How text begins that a spreadsheet computes; the wide forms count too where East Asian text is read."""
_NUMBER = re.compile(r"-?[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE)
_MARKUP = re.compile(r"[\\|`*\[\]~]")

UNATTRIBUTED = "(unattributed)"
"""Stands in the first name of the row for what belongs to no other."""


def to_csv(summary: Summary | ToolSummary | LayerSummary) -> str:
    """Return a heading, a line for each row and one for what is unattributed, if anything is; lines end in a newline.

    Dollars are decimal text. By agent, model, run and day the columns are those of the report JSON; by tool, those of
    `ToolRow.to_json`, by layer those of `LayerRow.to_json`.
    """
    table = _table_of(summary)
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(table.headings)
    writer.writerows([_inert(row.get(name, "")) for name in table.headings] for row in table.rows)
    return page.getvalue()


def to_markdown(summary: Summary | ToolSummary | LayerSummary) -> str:
    """Return the lines of `to_csv` and the total as a Markdown table, without columns in which nothing stands."""
    table = _table_of(summary)
    rows = [*table.rows, table.total]
    used = [name for name in table.headings if any(row.get(name) for row in rows)]
    numeric = {name for name in used if name not in table.names}
    lines = [used, ["---:" if name in numeric else "---" for name in used]]
    lines += [[_cell(row.get(name, "")) for name in used] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delimited:
    """A summary as text by heading. `names` are the headings under which no numbers stand."""

    names: frozenset[str]
    headings: Sequence[str]
    rows: Sequence[Mapping[str, str]]
    total: Mapping[str, str]


def _table_of(summary: Summary | ToolSummary | LayerSummary) -> _Delimited:
    if isinstance(summary, ToolSummary):
        told = [row.to_json() for row in (*summary.rows, summary.unattributed, summary.total)]
        first, is_empty = "tool", not summary.unattributed.calls
    elif isinstance(summary, LayerSummary):
        told = [row.to_json(summary.days) for row in (*summary.rows, summary.unattributed, summary.total)]
        first, is_empty = "agent", not summary.unattributed.calls
    else:
        told = [summary.row_json(row) for row in (*summary.rows, summary.unattributed, summary.total)]
        first, is_empty = summary.by, summary.unattributed.is_empty
    *rows, unattributed, total = (_flat(row) for row in told)
    names = dict.fromkeys(name for row in (*rows, unattributed, total) for name in row)
    # What is an object in one row and unknown in another is told by its fields alone.
    headings = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    return _Delimited(
        names=frozenset({"run", "name", "day", "tool", "agent", "layer", "model"}),
        headings=headings,
        rows=rows if is_empty else [*rows, unattributed | {first: UNATTRIBUTED}],
        total=total | {first: "total"},
    )


def _flat(row: JsonObject, above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = "" if value is None else str(value)
    return found


def _inert(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    text = visible(text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _cell(text: str) -> str:
    """Return text that stays in its cell, and is no markup there: a bar would end it, a line end the row."""
    return _MARKUP.sub(r"\\\g<0>", html.escape(visible(" ".join(text.split())), quote=False))
