"""Prints results: one table a scenario, and one that sets every peer's best setting beside agentcache's default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Row = dict[str, Any]
OURS = ("agentcache", "auto")


def as_text(results: dict[str, Any]) -> str:
    """Return the tables with aligned columns."""
    return "\n\n".join(f"{title}\n{_aligned(lines)}" for title, lines in _tables(results))


def as_markdown(results: dict[str, Any]) -> str:
    """Return the tables as `docs/benchmarks.md` has them."""
    tables = [
        _overview(results),
        _matrix(results, lambda row, ours: float(row["input_cost_usd"]) / float(ours["input_cost_usd"])),
        _matrix(results, lambda row, ours: row["ratio_to_bound"]),
        _requests(results),
    ]
    return "\n\n".join(map(_piped, tables))


def is_complete(row: Row) -> bool:
    """Tell whether the peer played the whole scenario as it was recorded, with nothing refused."""
    return not (row["error"] or row["refused"] or row["strayed"] or row["never_asked"])


def _tables(results: dict[str, Any]) -> Iterable[tuple[str, list[list[str]]]]:
    yield "Input cost; agentcache auto is 1.00, others with the setting that is best in hindsight", _overview(results)
    for scenario in results["scenarios"]:
        rows = [row for row in results["rows"] if row["scenario"] == scenario["name"]]
        yield f"{scenario['name']}: {scenario['about']}", _details(results, rows)


def _overview(results: dict[str, Any]) -> list[list[str]]:
    """Return each peer's cheapest setting for just that scenario, then for all of them with one setting."""
    peers = [peer for peer in results["peers"] if not peer["missing"]]
    names = [name for name in ("layers",) if any(row["settings"] == name for row in results["rows"])]
    others = [peer for peer in peers if peer["name"] != OURS[0]]
    lines = [["scenario", "auto, $", *names, *(peer["title"] for peer in others)]]
    for scenario in results["scenarios"]:
        rows = [row for row in results["rows"] if row["scenario"] == scenario["name"]]
        ours = next((_costs([row]) for row in rows if (row["peer"], row["settings"]) == OURS), {})
        mine = [_costs([row for row in rows if (row["peer"], row["settings"]) == (OURS[0], name)]) for name in names]
        theirs = [_costs([row for row in rows if row["peer"] == peer["name"]]) for peer in others]
        lines.append([scenario["name"], *_compared(ours.get(OURS[1]), mine, theirs)])
    total = [_totals(results, OURS[0], [OURS[1]])]
    mine = [_totals(results, OURS[0], [name]) for name in names]
    theirs = [_totals(results, peer["name"], peer["settings"]) for peer in others]
    lines.append(["all, one setting", *_compared(total[0].get(OURS[1]), mine, theirs)])
    return lines


def _costs(rows: Iterable[Row]) -> dict[str, float]:
    """Return the input cost under each setting that got to the end, and under none at all."""
    complete = [row for row in rows if is_complete(row)]
    costs = {row["settings"]: float(row["input_cost_usd"]) for row in complete}
    if complete and complete[0]["peer"] != OURS[0]:
        costs["off"] = min(float(row["input_cost_without_caching_usd"]) for row in complete)
    return costs


def _totals(results: dict[str, Any], peer: str, settings: Iterable[str]) -> dict[str, float]:
    """Return the input cost of all scenarios under each setting that got to the end of each of them."""
    totals = {}
    for name in settings:
        rows = [row for row in results["rows"] if (row["peer"], row["settings"]) == (peer, name)]
        if rows and all(map(is_complete, rows)):
            totals[name] = sum(float(row["input_cost_usd"]) for row in rows)
    return totals


def _compared(ours: float | None, mine: Iterable[dict[str, float]], theirs: Iterable[dict[str, float]]) -> list[str]:
    if ours is None:
        return ["–", *("–" for _ in (*mine, *theirs))]
    own = [f"{min(costs.values()) / ours:.2f}" if costs else "–" for costs in mine]
    cells = []
    for costs in theirs:
        best = min(costs, key=lambda name: costs[name], default=None)
        cells.append("–" if best is None else f"{costs[best] / ours:.2f} ({best})")
    return [f"{ours:.4f}", *own, *cells]


def _details(results: dict[str, Any], rows: Sequence[Row]) -> list[list[str]]:
    titles = {peer["name"]: peer["title"] for peer in results["peers"]}
    heads = ["", "calls", "uncached", "write 5m", "write 1h", "read", "input, $", "× bound", "breakpoints", "refused"]
    lines = [heads]
    for row in rows:
        counts = (f"{row[name]:,}" for name in _BUCKETS)
        ratio = "?" if row["ratio_to_bound"] is None else f"{row['ratio_to_bound']:.2f}"
        incomplete = "" if is_complete(row) else " (incomplete)"
        lines.append(
            [
                f"{titles[row['peer']]}, {row['settings']}{incomplete}",
                str(row["calls"]),
                *counts,
                f"{float(row['input_cost_usd']):.4f}",
                ratio,
                f"{row['breakpoints_mean']:.1f}",
                str(row["refused"]),
            ]
        )
    missing = [peer for peer in results["peers"] if peer["missing"]]
    lines += [[f"{peer['title']}: not run, {peer['missing']}", *[""] * (len(heads) - 1)] for peer in missing]
    return lines


def _matrix(results: dict[str, Any], value: Callable[[Row, Row], float | None]) -> list[list[str]]:
    """Return a number for each setting and scenario; `value` is given the row and ours of the same scenario."""
    rows = {(row["peer"], row["settings"], row["scenario"]): row for row in results["rows"]}
    names = [scenario["name"] for scenario in results["scenarios"]]
    lines = [["", *names]]
    for peer in results["peers"]:
        for settings in peer["settings"]:
            cells = []
            for name in names:
                row, ours = rows.get((peer["name"], settings, name)), rows.get((*OURS, name))
                number = value(row, ours) if row and ours and is_complete(row) and is_complete(ours) else None
                cells.append("–" if number is None else f"{number:.2f}")
            lines.append([f"{peer['title']}, {settings}", *cells])
    return lines


def _requests(results: dict[str, Any]) -> list[list[str]]:
    """Return what each setting sent in all scenarios together."""
    lines = [["", "calls", "prompt tokens", "breakpoints a call", "most", "refused"]]
    for peer in results["peers"]:
        for settings in peer["settings"]:
            rows = [row for row in results["rows"] if (row["peer"], row["settings"]) == (peer["name"], settings)]
            calls = sum(row["calls"] for row in rows)
            points = sum(row["breakpoints_mean"] * row["calls"] for row in rows)
            tokens = sum(row[name] for row in rows for name in _BUCKETS)
            most = max((row["breakpoints_max"] for row in rows), default=0)
            refused = sum(row["refused"] for row in rows)
            mean = f"{points / calls:.1f}" if calls else "–"
            lines.append([f"{peer['title']}, {settings}", str(calls), f"{tokens:,}", mean, str(most), str(refused)])
    return lines


_BUCKETS = ("uncached_input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _piped(lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(lines[0]) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
