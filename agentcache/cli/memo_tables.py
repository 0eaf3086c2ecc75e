"""What a memo keeps, drawn and as JSON. Pure: entries and the time come in, and nothing is looked up."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.report.tables import width_of

if TYPE_CHECKING:
    from agentcache.stores.memo_entries import MemoEntry

_LEAST_ROOM = 16
"""Columns that arguments get however wide the rest is; then tags are folded."""

_SPANS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"))


def kept_json(entries: Sequence[MemoEntry], now: float) -> JsonObject:
    """Return entries, bytes, how many have expired and when the oldest was kept, in all and by tool."""
    by_tool = _by_tool(entries)
    return {
        **_counted(entries, now),
        "tools": [{"tool": tool, **_counted(by_tool[tool], now)} for tool in sorted(by_tool)],
    }


def kept_table(entries: Sequence[MemoEntry], now: float) -> Table:
    """Return the same as a table, a row for each tool."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False, pad_edge=False)
    total = _cells(entries, now)
    table.add_column("kept results of", footer="total", overflow="fold")
    for heading, footer in zip(("entries", "bytes", "expired", "oldest"), total, strict=True):
        table.add_column(heading, footer=footer, justify="right", no_wrap=True)
    by_tool = _by_tool(entries)
    for tool in sorted(by_tool):
        table.add_row(Text(tool), *_cells(by_tool[tool], now))
    return table


def entries_json(entries: Sequence[MemoEntry], now: float) -> list[JsonObject]:
    """Return each entry without its content. Times are Unix seconds, `ttl_left_s` is below zero once it has expired."""
    return [
        {
            "key": entry.key,
            "tool": entry.tool,
            "arguments": _arguments(entry),
            "tags": list(entry.tags),
            "tenant": entry.tenant,
            "version": entry.version,
            "bytes": entry.size,
            "stored_at": entry.stored_at,
            "expires_at": entry.expires_at,
            "ttl_left_s": None if entry.expires_at is None else entry.expires_at - now,
            "took_s": entry.took_s,
        }
        for entry in entries
    ]


def entries_table(entries: Sequence[MemoEntry], now: float, *, width: int) -> Table:
    """Return entries as a table of `width` columns: arguments are cut to the room that the rest leaves them."""
    rest = width_of(_listed(entries, now, room=0))
    return _listed(entries, now, room=max(width - rest, _LEAST_ROOM))


def _listed(entries: Sequence[MemoEntry], now: float, *, room: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tool", no_wrap=True)
    table.add_column("arguments"[:room], no_wrap=True)
    for heading in ("age", "ttl left", "bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("tags", overflow="fold")
    for entry in entries:
        arguments = Text(entry.arguments)
        arguments.truncate(room, overflow="ellipsis")
        times = (_span(now - entry.stored_at), _left(entry, now))
        table.add_row(Text(entry.tool), arguments, *times, f"{entry.size:,}", Text(" ".join(entry.tags)))
    return table


def _by_tool(entries: Sequence[MemoEntry]) -> dict[str, list[MemoEntry]]:
    grouped: dict[str, list[MemoEntry]] = defaultdict(list)
    for entry in entries:
        grouped[entry.tool].append(entry)
    return grouped


def _counted(entries: Sequence[MemoEntry], now: float) -> JsonObject:
    return {
        "entries": len(entries),
        "bytes": sum(entry.size for entry in entries),
        "expired": sum(not entry.is_fresh(now) for entry in entries),
        "oldest_at": min((entry.stored_at for entry in entries), default=None),
    }


def _cells(entries: Sequence[MemoEntry], now: float) -> Sequence[str]:
    expired = sum(not entry.is_fresh(now) for entry in entries)
    oldest = min((entry.stored_at for entry in entries), default=None)
    age = "-" if oldest is None else _span(now - oldest)
    return (f"{len(entries):,}", f"{sum(entry.size for entry in entries):,}", f"{expired:,}", age)


def _arguments(entry: MemoEntry) -> JsonValue:
    arguments: JsonValue = json.loads(entry.arguments)
    return arguments


def _left(entry: MemoEntry, now: float) -> str:
    if entry.expires_at is None:
        return "-"
    return _span(entry.expires_at - now) if entry.is_fresh(now) else "expired"


def _span(seconds: float) -> str:
    """Return a length of time in its largest unit and the next, such as `2h 5m`."""
    for index, (length, unit) in enumerate(_SPANS):
        if seconds < length:
            continue
        whole, rest = divmod(seconds, length)
        below, word = _SPANS[index + 1] if index + 1 < len(_SPANS) else (1.0, "s")
        smaller = int(rest // below)
        return f"{whole:.0f}{unit} {smaller}{word}" if smaller else f"{whole:.0f}{unit}"
    return f"{max(seconds, 0.0):.0f}s"
