"""Ids of runs and calls."""

from __future__ import annotations

import uuid


def new_id(kind: str) -> str:
    """Return a fresh id such as `run_3f2a…`: unique across processes, so that ledgers can be merged."""
    return f"{kind}_{uuid.uuid4().hex[:20]}"
