"""What a ledger's rows teach the planner about reuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agentcache.accounting.usage import SIDE_KINDS, CallKind, CallRecord
from agentcache.prompt.canonical import JsonObject
from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.reuse_history import PastCall


def past_calls(rows: Iterable[CallRecord]) -> Iterator[PastCall]:
    """Yield answered calls, warm-ups and keep-alives among them, in the order of the rows (by the time of sending)."""
    for row in rows:
        if row.kind not in SIDE_KINDS and row.usage is not None and row.error is None:
            yield PastCall(
                line=(row.conversation or row.run_id) if row.kind is CallKind.MESSAGE else None,
                agent=row.agent,
                opens=row.turn <= 1,
                at_s=row.sent_at,
                marks=tuple(_marks(row.plan)),
            )


def _marks(plan: JsonObject) -> Iterator[tuple[str, Ttl]]:
    kept = plan.get("kept")
    for point in kept if isinstance(kept, list) else []:
        if isinstance(point, dict) and isinstance(point.get("digest"), str):
            yield str(point["digest"]), "1h" if point.get("ttl") == "1h" else "5m"
